//! Signed tokens: the Identity with its signature, and the cloud token. They are not stored; both are verified with the key
//! that signed them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ezlo_hub_sim::SeededRng;
use ezlo_protocol::identity::{
    self, EnabledPermission, IdentityDocument, IdentityPair, PERMISSION_ARGUMENTS, PERMISSION_WITH_ARGUMENTS,
    Permission, PermissionWithArguments,
};
use ezlo_protocol::jwt::JwtPayload;
use ezlo_protocol::secret::{CloudToken, IdentitySignature, IdentityToken, LocalToken, ProvisionToken};
use ezlo_protocol::serial::Serial;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use crate::core::rng::Random;
use crate::world::accounts::User;
use ezlo_hub_sim::encoding::{hex, uuid};
use ezlo_hub_sim::json::RawJson;

/// The issuer and verifier of tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    key: [u8; 32],
    /// Verified pairs by the first 32 bytes of their signature. A client sends the same pair with every request, so this saves
    /// most verifications.
    known: Arc<Mutex<HashMap<[u8; 32], Known>>>,
}

/// An Identity and its signature, as received in a request. Not `Debug`, because it is a credential.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShownPair<'a> {
    pub(crate) identity: &'a str,
    pub(crate) signature: &'a str,
}

impl<'a> ShownPair<'a> {
    fn of(pair: &'a IdentityPair) -> Self {
        Self { identity: pair.identity.expose(), signature: pair.signature.expose() }
    }
}

/// A verified pair and its caller.
type Known = Arc<(IdentityPair, Caller)>;

/// Maximum number of cached pairs of about 1.4 kB each. Above it, the cache is cleared; this affects performance only.
const MOST_KNOWN: usize = 1024;

impl serde::Serialize for Tokens {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.key))
    }
}

impl<'de> serde::Deserialize<'de> for Tokens {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = ezlo_hub_sim::encoding::bytes(&String::deserialize(deserializer)?);
        key.map(|key| Self { key, known: Arc::default() })
            .ok_or_else(|| serde::de::Error::custom("expected a key of 64 hexadecimal digits"))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(***)")
    }
}

/// The caller that a valid token identifies.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Caller {
    pub(crate) user: u64,
    pub(crate) account: u64,
    /// Expiry of the token, in Unix seconds.
    pub(crate) expires: i64,
    /// Number of the login that the token derives from.
    pub(crate) seq: i64,
    /// Brand of the login (`PK_Oem`).
    #[serde(default = "own_brand")]
    pub(crate) oem: i64,
}

/// Returns the brand of sessions that an earlier version persisted.
const fn own_brand() -> i64 {
    1
}

/// The errors of the verification of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthError {
    /// The request has no token.
    Missing,
    /// The token was not issued by this world, was changed, or is revoked.
    Bad,
    /// The token has expired.
    Expired,
}

/// Length of a signature in bytes, as of RSA-2048, so that its base64 has the 344 characters of the vendor's. The vendor's
/// algorithm is not known and no client verifies it; this one is an expanded HMAC.
const SIGNATURE_BYTES: usize = 256;

impl Tokens {
    pub(crate) fn new(random: &Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        Self::with_key(key)
    }

    pub(crate) fn with_key(key: [u8; 32]) -> Self {
        Self { key, known: Arc::default() }
    }

    #[expect(clippy::expect_used, reason = "a token without a signature would hide the bug")]
    fn mac(&self, purpose: &str, text: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC accepts a key of any length");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Returns the local key of a user for a hub: 32 hexadecimal digits.
    pub(crate) fn local(&self, serial: &Serial, user: u64) -> LocalToken {
        LocalToken::new(hex(&self.mac("local", &format!("{serial} {user}"))[..16]))
    }

    /// Returns the provision token of a controller: its serial and 32 hexadecimal digits. The vendor's form is not known.
    pub(crate) fn provision(&self, serial: &Serial) -> ProvisionToken {
        ProvisionToken::new(format!("{serial}.{}", hex(&self.mac("provision", serial.as_str())[..16])))
    }

    /// Returns the controller whose provision token this is.
    pub(crate) fn provisioned(&self, token: &ProvisionToken) -> Option<Serial> {
        let serial: Serial = token.expose().split_once('.')?.0.parse().ok()?;
        (self.provision(&serial) == *token).then_some(serial)
    }

    /// Returns the UUID of the cloud, which its controllers store.
    pub(crate) fn cloud_uuid(&self) -> String {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.mac("cloud uuid", "")[..16]);
        uuid(bytes)
    }

    /// Returns the signature of an Identity.
    fn sign(&self, identity: &IdentityToken) -> IdentitySignature {
        let (mac, mut bytes) = (self.mac("identity", identity.expose()), [0; SIGNATURE_BYTES]);
        SeededRng::from_seed(mac).fill(&mut bytes);
        IdentitySignature::new(STANDARD.encode(bytes))
    }

    /// Issues a signed Identity for a user, in the format of `issue.version`.
    pub(crate) fn issue_pair(&self, user: &User, issue: &Issue<'_>) -> IdentityPair {
        let identity = IdentityToken::new(STANDARD.encode(text(user, issue)));
        IdentityPair { signature: self.sign(&identity), identity }
    }

    /// Verifies a pair and returns its caller. `now` is in Unix seconds.
    pub(crate) fn check_pair(&self, shown: ShownPair<'_>, now: i64) -> Result<Caller, AuthError> {
        let begin = shown.signature.as_bytes().first_chunk::<32>().ok_or(AuthError::Bad)?;
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(begin).cloned();
        if let Some((_, caller)) = found.as_deref().filter(|(known, _)| ShownPair::of(known) == shown) {
            return if now >= caller.expires { Err(AuthError::Expired) } else { Ok(caller.clone()) };
        }
        let (identity, signature) = (IdentityToken::new(shown.identity), IdentitySignature::new(shown.signature));
        let pair = IdentityPair { identity, signature };
        if self.sign(&pair.identity) != pair.signature {
            return Err(AuthError::Bad);
        }
        let document = pair.decode().map_err(|_| AuthError::Bad)?;
        if document.is_expired_at(now) {
            return Err(AuthError::Expired);
        }
        let user = document.user.get().copied().ok_or(AuthError::Bad)?;
        let seq = document.seq.get().copied().unwrap_or_default();
        let oem = document.oem.get().copied().unwrap_or_else(own_brand);
        let caller = Caller { user, account: document.account, expires: document.expires, seq, oem };
        let mut known = known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(*begin, Arc::new((pair, caller.clone())));
        Ok(caller)
    }

    /// Issues a cloud token. `now` and `expires` are in Unix seconds.
    pub(crate) fn issue_cloud_token(&self, caller: &Caller, now: i64, expires: i64) -> CloudToken {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "typ": "JWT"}).to_string());
        let payload = json!({
            "iat": now,
            "token": {"expires_ts": expires, "pk_user": caller.user, "pk_account": caller.account, "seq": caller.seq,
                "oem": caller.oem},
        });
        let body = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.mac("cloud", &body));
        CloudToken::new(format!("{body}.{signature}"))
    }

    /// Verifies a cloud token and returns its caller. `now` is in Unix seconds.
    pub(crate) fn check_cloud_token(&self, token: &CloudToken, now: i64) -> Result<Caller, AuthError> {
        let (body, signature) = token.expose().rsplit_once('.').ok_or(AuthError::Bad)?;
        if URL_SAFE_NO_PAD.encode(self.mac("cloud", body)) != signature {
            return Err(AuthError::Bad);
        }
        let payload = JwtPayload::decode(token).map_err(|_| AuthError::Bad)?;
        let expires = payload.expires_at().ok_or(AuthError::Bad)?;
        let number =
            |name: &str| payload.token.get().and_then(|token| token.extra.get(name)?.as_u64()).ok_or(AuthError::Bad);
        // Tokens of earlier versions have no login number; they are never evicted by a later login.
        let seq = number("seq").ok().and_then(|seq| i64::try_from(seq).ok()).unwrap_or(i64::MAX);
        let oem = number("oem").ok().and_then(|oem| i64::try_from(oem).ok()).unwrap_or_else(own_brand);
        let caller = Caller { user: number("pk_user")?, account: number("pk_account")?, expires, seq, oem };
        if now >= expires { Err(AuthError::Expired) } else { Ok(caller) }
    }
}

/// The parameters of an Identity.
pub(crate) struct Issue<'a> {
    /// Time of issue, in Unix seconds.
    pub(crate) now: i64,
    /// Time until expiry, in seconds.
    pub(crate) lifetime: i64,
    /// Number of the login.
    pub(crate) seq: i64,
    /// Version of the format: 2 for the short form, otherwise the long form.
    pub(crate) version: u8,
    pub(crate) oem: i64,
    /// App id; 0 if the login had no AppKey.
    pub(crate) app: i64,
    /// Host that issues the Identity.
    pub(crate) server: &'a str,
}

/// Serialises an [`IdentityDocument`]. Its largest part, the permissions, is the same for all users and is serialised once.
fn text(user: &User, issue: &Issue<'_>) -> Vec<u8> {
    static PERMISSIONS: [OnceLock<String>; 2] = [const { OnceLock::new() }; 2];
    let short = issue.version == 2;
    let permissions = PERMISSIONS[usize::from(short)].get_or_init(|| permissions(short));
    let mut text = ezlo_protocol::wire::to_text(&document(user, issue));
    // The permissions follow the first two members, which are numbers and contain no comma.
    let after = text.match_indices(',').nth(1).map_or(text.len(), |(at, _)| at);
    text.insert_str(after, permissions);
    text.into_bytes()
}

/// Returns the members with the permissions, each preceded by a comma.
fn permissions(short: bool) -> String {
    let all = identity::owner_permissions();
    if short {
        let enabled = RawJson::of(&all.map(enabled).collect::<Vec<_>>());
        format!(",\"PermissionsEnabled\":{},\"PermissionsDisabled\":[],\"Version\":2", enabled.as_str())
    } else {
        format!(",\"Permissions\":{}", RawJson::of(&all.map(permission).collect::<Vec<_>>()).as_str())
    }
}

/// Returns the document without permissions.
fn document(user: &User, issue: &Issue<'_>) -> IdentityDocument {
    IdentityDocument {
        expires: issue.now.saturating_add(issue.lifetime),
        generated: issue.now,
        account: user.account,
        account_type: 5.into(),
        account_child: 0.into(),
        account_parent: 2375.into(),
        account_parent2: 1.into(),
        account_parent3: 0.into(),
        account_parent4: 0.into(),
        app: issue.app.into(),
        oem: issue.oem.into(),
        oem_user: "".into(),
        permission_role: user.role.into(),
        user: user.id.into(),
        server_auth_id: 1.into(),
        server_account_id: 5.into(),
        server_event_id: 13.into(),
        server_auth: issue.server.into(),
        seq: issue.seq.into(),
        username: user.username.as_str().into(),
        ..IdentityDocument::default()
    }
}

fn permission(permission: i64) -> Permission {
    let arguments = (permission == PERMISSION_WITH_ARGUMENTS).then(|| PERMISSION_ARGUMENTS.to_owned());
    Permission { permission, mode: 1.into(), arguments: arguments.into(), ..Permission::default() }
}

fn enabled(permission: i64) -> EnabledPermission {
    if permission == PERMISSION_WITH_ARGUMENTS {
        EnabledPermission::WithArguments(PermissionWithArguments {
            permission,
            arguments: PERMISSION_ARGUMENTS.into(),
            ..PermissionWithArguments::default()
        })
    } else {
        EnabledPermission::Number(permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        User::for_test("demo.user", 2_800_001, 1_200_001)
    }

    fn issue(version: u8) -> Issue<'static> {
        Issue {
            now: 1_700_000_000,
            lifetime: 86_400,
            seq: 1,
            version,
            oem: 1,
            app: 0,
            server: "vera-us-oem-autha11.mios.com",
        }
    }

    #[test]
    fn changed_or_expired_pair_is_refused() {
        let tokens = Tokens::new(&Random::new(1));
        for version in [1, 2] {
            let pair = tokens.issue_pair(&user(), &issue(version));
            assert_eq!(pair.signature.expose().len(), 344);
            let caller = tokens.check_pair(ShownPair::of(&pair), 1_700_086_399).unwrap();
            assert_eq!((caller.user, caller.account, caller.expires), (2_800_001, 1_200_001, 1_700_086_400));
            assert_eq!(tokens.check_pair(ShownPair::of(&pair), 1_700_086_400), Err(AuthError::Expired));
            let mut other = pair.clone();
            let mut document = pair.decode().unwrap();
            document.account = 7;
            other.identity = document.encode();
            assert_eq!(tokens.check_pair(ShownPair::of(&other), 1_700_000_000), Err(AuthError::Bad));
            assert_eq!(
                Tokens::new(&Random::new(2)).check_pair(ShownPair::of(&pair), 1_700_000_000),
                Err(AuthError::Bad)
            );
        }
    }

    #[test]
    fn local_key_depends_on_hub_user_and_seed() {
        let tokens = Tokens::new(&Random::new(1));
        let (hub, other): (Serial, Serial) = ("90000001".parse().unwrap(), "90000002".parse().unwrap());
        let token = tokens.local(&hub, 7);
        assert!(token.expose().len() == 32 && token == tokens.clone().local(&hub, 7));
        for another in [tokens.local(&other, 7), tokens.local(&hub, 8), Tokens::new(&Random::new(2)).local(&hub, 7)] {
            assert_ne!(token, another);
        }
    }

    #[test]
    fn identity_text_equals_its_serialised_document() {
        for version in [1, 2] {
            let (issue, short) = (issue(version), version == 2);
            let whole = IdentityDocument {
                permissions: (!short).then(|| identity::owner_permissions().map(permission).collect()).into(),
                permissions_enabled: short.then(|| identity::owner_permissions().map(enabled).collect()).into(),
                permissions_disabled: short.then(Vec::new).into(),
                version: short.then_some(2).into(),
                ..document(&user(), &issue)
            };
            assert_eq!(String::from_utf8(text(&user(), &issue)).unwrap(), serde_json::to_string(&whole).unwrap());
        }
    }

    #[test]
    fn identity_is_as_long_as_the_vendors_identity() {
        let tokens = Tokens::new(&Random::new(1));
        let long = tokens.issue_pair(&user(), &issue(1)).identity.expose().len();
        let short = tokens.issue_pair(&user(), &issue(2)).identity.expose().len();
        assert!((3300..3900).contains(&long), "{long}");
        assert!((1000..1500).contains(&short), "{short}");
    }

    #[test]
    fn changed_or_expired_cloud_token_is_refused() {
        let tokens = Tokens::new(&Random::new(1));
        let caller = Caller { user: 1, account: 2, expires: 0, seq: 1, oem: 1 };
        let token = tokens.issue_cloud_token(&caller, 100, 200);
        assert_eq!(tokens.check_cloud_token(&token, 199).unwrap().account, 2);
        assert_eq!(tokens.check_cloud_token(&token, 200), Err(AuthError::Expired));
        let changed = token.expose().replacen("eyJ", "eyK", 1);
        assert_eq!(tokens.check_cloud_token(&changed.into(), 100), Err(AuthError::Bad));
        assert_eq!(tokens.check_cloud_token(&"x".into(), 100), Err(AuthError::Bad));
    }
}
