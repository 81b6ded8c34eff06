//! Sends calls: retries, the alternate host, limits of time and size.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use ezlo_protocol::cloud::call::{Call, HostRole};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::MmsClient;
use crate::error::{ErrorKind, MmsError};
use crate::retry::{chance, retry_after};

/// Timeout of one HTTP exchange; public clients use 20 to 30 s (client-source).
const CALL_TIME: Duration = Duration::from_secs(30);
/// Timeout of the token exchange; one public client allows 60 s (client-source).
const EXCHANGE_TIME: Duration = Duration::from_secs(60);
/// Maximum number of primary hosts whose alternate is remembered.
const MAX_HOSTS: usize = 256;
/// Maximum length of a response body in bytes; the longest real one (the keys of many hubs) is a few hundred kB.
pub(super) const MAX_ANSWER: usize = 8 * 1024 * 1024;

impl MmsClient {
    /// Sends a call with retries. A call that is not idempotent is repeated only if it cannot have reached a server.
    pub(super) async fn send<C: Call>(&self, call: &C, hosts: &(String, String)) -> Result<C::Answer, MmsError> {
        let mut failures = 0;
        loop {
            let error = match self.send_once(call, hosts).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            let may_repeat = error.is_transient() && (C::SPEC.idempotent || error.never_left());
            let wait = self.retry.wait(failures, error.retry_after(), chance()).filter(|_| may_repeat);
            let Some(wait) = wait.filter(|_| self.budget.spend(&self.retry, Instant::now())) else { return Err(error) };
            tracing::info!(call = C::SPEC.name, %error, ?wait, "retrying the call");
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends a call to the host that answered last, and after a transient error to the other one. A call that is not
    /// idempotent goes to the other host only if it cannot have reached the first.
    async fn send_once<C: Call>(&self, call: &C, hosts: &(String, String)) -> Result<C::Answer, MmsError> {
        let (primary, alternate) = hosts;
        let has_other = !self.environment.has_one_server() && !alternate.is_empty() && alternate != primary;
        let on_alternate = has_other && self.alternates().contains(primary);
        let (first, second) = if on_alternate { (alternate, primary) } else { (primary, alternate) };
        let outcome = self.send_to(call, first).await;
        match outcome {
            Err(error) if has_other && error.is_transient() && (C::SPEC.idempotent || error.never_left()) => {
                tracing::info!(call = C::SPEC.name, host = %first, %error, "trying the other host");
                let asked = error.retry_after();
                // The next attempt starts with the first host again, so the longer of both `Retry-After` values counts.
                let second_outcome = self.send_to(call, second).await.map_err(|second| second.not_before(asked));
                if !second_outcome.as_ref().is_err_and(MmsError::is_transient) {
                    self.remember(primary, !on_alternate);
                }
                second_outcome
            }
            outcome => outcome,
        }
    }

    /// Returns true if the first of two servers refused a call that the other one may answer.
    pub(super) fn refused_by_one_of_two(&self, error: &MmsError, (primary, alternate): &(String, String)) -> bool {
        let has_other = !self.environment.has_one_server() && !alternate.is_empty() && alternate != primary;
        has_other && matches!(error.kind(), ErrorKind::Refused(_))
    }

    fn alternates(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.on_alternate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bounded, because the names come from the service; a handful is normal.
    fn remember(&self, primary: &str, on_alternate: bool) {
        let mut alternates = self.alternates();
        if !on_alternate {
            alternates.remove(primary);
        } else if alternates.len() < MAX_HOSTS {
            alternates.insert(primary.to_owned());
        }
    }

    async fn send_to<C: Call>(&self, call: &C, host: &str) -> Result<C::Answer, MmsError> {
        let failed = |kind| MmsError::new(C::SPEC.name, host, kind);
        let request = call.request(&self.environment.url(host)).map_err(|_| {
            failed(ErrorKind::BadRequest(
                "cannot build the request: a token or host name is not valid in a header or URL".into(),
            ))
        })?;
        let limit = if C::SPEC.role == HostRole::Cloud { EXCHANGE_TIME } else { CALL_TIME };
        let span = tracing::debug_span!("mms", call = C::SPEC.name, host);
        let exchange = self.exchange_bytes(request).instrument(span);
        let answered = tokio::time::timeout(limit, exchange).await.map_err(|_| failed(ErrorKind::TimedOut))?;
        let (status, retry_at, body) = answered.map_err(failed)?;
        let asked = retry_after(retry_at.as_ref(), self.clock.unix_seconds());
        call.parse(status, &body).map_err(|error| failed(error.into()).asked_to_wait(asked))
    }

    async fn exchange_bytes(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> Result<(http::StatusCode, Option<http::HeaderValue>, Vec<u8>), ErrorKind> {
        let request = reqwest::Request::try_from(request).map_err(|error| ErrorKind::BadRequest(plain(error)))?;
        let mut response = self.http.execute(request).await.map_err(unreachable)?;
        let status = response.status();
        let retry_at = response.headers().get(http::header::RETRY_AFTER).cloned();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(ErrorKind::BodyTooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, retry_at, body))
    }
}

/// Returns the text of an error and its causes without the URL, which may contain a password.
fn plain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn unreachable(error: reqwest::Error) -> ErrorKind {
    if error.is_connect() { ErrorKind::Unreachable(plain(error)) } else { unanswered(error) }
}

fn unanswered(error: reqwest::Error) -> ErrorKind {
    // A peer that does not speak HTTP also ends here. The retry it causes is harmless.
    let broke = error.is_request() || error.is_body();
    match () {
        () if error.is_timeout() => ErrorKind::TimedOut,
        () if broke => ErrorKind::ConnectionLost(plain(error)),
        () => ErrorKind::InvalidResponse(plain(error)),
    }
}
