//! The client: one method per call, primary host then alternate, a limit on every wait and every answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ezlo_protocol::cloud::account::{AccountRecord, ClaimAnswer, HubListEntry, LoginAnswer, UserRecord};
use ezlo_protocol::cloud::api::{Controller, TokenAnswer};
use ezlo_protocol::cloud::call::{
    AccessKeysSync, Auth, Call, ClaimHub, CreateAccount, ExchangeToken, GetAccount, GetHub, GetSessionToken, HostRole,
    ListControllers, ListHubs, ListUsers, LocateHubs, LogIn, LoginV4, LoginV4Version, LoginWithIdAndPassword,
    UpdateAccount,
};
use ezlo_protocol::cloud::hub_record::{HubRecord, LocatedHub};
use ezlo_protocol::cloud::keys::AccessKeys;
use ezlo_protocol::identity::{IdentityDocument, IdentityPair};
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::secret::{AppKey, CloudToken, Password, SessionToken};
use ezlo_protocol::serial::Serial;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::clock::{Clock, SharedClock, SystemClock};
use crate::environment::{Environment, EnvironmentError};
use crate::error::{Error, ErrorKind};
use crate::retry::{Budget, RetryPolicy, chance, retry_after};

/// How long a call may take; public clients use 20 to 30 s.
const CALL_TIME: Duration = Duration::from_secs(30);
/// How long the token exchange may take; one public client allows it 60 s.
const EXCHANGE_TIME: Duration = Duration::from_secs(60);
/// Hosts whose alternate is remembered.
const MAX_HOSTS: usize = 256;
/// Longest answer, in bytes; the longest real one (many hubs' keys) is a few hundred kB.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// A client of the account cloud. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct MmsClient {
    environment: Environment,
    http: reqwest::Client,
    clock: SharedClock,
    retry: RetryPolicy,
    budget: Budget,
    /// Primary hosts whose alternate answered last.
    on_alternate: Arc<Mutex<HashSet<String>>>,
}

/// What a user logs in with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Name, in any case.
    pub username: String,
    /// Password.
    pub password: Password,
    /// 1 = Vera and Ezlo, 73 = Springs/Bali.
    pub oem: i64,
    /// The application's key; optional.
    pub app_key: Option<AppKey>,
}

impl Credentials {
    /// A Vera or Ezlo user.
    pub fn new(username: impl Into<String>, password: impl Into<Password>) -> Self {
        Self { username: username.into(), password: password.into(), oem: 1, app_key: None }
    }
}

/// A wish for an account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Who will log in, and with what.
    pub credentials: Credentials,
    /// Mail address.
    pub email: String,
}

/// A user who is logged in.
#[derive(Debug, Clone)]
pub struct LoginSession {
    pair: IdentityPair,
    identity: IdentityDocument,
    account_hosts: (String, String),
    token: Option<SessionToken>,
}

impl LoginSession {
    /// From a pair that was kept; the account servers are the vendor's usual ones.
    pub fn from_pair(pair: IdentityPair) -> Result<Self, ezlo_protocol::identity::IdentityError> {
        let identity = pair.decode()?;
        Ok(Self { pair, identity, account_hosts: Environment::hosts(HostRole::Account), token: None })
    }

    /// What authenticates the user.
    pub const fn pair(&self) -> &IdentityPair {
        &self.pair
    }

    /// What the Identity says.
    pub const fn identity(&self) -> &IdentityDocument {
        &self.identity
    }

    /// The account that the account calls are about.
    pub const fn account(&self) -> u64 {
        self.identity.account
    }

    /// Sends this session token in place of the pair where both are accepted.
    #[must_use]
    pub fn with_session_token(mut self, token: SessionToken) -> Self {
        self.token = Some(token);
        self
    }

    fn auth(&self) -> Auth<'_> {
        self.token.as_ref().map_or(Auth::Pair(&self.pair), Auth::Session)
    }
}

impl MmsClient {
    /// A client for that environment.
    pub fn new(environment: Environment) -> Result<Self, EnvironmentError> {
        let http = environment.http_client()?;
        let retry = RetryPolicy::default();
        let budget = Budget::new(&retry);
        let clock = SharedClock::new(SystemClock);
        Ok(Self { environment, http, clock, retry, budget, on_alternate: Arc::default() })
    }

    /// By that clock, which decides when an identity expires.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = SharedClock::new(clock);
        self
    }

    /// Tries calls again in that way.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.budget = Budget::new(&retry);
        self.retry = retry;
        self
    }

    pub(crate) const fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Where the cloud is.
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Makes an account with its first user, who is logged in then. The password travels in clear text inside the URL.
    pub async fn create_account(&self, wish: &NewAccount) -> Result<LoginSession, Error> {
        let Credentials { username, password, oem, app_key } = &wish.credentials;
        let call = CreateAccount { username, email: &wish.email, password, oem: *oem, app_key: app_key.as_ref() };
        session("create_account", self.send(&call, &Environment::hosts(HostRole::Auth)).await?)
    }

    /// Logs a user in. Good for 24 hours.
    pub async fn log_in(&self, credentials: &Credentials) -> Result<LoginSession, Error> {
        let Credentials { username, password, oem, app_key } = credentials;
        let call = LogIn { username, password, oem: *oem, app_key: app_key.as_ref(), token_version: None };
        session("login", self.send(&call, &Environment::hosts(HostRole::Auth)).await?)
    }

    /// Asks the account server for a session token of its own.
    pub async fn session_token(&self, session: &LoginSession) -> Result<SessionToken, Error> {
        self.send(&GetSessionToken { pair: &session.pair }, &session.account_hosts).await
    }

    /// Reads the account.
    pub async fn account(&self, session: &LoginSession) -> Result<AccountRecord, Error> {
        self.send(&GetAccount { auth: session.auth(), account: session.account() }, &session.account_hosts).await
    }

    /// Changes the account; only the members that are there change. The answer's text is not described anywhere.
    pub async fn change_account(&self, session: &LoginSession, change: &AccountRecord) -> Result<String, Error> {
        let call = UpdateAccount { auth: session.auth(), account: session.account(), change };
        self.send(&call, &session.account_hosts).await
    }

    /// Lists the users of the account.
    pub async fn users(&self, session: &LoginSession) -> Result<Vec<UserRecord>, Error> {
        let call = ListUsers { auth: session.auth(), account: session.account() };
        Ok(self.send(&call, &session.account_hosts).await?.users)
    }

    /// Lists the hubs of the account.
    pub async fn hubs(&self, session: &LoginSession) -> Result<Vec<HubListEntry>, Error> {
        let call = ListHubs { auth: session.auth(), account: session.account() };
        Ok(self.send(&call, &session.account_hosts).await?.devices)
    }

    /// Claims a hub for the account, with serial and MAC address from its label.
    pub async fn claim(&self, session: &LoginSession, serial: &Serial, mac: MacAddress) -> Result<ClaimAnswer, Error> {
        let call = ClaimHub { auth: session.auth(), installation: 0, serial, mac };
        self.send(&call, &session.account_hosts).await
    }

    /// Reads what the service knows of a hub, from the account server, which answers for every hub of the account.
    pub async fn hub(&self, session: &LoginSession, serial: &Serial) -> Result<HubRecord, Error> {
        self.send(&GetHub { auth: session.auth(), serial }, &session.account_hosts).await
    }

    /// Reads what the service knows of a hub, from the device server that the hub list names.
    pub async fn hub_at(&self, session: &LoginSession, entry: &HubListEntry) -> Result<HubRecord, Error> {
        let text = |host: Option<&str>| host.unwrap_or_default().to_owned();
        let hosts = (text(entry.server_device.as_deref()), text(entry.server_device_alt.as_deref()));
        let hosts = if hosts.0.is_empty() { Environment::hosts(HostRole::Device) } else { hosts };
        self.send(&GetHub { auth: session.auth(), serial: entry.serial.get() }, &hosts).await
    }

    /// Finds hubs behind the caller's public address; needs no login.
    pub async fn locate(&self) -> Result<Vec<LocatedHub>, Error> {
        let answer = self.send(&LocateHubs::default(), &Environment::hosts(HostRole::Locator)).await?;
        Ok(answer.devices.into_option().unwrap_or_default())
    }

    /// Exchanges the pair for a token of the cloud API.
    pub async fn exchange(&self, session: &LoginSession) -> Result<CloudToken, Error> {
        let call = ExchangeToken { pair: &session.pair };
        Ok(self.send(&call, &Environment::hosts(HostRole::Cloud)).await?.token)
    }

    /// Reads the user's keys, among them the local token of each hub.
    pub async fn access_keys(&self, token: &CloudToken) -> Result<AccessKeys, Error> {
        self.send(&AccessKeysSync { token }, &Environment::hosts(HostRole::CloudApi)).await
    }

    /// Logs in at the cloud API's gateway; gives the pair too.
    pub async fn log_in_at_gateway(&self, user_id: &str, password: &Password) -> Result<TokenAnswer, Error> {
        self.send(&LoginWithIdAndPassword { user_id, password }, &Environment::hosts(HostRole::CloudApi)).await
    }

    /// Logs in by the v4 call.
    pub async fn log_in_v4(
        &self,
        version: LoginV4Version,
        user_id: &str,
        password: &Password,
    ) -> Result<TokenAnswer, Error> {
        self.send(&LoginV4 { version, user_id, password }, &Environment::hosts(HostRole::CloudApi)).await
    }

    /// Lists the hubs with their local keys and relay addresses, by the v4 call.
    pub async fn controllers(&self, token: &CloudToken) -> Result<Vec<Controller>, Error> {
        Ok(self.send(&ListControllers { token }, &Environment::hosts(HostRole::CloudApi)).await?.controllers)
    }

    /// Sends a call, and again as the policy says: only what changes nothing when it is done twice, or cannot have left.
    async fn send<C: Call>(&self, call: &C, hosts: &(String, String)) -> Result<C::Answer, Error> {
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
            tracing::info!(call = C::SPEC.name, %error, ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends a call to the host that answered last, and to the other one when that fails. What must not be done twice goes
    /// to the other only when it cannot have left.
    async fn send_once<C: Call>(&self, call: &C, hosts: &(String, String)) -> Result<C::Answer, Error> {
        let (primary, alternate) = hosts;
        let has_other = !self.environment.has_one_server() && !alternate.is_empty() && alternate != primary;
        let on_alternate = has_other && self.alternates().contains(primary);
        let (first, second) = if on_alternate { (alternate, primary) } else { (primary, alternate) };
        let outcome = self.send_to(call, first).await;
        match outcome {
            Err(error) if has_other && error.is_transient() && (C::SPEC.idempotent || error.never_left()) => {
                tracing::info!(call = C::SPEC.name, host = %first, %error, "trying the other host");
                let asked = error.retry_after();
                // Who asked to be left alone is asked first again after a failure of the other.
                let second_outcome = self.send_to(call, second).await.map_err(|second| second.not_before(asked));
                if !second_outcome.as_ref().is_err_and(Error::is_transient) {
                    self.remember(primary, !on_alternate);
                }
                second_outcome
            }
            outcome => outcome,
        }
    }

    fn alternates(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.on_alternate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hosts come from the service; a handful is normal.
    fn remember(&self, primary: &str, on_alternate: bool) {
        let mut alternates = self.alternates();
        if !on_alternate {
            alternates.remove(primary);
        } else if alternates.len() < MAX_HOSTS {
            alternates.insert(primary.to_owned());
        }
    }

    async fn send_to<C: Call>(&self, call: &C, host: &str) -> Result<C::Answer, Error> {
        let failed = |kind| Error::new(C::SPEC.name, host, kind);
        let request = call.request(&self.environment.url(host)).map_err(|_| {
            failed(ErrorKind::BadRequest(
                "the request cannot be built: a token or host has characters that no header or URL takes".into(),
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

/// The library's text without the URL, which may hold a password.
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
    // What is no HTTP at all is one of these too; it is asked once more, which costs little.
    let broke = error.is_request() || error.is_body();
    match () {
        () if error.is_timeout() => ErrorKind::TimedOut,
        () if broke => ErrorKind::ConnectionLost(plain(error)),
        () => ErrorKind::InvalidResponse(plain(error)),
    }
}

fn session(call: &'static str, answer: LoginAnswer) -> Result<LoginSession, Error> {
    let pair = answer.pair();
    let bad = |error: ezlo_protocol::identity::IdentityError| {
        Error::new(call, "", ErrorKind::InvalidResponse(error.to_string()))
    };
    let mut session = LoginSession::from_pair(pair).map_err(bad)?;
    let named = |host: Option<&str>, usual: &str| host.filter(|host| !host.is_empty()).unwrap_or(usual).to_owned();
    let (primary, alternate) = session.account_hosts.clone();
    session.account_hosts =
        (named(answer.server_account.as_deref(), &primary), named(answer.server_account_alt.as_deref(), &alternate));
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    async fn log_in(answer: ResponseTemplate) -> Error {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let client = MmsClient::new(Environment::from_base_url(&server.uri()).unwrap())
            .unwrap()
            .with_retry(RetryPolicy::never());
        client.log_in(&Credentials::new("demo.user", "hunter2")).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_a_server_can_do_wrong_has_its_own_error() {
        let kind = |error: &Error| format!("{:?}", error.kind()).split(['(', ' ']).next().unwrap().to_owned();
        let cases = [
            (ResponseTemplate::new(404), "BadCredentials"),
            (ResponseTemplate::new(401), "BadCredentials"),
            (ResponseTemplate::new(403).set_body_string("ERROR:no"), "Refused"),
            (ResponseTemplate::new(503), "Unavailable"),
            (ResponseTemplate::new(429), "Unavailable"),
            (ResponseTemplate::new(302).insert_header("location", "http://login.example/"), "Refused"),
            (ResponseTemplate::new(200), "InvalidResponse"),
            (ResponseTemplate::new(200).set_body_string("<html>captive portal</html>"), "InvalidResponse"),
            (
                ResponseTemplate::new(200).set_body_string(r#"{"Identity":"!","IdentitySignature":"s"}"#),
                "InvalidResponse",
            ),
            (ResponseTemplate::new(200).set_body_bytes(vec![b'x'; MAX_ANSWER + 1]), "BodyTooLarge"),
        ];
        for (answer, expected) in cases {
            let error = log_in(answer).await;
            assert_eq!(kind(&error), expected, "{error}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter2") && !text.contains("SHA1Password"), "{text}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let client = MmsClient::new(Environment::from_base_url("http://127.0.0.1:1").unwrap()).unwrap();
        let client = client.with_retry(RetryPolicy::never());
        let error = client.log_in(&Credentials::new("demo.user", "hunter2")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unreachable(_)), "{error}");
        assert!(
            error.to_string().starts_with("login at vera-us-oem-autha11.mios.com failed: no connection"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_alternate_is_asked_when_the_primary_fails() {
        let server = MockServer::start().await;
        let first = ResponseTemplate::new(503);
        Mock::given(any()).respond_with(first).up_to_n_times(1).expect(1).mount(&server).await;
        Mock::given(any()).respond_with(ResponseTemplate::new(404)).expect(1).mount(&server).await;
        let mut client = MmsClient::new(Environment::from_base_url(&server.uri()).unwrap()).unwrap();
        // Plain HTTP cannot go to vendor names, so the hosts are this server's two names.
        client.environment = Environment::vendor();
        let port = server.address().port();
        let call = Scripted { port };
        let hosts = ("localhost".to_owned(), "127.0.0.1".to_owned());
        let error = client.send(&call, &hosts).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused(_)), "{error}");
    }

    /// Goes to a port of this machine over plain HTTP, whatever host it is given.
    struct Scripted {
        port: u16,
    }

    impl Call for Scripted {
        const SPEC: ezlo_protocol::cloud::call::CallSpec = LocateHubs::SPEC;
        type Answer = ezlo_protocol::cloud::hub_record::LocatorAnswer;

        fn request(&self, base: &str) -> Result<http::Request<bytes::Bytes>, ezlo_protocol::cloud::call::RequestError> {
            let host = base.trim_start_matches("https://");
            LocateHubs::default().request(&format!("http://{host}:{}", self.port))
        }

        fn parse(
            &self,
            status: http::StatusCode,
            body: &[u8],
        ) -> Result<Self::Answer, ezlo_protocol::cloud::call::AnswerError> {
            LocateHubs::default().parse(status, body)
        }
    }
}
