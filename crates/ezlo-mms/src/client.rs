//! The HTTP client of the account cloud, with one method for each call.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use ezlo_protocol::cloud::account::{AccountRecord, ClaimAnswer, HubListEntry, UserRecord};
use ezlo_protocol::cloud::api::{Controller, TokenAnswer};
use ezlo_protocol::cloud::call::{
    AccessKeysSync, ClaimHub, CreateAccount, ExchangeToken, GetAccount, GetHub, GetSessionToken, HostRole,
    ListControllers, ListHubs, ListUsers, LocateHubs, LogIn, LoginV4, LoginV4Version, LoginWithIdAndPassword,
    UpdateAccount,
};
use ezlo_protocol::cloud::hub_record::{HubRecord, LocatedHub};
use ezlo_protocol::cloud::keys::AccessKeys;
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::secret::{CloudToken, Password, SessionToken};
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::Entries;

use crate::clock::{Clock, SharedClock, SystemClock};
use crate::environment::{Environment, EnvironmentError};
use crate::error::MmsError;
use crate::login_session::{Credentials, LoginSession, NewAccount, session};
use crate::retry::{Budget, RetryPolicy};

mod transport;

/// An HTTP client of the account cloud, with one method for each call.
///
/// Cheap to clone. Clones share connections, the retry budget and the choice between primary and alternate host.
/// Calls need a Tokio runtime with I/O and time.
///
/// Each call is sent to the host that answered last, at first the primary host. After a transient error the other host is
/// tried, and then the call is repeated according to [`RetryPolicy`]. A call that is not idempotent is repeated only if no
/// connection was established. An [`Environment::from_base_url`] has one host for everything.
///
/// | limit | value |
/// |---|---|
/// | connection set-up | 10 s |
/// | one HTTP exchange | 30 s; 60 s for [`exchange`](Self::exchange) |
/// | response body | 8 MiB |
/// | redirects | 0 |
///
/// ```no_run
/// use ezlo_mms::{Credentials, Environment, MmsClient};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = MmsClient::new(Environment::vendor())?;
/// let session = client.log_in(&Credentials::new("user", "password")).await?;
/// for hub in client.hubs(&session).await? {
///     println!("{}", hub.serial);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Each call can fail with these kinds of [`MmsError`]. The methods list further ones.
///
/// - [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable), [`ErrorKind::ConnectionLost`](crate::ErrorKind::ConnectionLost), [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut): no complete response.
/// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): HTTP 408, 429, or 500 and above.
/// - [`ErrorKind::IdentityExpired`](crate::ErrorKind::IdentityExpired): HTTP 401, except from [`log_in`](Self::log_in) and [`log_in_v4`](Self::log_in_v4).
/// - [`ErrorKind::Refused`](crate::ErrorKind::Refused): any other HTTP status that is not a success.
/// - [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge), [`ErrorKind::Decode`](crate::ErrorKind::Decode),
///   [`ErrorKind::InvalidResponse`](crate::ErrorKind::InvalidResponse): the response is not one of this service.
/// - [`ErrorKind::BadRequest`](crate::ErrorKind::BadRequest): a parameter cannot be sent in a URL or header.
///
/// # Cancel safety
///
/// A call can be dropped at any time and leaves the client usable. A request that was sent may still take effect.
#[derive(Debug, Clone)]
pub struct MmsClient {
    environment: Environment,
    http: reqwest::Client,
    clock: SharedClock,
    retry: RetryPolicy,
    budget: Budget,
    /// Primary hosts whose alternate was the last to answer.
    on_alternate: Arc<Mutex<HashSet<String>>>,
}

impl MmsClient {
    /// Creates a client for an environment, with the default [`RetryPolicy`] and the machine clock. No network traffic.
    ///
    /// # Errors
    ///
    /// - [`EnvironmentError::Certificates`] if an additional certificate cannot be used, or if TLS cannot be set up.
    /// - [`EnvironmentError::Proxy`] if the proxy address cannot be used.
    pub fn new(environment: Environment) -> Result<Self, EnvironmentError> {
        let http = environment.http_client()?;
        let retry = RetryPolicy::default();
        let budget = Budget::new(&retry);
        let clock = SharedClock::new(SystemClock);
        Ok(Self { environment, http, clock, retry, budget, on_alternate: Arc::default() })
    }

    /// Replaces the clock (default: [`SystemClock`]).
    ///
    /// The clock decides when an [`Authenticator`](crate::Authenticator) refreshes an Identity. It also converts a
    /// `Retry-After` date to a wait.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = SharedClock::new(clock);
        self
    }

    /// Replaces the retry policy (default: [`RetryPolicy::default`]) and starts a new retry budget.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.budget = Budget::new(&retry);
        self.retry = retry;
        self
    }

    pub(crate) const fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Returns the environment of this client.
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Creates an account with its first user, and returns the session of that user.
    ///
    /// Sends one `POST` to the auth server. The URL contains the password in clear text (vendor).
    /// The call is repeated only if no connection was established. Evidence: vendor (request), inferred (response).
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors). After [`ErrorKind::ConnectionLost`](crate::ErrorKind::ConnectionLost) or [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) the account may exist.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the account may have been created.
    pub async fn create_account(&self, request: &NewAccount) -> Result<LoginSession, MmsError> {
        let Credentials { username, password, oem, app_key } = &request.credentials;
        let call = CreateAccount { username, email: &request.email, password, oem: *oem, app_key: app_key.as_ref() };
        session("create_account", self.send(&call, &Environment::hosts(HostRole::Auth)).await?)
    }

    /// Logs a user in. The Identity is normally valid for 24 hours.
    ///
    /// Sends one `GET` with a digest of the password to the auth server. Evidence: vendor (request), client-source (response).
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors), and [`ErrorKind::BadCredentials`](crate::ErrorKind::BadCredentials) on HTTP 401 and 404. It is never retried.
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn log_in(&self, credentials: &Credentials) -> Result<LoginSession, MmsError> {
        let Credentials { username, password, oem, app_key } = credentials;
        let call = LogIn { username, password, oem: *oem, app_key: app_key.as_ref(), token_version: None };
        session("login", self.send(&call, &Environment::hosts(HostRole::Auth)).await?)
    }

    /// Fetches a session token from the account server. It is valid only on the host that issued it.
    ///
    /// Sends one `GET` with the pair. Evidence: client-source.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors), and [`ErrorKind::Refused`](crate::ErrorKind::Refused) if a success contains no token.
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn session_token(&self, session: &LoginSession) -> Result<SessionToken, MmsError> {
        self.send(&GetSessionToken { pair: session.pair() }, &session.account_hosts).await
    }

    /// Fetches the account record from the account server.
    ///
    /// Sends one `GET`; the result is not cached. Evidence: vendor (request), inferred (response).
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors).
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn account(&self, session: &LoginSession) -> Result<AccountRecord, MmsError> {
        self.send(&GetAccount { auth: session.auth(), account: session.account() }, &session.account_hosts).await
    }

    /// Changes the account and returns the text of the response, whose format is unspecified.
    ///
    /// Only members that are set in `change` are sent and changed. Sends one `PUT` to the account server.
    /// Evidence: vendor (request), inferred (response).
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors). After a transient error the change may have been applied.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the change may have been applied.
    pub async fn change_account(&self, session: &LoginSession, change: &AccountRecord) -> Result<String, MmsError> {
        let call = UpdateAccount { auth: session.auth(), account: session.account(), change };
        self.send(&call, &session.account_hosts).await
    }

    /// Fetches the users of the account from the account server.
    ///
    /// Sends one `GET`; the result is not cached. Evidence: inferred.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors).
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn users(&self, session: &LoginSession) -> Result<Vec<UserRecord>, MmsError> {
        let call = ListUsers { auth: session.auth(), account: session.account() };
        Ok(self.send(&call, &session.account_hosts).await?.users)
    }

    /// Fetches the hubs of the account from the account server.
    ///
    /// An entry that cannot be decoded is omitted and logged as a warning.
    ///
    /// Sends one `GET`; the result is not cached. Evidence: vendor (request), client-source (response).
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors).
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn hubs(&self, session: &LoginSession) -> Result<Vec<HubListEntry>, MmsError> {
        let call = ListHubs { auth: session.auth(), account: session.account() };
        Ok(readable("hub list", self.send(&call, &session.account_hosts).await?.devices))
    }

    /// Claims a hub for the account, in its default installation. Serial and MAC address are on the label of the hub.
    ///
    /// Sends one `PUT` to the account server; a repeated claim has no further effect.
    /// Evidence: vendor (request), inferred (response).
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors). After a transient error the hub may have been claimed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the hub may have been claimed.
    pub async fn claim(
        &self,
        session: &LoginSession,
        serial: &Serial,
        mac: MacAddress,
    ) -> Result<ClaimAnswer, MmsError> {
        let call = ClaimHub { auth: session.auth(), installation: 0, serial, mac };
        self.send(&call, &session.account_hosts).await
    }

    /// Fetches the record of a hub, with the address of its relay, from the account server.
    ///
    /// The account server answers for every hub of the account. Sends one `GET`; the result is not cached.
    /// Evidence: client-source.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors).
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn hub(&self, session: &LoginSession, serial: &Serial) -> Result<HubRecord, MmsError> {
        self.send(&GetHub { auth: session.auth(), serial }, &session.account_hosts).await
    }

    /// Fetches the record of a hub from the device server of its hub-list entry.
    ///
    /// If the entry names no device server, the vendor's default device servers are used. Sends one `GET`, and another one to
    /// the alternate server if the first server refuses it: servers were seen to be mixed up. The result is not cached.
    /// Evidence: client-source.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors).
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn hub_at(&self, session: &LoginSession, entry: &HubListEntry) -> Result<HubRecord, MmsError> {
        let text = |host: Option<&str>| host.unwrap_or_default().to_owned();
        let hosts = (text(entry.server_device.as_deref()), text(entry.server_device_alt.as_deref()));
        let hosts = if hosts.0.is_empty() { Environment::hosts(HostRole::Device) } else { hosts };
        let call = GetHub { auth: session.auth(), serial: entry.serial.get() };
        match self.send(&call, &hosts).await {
            Err(error) if self.refused_by_one_of_two(&error, &hosts) => {
                tracing::info!(host = %hosts.0, %error, "trying the alternate device server");
                // The first refusal is reported if the alternate server does not know the hub either.
                self.send(&call, &(hosts.1, hosts.0)).await.map_err(|_| error)
            }
            outcome => outcome,
        }
    }

    /// Finds hubs behind the public IP address of the caller. Needs no login.
    ///
    /// Sends one `GET` to the locator; the result is not cached. Evidence: client-source.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors).
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn locate(&self) -> Result<Vec<LocatedHub>, MmsError> {
        let answer = self.send(&LocateHubs::default(), &Environment::hosts(HostRole::Locator)).await?;
        Ok(readable("locator", answer.devices.into_option().unwrap_or_default()))
    }

    /// Exchanges the pair of a session for a token of the cloud API.
    ///
    /// Sends one `GET`, with a timeout of 60 s. Evidence: client-source.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors).
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn exchange(&self, session: &LoginSession) -> Result<CloudToken, MmsError> {
        let call = ExchangeToken { pair: session.pair() };
        Ok(self.send(&call, &Environment::hosts(HostRole::Cloud)).await?.token)
    }

    /// Fetches the keys of the user, among them the local token of each hub.
    ///
    /// Sends one `POST` to the gateway of the cloud API; the result is not cached. Evidence: client-source.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors), and [`ErrorKind::Refused`](crate::ErrorKind::Refused) if the gateway reports a failure with HTTP 200.
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn access_keys(&self, token: &CloudToken) -> Result<AccessKeys, MmsError> {
        self.send(&AccessKeysSync { token }, &Environment::hosts(HostRole::CloudApi)).await
    }

    /// Logs in at the gateway of the cloud API. The result is a token, and the MMS pair if the service sends it.
    ///
    /// Sends one `POST` with the password in clear text. Evidence: vendor.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors), and [`ErrorKind::Refused`](crate::ErrorKind::Refused) if the gateway reports a failure with HTTP 200.
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn log_in_at_gateway(&self, user_id: &str, password: &Password) -> Result<TokenAnswer, MmsError> {
        self.send(&LoginWithIdAndPassword { user_id, password }, &Environment::hosts(HostRole::CloudApi)).await
    }

    /// Logs in by the v4 call of the cloud API.
    ///
    /// [`LoginV4Version::V1`] returns the MMS pair beside the token, [`LoginV4Version::V3`] the token alone.
    /// Sends one `POST` with the password in clear text. Evidence: vendor.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors), and [`ErrorKind::BadCredentials`](crate::ErrorKind::BadCredentials) on HTTP 400, 401, 403 and on a success without
    /// a token.
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn log_in_v4(
        &self,
        version: LoginV4Version,
        user_id: &str,
        password: &Password,
    ) -> Result<TokenAnswer, MmsError> {
        self.send(&LoginV4 { version, user_id, password }, &Environment::hosts(HostRole::CloudApi)).await
    }

    /// Fetches the hubs with their local keys and relay addresses, by the v4 call of the cloud API.
    ///
    /// Sends one `GET`; the result is not cached. Evidence: vendor.
    ///
    /// # Errors
    ///
    /// [Common errors](MmsClient#errors).
    ///
    /// # Cancel safety
    ///
    /// The future can be dropped without loss.
    pub async fn controllers(&self, token: &CloudToken) -> Result<Vec<Controller>, MmsError> {
        Ok(self.send(&ListControllers { token }, &Environment::hosts(HostRole::CloudApi)).await?.controllers)
    }
}

/// Returns the entries that could be decoded, and logs the others.
fn readable<T>(list: &'static str, entries: Entries<T>) -> Vec<T> {
    for entry in entries.unreadable() {
        tracing::warn!(list, position = entry.position, error = %entry.error, "an entry cannot be decoded and is omitted");
    }
    entries.into_vec()
}

#[cfg(test)]
mod tests {
    use super::transport::MAX_ANSWER;
    use super::*;
    use crate::error::ErrorKind;
    use ezlo_protocol::cloud::call::Call;
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    async fn log_in(answer: ResponseTemplate) -> MmsError {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let client = MmsClient::new(Environment::from_base_url(&server.uri()).unwrap())
            .unwrap()
            .with_retry(RetryPolicy::never());
        client.log_in(&Credentials::new("demo.user", "hunter2")).await.unwrap_err()
    }

    #[tokio::test]
    async fn each_faulty_response_has_its_own_error_kind() {
        let kind = |error: &MmsError| format!("{:?}", error.kind()).split(['(', ' ']).next().unwrap().to_owned();
        let cases = [
            (ResponseTemplate::new(404), "BadCredentials"),
            (ResponseTemplate::new(401), "BadCredentials"),
            (ResponseTemplate::new(403).set_body_string("ERROR:no"), "Refused"),
            (ResponseTemplate::new(503), "Unavailable"),
            (ResponseTemplate::new(429), "Unavailable"),
            (ResponseTemplate::new(302).insert_header("location", "http://login.example/"), "Refused"),
            (ResponseTemplate::new(200), "Decode"),
            (ResponseTemplate::new(200).set_body_string("<html>captive portal</html>"), "Decode"),
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
    async fn a_closed_port_is_unreachable() {
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
    async fn the_alternate_host_is_tried_when_the_primary_fails() {
        let server = MockServer::start().await;
        let first = ResponseTemplate::new(503);
        Mock::given(any()).respond_with(first).up_to_n_times(1).expect(1).mount(&server).await;
        Mock::given(any()).respond_with(ResponseTemplate::new(404)).expect(1).mount(&server).await;
        let mut client = MmsClient::new(Environment::from_base_url(&server.uri()).unwrap()).unwrap();
        // The vendor environment has an alternate; the two hosts are two names of the same local server.
        client.environment = Environment::vendor();
        let port = server.address().port();
        let call = Scripted { port };
        let hosts = ("localhost".to_owned(), "127.0.0.1".to_owned());
        let error = client.send(&call, &hosts).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused(_)), "{error}");
    }

    /// A call that goes over plain HTTP to a fixed port of the given host.
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
