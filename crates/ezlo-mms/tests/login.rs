//! Tests of `Authenticator` and of retries against a scripted HTTP server.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use ezlo_mms::{
    Authenticator, Credentials, Environment, ErrorKind, FileStore, MemoryStore, MmsClient, RetryPolicy, TokenStore,
};
use serde_json::json;
use wiremock::matchers::{any, header, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

const START: i64 = 1_700_000_000;

fn identity(generated: i64) -> String {
    identity_for(generated, 86_400)
}

fn identity_for(generated: i64, life: i64) -> String {
    let document = json!({
        "Expires": generated + life, "Generated": generated, "Version": 1, "PK_Account": 1_200_001, "PK_User": 2_800_001,
        "Username": "demo.user",
    });
    base64::engine::general_purpose::STANDARD.encode(document.to_string())
}

fn login_answer(generated: i64) -> ResponseTemplate {
    answer_with(&identity(generated))
}

fn answer_with(identity: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "Identity": identity, "IdentitySignature": "signature", "Server_Account": "", "Server_Account_Alt": "",
    }))
}

struct Bench {
    server: MockServer,
    now: Arc<AtomicI64>,
}

impl Bench {
    async fn new() -> Self {
        Self { server: MockServer::start().await, now: Arc::new(AtomicI64::new(START)) }
    }

    fn client(&self) -> MmsClient {
        let now = Arc::clone(&self.now);
        let client = MmsClient::new(Environment::from_base_url(&self.server.uri()).unwrap()).unwrap();
        client.with_retry(RetryPolicy::never()).with_clock(move || now.load(Ordering::Relaxed))
    }

    fn login(&self) -> Authenticator {
        Authenticator::new(self.client(), Credentials::new("demo.user", "hunter2"))
    }

    async fn log_in_gives(&self, generated: i64, times: u64) {
        let logins = Mock::given(path_regex("^/autha/auth/username/")).respond_with(login_answer(generated));
        logins.up_to_n_times(times).expect(times).mount(&self.server).await;
    }
}

#[tokio::test]
async fn concurrent_callers_share_one_login_refreshed_before_expiry() {
    let bench = Bench::new().await;
    bench.log_in_gives(START, 1).await;
    let login = bench.login();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn({
                let login = login.clone();
                async move { login.session().await.unwrap() }
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().identity().generated, START);
    }
    bench.now.store(START + 86_400 - 301, Ordering::Relaxed);
    assert_eq!(login.session().await.unwrap().identity().generated, START, "five minutes are left");
    bench.log_in_gives(START + 86_100, 1).await;
    bench.now.store(START + 86_400 - 300, Ordering::Relaxed);
    let generations = login.generation();
    assert_eq!(login.session().await.unwrap().identity().generated, START + 86_100);
    assert_eq!(*generations.borrow(), 2);
}

#[tokio::test]
async fn an_identity_is_used_until_expiry_while_the_service_fails() {
    let bench = Bench::new().await;
    bench.log_in_gives(START, 1).await;
    let login = bench.login();
    let first = login.session().await.unwrap();
    let away = Mock::given(path_regex("^/autha/")).respond_with(ResponseTemplate::new(503)).up_to_n_times(3).expect(3);
    away.mount(&bench.server).await;
    // Attempts at 240 s left, at 219 s (the wait of 20 s has passed) and at 0 s, when the identity has expired. None at 225 s.
    for (left, good) in [(240, true), (225, true), (219, true), (0, false)] {
        bench.now.store(START + 86_400 - left, Ordering::Relaxed);
        match login.session_and_generation().await {
            Ok((session, generation)) => assert!(good && session.pair() == first.pair() && generation == 1, "{left}"),
            Err(error) => assert!(!good && matches!(error.kind(), ErrorKind::Unavailable(_)), "{left}: {error}"),
        }
    }
    bench.log_in_gives(START + 86_400, 1).await;
    assert_eq!(login.session_and_generation().await.unwrap().1, 2);
}

/// An identity that is valid for less than the usual margin of 300 s must not be refreshed for every call.
#[tokio::test]
async fn a_short_lived_identity_is_refreshed_at_a_quarter_of_its_lifetime() {
    let bench = Bench::new().await;
    let login = bench.login();
    for (second, generation) in [(0, 1), (60, 1), (89, 1), (90, 2), (150, 2)] {
        bench.server.reset().await;
        let logins = Mock::given(path_regex("^/autha/")).respond_with(answer_with(&identity_for(START + second, 120)));
        logins.mount(&bench.server).await;
        bench.now.store(START + second, Ordering::Relaxed);
        assert_eq!(login.session_and_generation().await.unwrap().1, generation, "after {second} s");
    }
}

#[tokio::test]
async fn an_existing_session_is_reused_and_refreshed_once() {
    let bench = Bench::new().await;
    bench.log_in_gives(START, 1).await;
    let first = bench.login().session().await.unwrap();
    let credentials = Some(Credentials::new("demo.user", "hunter2"));
    let login = Authenticator::from_session(bench.client(), (*first).clone(), credentials);
    assert_eq!(login.session().await.unwrap().pair(), first.pair(), "no login is sent");
    bench.log_in_gives(START + 1, 1).await;
    let second = login.refresh(&first).await.unwrap();
    assert_eq!(login.refresh(&first).await.unwrap().pair(), second.pair(), "it was refreshed already");
    let before = *login.generation().borrow();
    login.log_out().await.unwrap();
    assert_eq!(*login.generation().borrow(), before + 1);
    for outcome in [login.session().await, login.refresh(&second).await] {
        let error = outcome.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::IdentityExpired), "after log_out: {error}");
    }
    let shown = format!("{login:?}");
    assert!(shown.contains("demo.user") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn other_refusals_are_returned_without_a_retry() {
    let bench = Bench::new().await;
    bench.log_in_gives(START, 1).await;
    let refused =
        Mock::given(path("/account/account/account/1200001/devices")).respond_with(ResponseTemplate::new(403));
    refused.expect(1).mount(&bench.server).await;
    let error = bench.login().call(|mms, session| async move { mms.hubs(&session).await }).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Refused(_)), "{error}");
}

#[tokio::test]
async fn callers_that_waited_for_a_failed_login_get_its_error() {
    let bench = Bench::new().await;
    let failing = Mock::given(path_regex("^/autha/")).respond_with(ResponseTemplate::new(503));
    failing.up_to_n_times(1).expect(1).mount(&bench.server).await;
    let login = bench.login();
    let callers = futures(&login, 20).await;
    assert!(
        callers
            .iter()
            .all(|outcome| matches!(outcome, Err(error) if matches!(error.kind(), ErrorKind::Unavailable(_))))
    );
    bench.log_in_gives(START, 1).await;
    assert!(login.session().await.is_ok(), "a later caller logs in again");
}

/// Starts this many callers at once; all of them wait before the first login ends.
async fn futures(login: &Authenticator, number: usize) -> Vec<Result<Arc<ezlo_mms::LoginSession>, ezlo_mms::MmsError>> {
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..number {
        let login = login.clone();
        callers.spawn(async move { login.session().await });
    }
    callers.join_all().await
}

#[tokio::test]
async fn an_expired_identity_is_refreshed_once_and_the_call_is_repeated() {
    let bench = Bench::new().await;
    bench.log_in_gives(START, 1).await;
    let login = bench.login();
    login.session().await.unwrap();
    bench.log_in_gives(START + 1, 1).await;
    let devices = || Mock::given(path("/account/account/account/1200001/devices"));
    let refused = devices().and(header("MMSAuth", identity(START).as_str())).respond_with(ResponseTemplate::new(401));
    refused.expect(1).mount(&bench.server).await;
    let taken = devices().and(header("MMSAuth", identity(START + 1).as_str()));
    taken
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"Devices": []})))
        .expect(1)
        .mount(&bench.server)
        .await;
    let hubs = login.call(|mms, session| async move { mms.hubs(&session).await }).await.unwrap();
    assert!(hubs.is_empty());
}

#[tokio::test]
async fn a_service_that_rejects_every_identity_is_called_twice() {
    let bench = Bench::new().await;
    bench.log_in_gives(START, 2).await;
    Mock::given(path("/account/account/account/1200001/devices"))
        .respond_with(ResponseTemplate::new(401))
        .expect(2)
        .mount(&bench.server)
        .await;
    let error = bench.login().call(|mms, session| async move { mms.hubs(&session).await }).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::IdentityExpired), "{error}");
}

#[tokio::test]
async fn bad_credentials_are_sent_once() {
    let bench = Bench::new().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(404)).expect(1).mount(&bench.server).await;
    let login = bench.login();
    for _ in 0..3 {
        let error = login.session().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BadCredentials), "{error}");
        assert!(!format!("{error} {error:?} {login:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_local_clock_that_is_days_ahead_causes_one_login() {
    let bench = Bench::new().await;
    bench.log_in_gives(START - 3 * 86_400, 1).await;
    let login = bench.login();
    for _ in 0..3 {
        login.session().await.unwrap();
    }
}

#[tokio::test]
async fn a_stored_identity_is_reused_until_it_expires() {
    let bench = Bench::new().await;
    bench.log_in_gives(START, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let credentials = || Credentials::new("demo.user", "hunter2");
    for _ in 0..3 {
        let login = Authenticator::with_store(bench.client(), credentials(), FileStore::new(&path));
        assert_eq!(login.session().await.unwrap().identity().generated, START);
    }
    bench.now.store(START + 86_400, Ordering::Relaxed);
    bench.log_in_gives(START + 86_400, 1).await;
    let login = Authenticator::with_store(bench.client(), credentials(), FileStore::new(&path));
    assert_eq!(login.session().await.unwrap().identity().generated, START + 86_400);
    login.log_out().await.unwrap();
    assert_eq!(FileStore::new(&path).load("demo.user").unwrap(), None);
    assert_eq!(MemoryStore::default().load("demo.user").unwrap(), None);
}

#[tokio::test]
async fn reads_are_retried_unless_retry_after_exceeds_the_limit() {
    let server = MockServer::start().await;
    let busy = |after: &str| ResponseTemplate::new(503).insert_header("retry-after", after);
    Mock::given(any()).respond_with(busy("0")).up_to_n_times(2).expect(2).mount(&server).await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"Devices": []})))
        .expect(1)
        .mount(&server)
        .await;
    let mut retry = RetryPolicy::default();
    retry.initial_backoff = Duration::from_millis(1);
    let client = MmsClient::new(Environment::from_base_url(&server.uri()).unwrap()).unwrap().with_retry(retry);
    assert!(client.locate().await.unwrap().is_empty());

    let server = MockServer::start().await;
    Mock::given(any()).respond_with(busy("3600")).expect(1).mount(&server).await;
    let client = MmsClient::new(Environment::from_base_url(&server.uri()).unwrap()).unwrap().with_retry(retry);
    let error = client.locate().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)), "a long wait is left to the caller");
}

#[cfg(feature = "blocking")]
#[test]
fn blocking_calls_log_in_and_list_the_hubs() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bench = runtime.block_on(async {
        let bench = Bench::new().await;
        bench.log_in_gives(START, 1).await;
        let devices = Mock::given(path("/account/account/account/1200001/devices"));
        devices
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"Devices": []})))
            .mount(&bench.server)
            .await;
        bench
    });
    let environment = Environment::from_base_url(&bench.server.uri()).unwrap();
    let login =
        ezlo_mms::blocking::BlockingAuthenticator::new(environment, Credentials::new("demo.user", "hunter2")).unwrap();
    assert!(login.hubs().unwrap().is_empty());
}
