//! The auth server: new accounts, logins and session tokens.

use ezlo_protocol::identity::IdentityPair;
use ezlo_protocol::secret::Password;
use http::StatusCode;

use crate::config::Profile;
use crate::faults::kinds::LoginFault;
use crate::faults::point::InjectionContext;
use crate::server::credentials::{pair, unauthorized};
use crate::server::http::message::{Host, Reply, Request, pairs};
use crate::server::vendor::oem;
use crate::world::World;
use crate::world::accounts::{CreateError, NewAccount, User};
use crate::world::sessions::Session;
use crate::world::tokens::{AuthError, Issue};
use ezlo_hub_sim::json::JsonObjectWriter;

/// `PK_App` of a request with an AppKey (the vendor's note).
const APP: i64 = 482;

/// Creates an account. The success follows the vendor's note; refusals are inferred.
pub(crate) fn create_account(world: &World, request: &Request, _: &[&str]) -> Reply {
    let params = Params::new(request);
    let (Some(username), Some(email), Some(password)) =
        (params.get("Username"), params.get("Email"), params.get("Password"))
    else {
        return Reply::error(StatusCode::BAD_REQUEST, "Username, Email and Password are required");
    };
    let (oem, app) = match (requested_oem(&params), app(world, &params, true)) {
        (Err(reply), _) | (_, Err(reply)) => return reply,
        (Ok(oem), Ok(app)) => (oem, app),
    };
    let password = Password::new(password);
    let account = NewAccount { username, email, password: &password, oem };
    let created = world.accounts().create(&account, &world.random);
    match created {
        Ok(user) => {
            let (pair, _) = issue(world, &user, request, 1, oem, app);
            login_answer(&pair, (&request.host, oem), Some(user.id))
        }
        Err(error) => refusal(error),
    }
}

/// Maps an error of account creation to a refusal (inferred).
fn refusal(error: CreateError) -> Reply {
    let (status, text) = match error {
        CreateError::Username => (StatusCode::BAD_REQUEST, "Invalid Username"),
        CreateError::Email => (StatusCode::BAD_REQUEST, "Invalid Email"),
        CreateError::Password => (StatusCode::BAD_REQUEST, "Invalid Password"),
        CreateError::Exists => (StatusCode::CONFLICT, "Username or Email already exists"),
        CreateError::Full => (StatusCode::SERVICE_UNAVAILABLE, "Too many accounts"),
    };
    Reply::error(status, text)
}

/// Logs a user in. A wrong name and a wrong password give the same 404, as on the real service.
pub(crate) fn login(world: &World, request: &Request, parts: &[&str]) -> Reply {
    let params = Params::new(request);
    let Some(hash) = params.get("SHA1Password") else {
        return Reply::error(StatusCode::BAD_REQUEST, "SHA1Password is required");
    };
    let (oem, app) = match (requested_oem(&params), app(world, &params, false)) {
        (Err(reply), _) | (_, Err(reply)) => return reply,
        (Ok(oem), Ok(app)) => (oem, app),
    };
    let version = if params.get("TokenVersion") == Some("2") { 2 } else { 1 };
    let user = world.accounts().log_in(parts[0], hash, params.get("SHA1PasswordCS"));
    let is_refused = |user: &User| world.assumptions.refuse_other_oem && user.oem != oem;
    match user.filter(|user| !is_refused(user)) {
        Some(user) => {
            let (pair, _) = issue(world, &user, request, version, oem, app);
            login_answer(&pair, (&request.host, oem), None)
        }
        None => Reply::error(StatusCode::NOT_FOUND, "Invalid username or password"),
    }
}

/// Records a login. Returns its number, and the due fault among those that `can` accepts.
fn log_in(
    world: &World,
    user: &User,
    request: &Request,
    can: impl Fn(&LoginFault) -> bool,
) -> (i64, Option<LoginFault>) {
    let seq = world.accounts().next_login();
    let (host, path) = (request.host.name(), request.path.as_str());
    let facts =
        InjectionContext { host: &host, path, user: &user.username, listener: "cloud", ..InjectionContext::default() };
    let fault = world.fault_if(&facts, can);
    if fault == Some(LoginFault::EvictOthers) {
        world.accounts().evict(user, seq);
    }
    (seq, fault)
}

/// Records a login that issues no Identity and returns its number.
pub(crate) fn login_number(world: &World, user: &User, request: &Request) -> i64 {
    log_in(world, user, request, |fault| *fault == LoginFault::EvictOthers).0
}

/// Records a login. Returns its Identity with the signature, and its number.
pub(crate) fn issue(
    world: &World,
    user: &User,
    request: &Request,
    version: u8,
    oem: i64,
    app: i64,
) -> (IdentityPair, i64) {
    let (seq, fault) = log_in(world, user, request, |_| true);
    let (skew, lifetime) = match fault {
        Some(LoginFault::ClockSkew { seconds }) => (seconds, world.assumptions.identity_seconds),
        Some(LoginFault::EarlyExpiry { seconds }) => (0, i64::from(seconds)),
        Some(LoginFault::BadSignature | LoginFault::EvictOthers) | None => (0, world.assumptions.identity_seconds),
    };
    let issue = Issue {
        now: world.clock.unix_seconds().saturating_add(skew),
        lifetime,
        seq,
        version,
        oem,
        app,
        server: &oem::server(&request.host, oem, "autha11"),
    };
    let mut pair = world.tokens.issue_pair(user, &issue);
    if fault == Some(LoginFault::BadSignature) {
        // The signature of another Identity, issued one second later.
        pair.signature = world.tokens.issue_pair(user, &Issue { now: issue.now + 1, ..issue }).signature;
    }
    (pair, seq)
}

/// Bytes for the member names, the server names and the punctuation.
const LOGIN_ROOM: usize = 512;

/// Writes a [`LoginAnswer`](ezlo_protocol::cloud::account::LoginAnswer). A new account also has a `PK_Phone_User`.
fn login_answer(pair: &IdentityPair, (host, oem): (&Host, i64), phone_user: Option<u64>) -> Reply {
    let mut members =
        JsonObjectWriter::with_room(pair.identity.expose().len() + pair.signature.expose().len() + LOGIN_ROOM);
    members.text("Identity", pair.identity.expose());
    members.text("IdentitySignature", pair.signature.expose());
    members.text("Server_Event", &oem::server(host, oem, "event11"));
    members.text("Server_Event_Alt", &oem::server(host, oem, "event12"));
    members.text("Server_Account", &oem::server(host, oem, "account11"));
    members.text("Server_Account_Alt", &oem::server(host, oem, "account12"));
    if let Some(user) = phone_user {
        members.json("PK_Phone_User", &user.to_string());
    }
    Reply::json_text(members.end().into_bytes())
}

/// Issues a session token as plain text. The request needs Identity and signature; a session token is refused.
pub(crate) fn session_token(world: &World, request: &Request, _: &[&str]) -> Reply {
    let now = world.clock.unix_seconds();
    let checked = pair(request).ok_or(AuthError::Missing).and_then(|pair| world.tokens.check_pair(pair, now));
    match checked.and_then(|caller| world.admit(caller, &request.host.name(), &request.path)) {
        Ok(mut caller) => {
            caller.expires = now.saturating_add(world.assumptions.session_seconds);
            let session = Session { caller, host: request.host.name().into_owned() };
            let token = world.sessions().issue(session, &world.random);
            Reply::text(token.expose().to_owned())
        }
        Err(error) => unauthorized(error),
    }
}

/// Parameters of the query or of a form in the body, which one public client sends.
struct Params<'a> {
    request: &'a Request,
    form: Vec<(String, String)>,
}

impl<'a> Params<'a> {
    fn new(request: &'a Request) -> Self {
        let is_form =
            request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let form = std::str::from_utf8(&request.body).ok().filter(|_| is_form).and_then(pairs).unwrap_or_default();
        Self { request, form }
    }

    /// Returns the value of a parameter; `None` if it is absent or empty.
    fn get(&self, name: &str) -> Option<&str> {
        let in_form = || self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        self.request.param(name).or_else(in_form).filter(|value| !value.is_empty())
    }
}

/// Returns `PK_Oem` (default: 1).
fn requested_oem(params: &Params<'_>) -> Result<i64, Reply> {
    match params.get("PK_Oem") {
        None => Ok(oem::OWN_BRAND),
        Some(text) => text.parse().map_err(|_| Reply::error(StatusCode::BAD_REQUEST, "Invalid PK_Oem")),
    }
}

/// Returns the `PK_App` of the request's AppKey; 0 without one.
///
/// The vendor's note requires an AppKey, but ten public clients log in without one. The strict profile requires a well-formed
/// AppKey for a new account and always refuses a malformed one. The other profiles accept any value.
fn app(world: &World, params: &Params<'_>, needed: bool) -> Result<i64, Reply> {
    let key = params.get("AppKey");
    let well_formed = |key: &str| key.len() == 40 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    let good = key.map_or(!needed, well_formed);
    match world.profile {
        Profile::Strict if !good => Err(Reply::error(StatusCode::FORBIDDEN, "Invalid AppKey")),
        _ => Ok(if key.is_some() { APP } else { 0 }),
    }
}
