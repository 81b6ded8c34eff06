//! Credentials, and the session that a login returns.

use ezlo_protocol::cloud::account::LoginAnswer;
use ezlo_protocol::cloud::call::{Auth, HostRole};
use ezlo_protocol::identity::{IdentityDocument, IdentityPair};
use ezlo_protocol::secret::{AppKey, Password, SessionToken};

use crate::environment::Environment;
use crate::error::{ErrorKind, MmsError};

/// The credentials of a user.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// User name; upper and lower case are equivalent.
    pub username: String,
    /// Password in clear text; masked in `Debug`.
    pub password: Password,
    /// Brand number (`PK_Oem`): 1 = Vera and Ezlo, 73 = Springs and Bali (default: 1).
    pub oem: i64,
    /// Application key issued by the vendor; optional (default: none).
    pub app_key: Option<AppKey>,
}

impl Credentials {
    /// Creates the credentials of a Vera or Ezlo user (`oem` 1) without an application key.
    pub fn new(username: impl Into<String>, password: impl Into<Password>) -> Self {
        Self { username: username.into(), password: password.into(), oem: 1, app_key: None }
    }
}

/// The parameters of a new account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Credentials of the first user.
    pub credentials: Credentials,
    /// Mail address of the first user.
    pub email: String,
}

/// The result of a login: an Identity with its signature, and the account servers of the user.
///
/// A session is not refreshed. [`Authenticator`](crate::Authenticator) replaces it before it expires.
#[derive(Debug, Clone)]
pub struct LoginSession {
    pair: IdentityPair,
    identity: IdentityDocument,
    pub(crate) account_hosts: (String, String),
    token: Option<SessionToken>,
}

impl LoginSession {
    /// Creates a session from a stored pair, with the vendor's default account servers. No network traffic.
    ///
    /// # Errors
    ///
    /// [`IdentityError`](ezlo_protocol::identity::IdentityError) if the Identity cannot be decoded. Signature and expiry are
    /// not checked.
    pub fn from_pair(pair: IdentityPair) -> Result<Self, ezlo_protocol::identity::IdentityError> {
        let identity = pair.decode()?;
        Ok(Self { pair, identity, account_hosts: Environment::hosts(HostRole::Account), token: None })
    }

    /// Returns the Identity and its signature, which authenticate the user.
    pub const fn pair(&self) -> &IdentityPair {
        &self.pair
    }

    /// Returns the decoded Identity; its times are Unix seconds.
    pub const fn identity(&self) -> &IdentityDocument {
        &self.identity
    }

    /// Returns the account number (`PK_Account`) that account calls refer to.
    pub const fn account(&self) -> u64 {
        self.identity.account
    }

    /// Sends this session token instead of the pair in calls that accept both.
    ///
    /// A session token is valid only on the host that issued it. See [`MmsClient::session_token`](crate::MmsClient::session_token).
    #[must_use]
    pub fn with_session_token(mut self, token: SessionToken) -> Self {
        self.token = Some(token);
        self
    }

    pub(crate) fn auth(&self) -> Auth<'_> {
        self.token.as_ref().map_or(Auth::Pair(&self.pair), Auth::Session)
    }
}

/// Returns the session of a login reply.
pub(crate) fn session(call: &'static str, answer: LoginAnswer) -> Result<LoginSession, MmsError> {
    let pair = answer.pair();
    let bad = |error: ezlo_protocol::identity::IdentityError| {
        MmsError::new(call, "", ErrorKind::InvalidResponse(ezlo_protocol::error::with_causes(&error)))
    };
    let mut session = LoginSession::from_pair(pair).map_err(bad)?;
    let named = |host: Option<&str>, usual: &str| host.filter(|host| !host.is_empty()).unwrap_or(usual).to_owned();
    let (primary, alternate) = session.account_hosts.clone();
    session.account_hosts =
        (named(answer.server_account.as_deref(), &primary), named(answer.server_account_alt.as_deref(), &alternate));
    Ok(session)
}
