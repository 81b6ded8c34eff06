//! Credentials of HTTP requests.

use crate::server::http::message::Reply;
use crate::server::http::message::Request;
use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::secret::{CloudToken, SessionToken};
use http::StatusCode;
use http::header::HeaderName;
use std::borrow::Cow;

use crate::config::Profile;
use crate::world::World;
use crate::world::tokens::{AuthError, Caller, ShownPair};

/// Returns a 501 reply if the evidence of an answer is below the level of `min_evidence`.
pub(crate) fn insufficient_evidence(world: &World, name: &str, evidence: Evidence) -> Option<Reply> {
    let text = ezlo_hub_sim::evidence::refusal_text(world.assumptions.min_evidence, name, evidence)?;
    Some(Reply::error(StatusCode::NOT_IMPLEMENTED, &text))
}

/// Authenticates the caller by the Identity and its signature, or else by the session token.
///
/// Invalid credentials are answered with 401 for every MMS call (one public client).
pub(crate) fn authenticate(world: &World, request: &Request) -> Result<Caller, Reply> {
    let now = world.clock.unix_seconds();
    let checked = match (pair(request), request.header(&SESSION)) {
        (Some(pair), _) => world.tokens.check_pair(pair, now),
        (None, Some(token)) => {
            let sessions = world.sessions();
            sessions.check(&SessionToken::new(token), now).and_then(|session| {
                let same_host = world.profile != Profile::Strict || accepts(&session.host, &request.host.name());
                if same_host { Ok(session.caller.clone()) } else { Err(AuthError::Bad) }
            })
        }
        (None, None) => Err(AuthError::Missing),
    };
    checked.and_then(|caller| world.admit(caller, &request.host.name(), &request.path)).map_err(unauthorized)
}

/// Returns whether a session token of the host `issuer` is valid at `host`.
///
/// A token is bound to its host, except that the device server accepts the account server's (three clients).
pub(crate) fn accepts(issuer: &str, host: &str) -> bool {
    issuer == host || issuer.contains("account") && host.contains("device")
}

/// Returns the name of the user whose tokens a request has, also if they have expired, or who logs in with it.
///
/// The name is empty if the request names no user.
pub(crate) fn user_of(world: &World, request: &Request) -> String {
    let caller = match (pair(request), request.header(&SESSION)) {
        (Some(pair), _) => world.tokens.check_pair(pair, i64::MIN).ok(),
        (None, Some(token)) => {
            world.sessions().check(&SessionToken::new(token), i64::MIN).ok().map(|known| known.caller.clone())
        }
        (None, None) => bearer(request).and_then(|token| world.tokens.check_cloud_token(&token, i64::MIN).ok()),
    };
    let named = request.path.strip_prefix("/autha/auth/username/").and_then(|name| decode(name.trim_end_matches('/')));
    caller.map(|caller| world.user_name(caller.user)).or(named.map(Cow::into_owned)).unwrap_or_default()
}

/// Header of the Identity. The header names are statics because nearly every request reads them.
pub(crate) static IDENTITY: HeaderName = HeaderName::from_static("mmsauth");

/// Header of the Identity's signature.
pub(crate) static SIGNATURE: HeaderName = HeaderName::from_static("mmsauthsig");

/// Header of the session token.
pub(crate) static SESSION: HeaderName = HeaderName::from_static("mmssession");

/// Returns the Identity and the signature of a request, if both headers are present.
pub(crate) fn pair(request: &Request) -> Option<ShownPair<'_>> {
    let (identity, signature) = (request.header(&IDENTITY)?.trim(), request.header(&SIGNATURE)?.trim());
    Some(ShownPair { identity, signature })
}

/// Returns the cloud token of the header `Authorization`.
pub(crate) fn bearer(request: &Request) -> Option<CloudToken> {
    let value = request.header("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| CloudToken::new(token.trim()))
}

/// Creates the 401 reply for an authentication error.
pub(crate) fn unauthorized(error: AuthError) -> Reply {
    let text = match error {
        AuthError::Missing => "Authentication required",
        AuthError::Bad => "Invalid identity",
        AuthError::Expired => "Identity expired",
    };
    Reply::error(StatusCode::UNAUTHORIZED, text)
}

/// Decodes a percent-encoded part of a path. Returns `None` if it is not UTF-8.
pub(crate) fn decode(part: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(part).decode_utf8().ok()
}
