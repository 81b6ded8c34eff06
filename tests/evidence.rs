//! Evidence levels, and the refusal of answers below a minimum level.

use ezlo_mock_cloud::{Evidence, MockCloud, evidence};
use ezlo_testkit::{address, http as ask, within};
use serde_json::{Value, json};

use crate::support::{HUB, account, demo, frozen, plain, registered, started};

#[tokio::test]
async fn answers_below_min_evidence_are_refused_on_every_surface() {
    let cloud = started(
        MockCloud::builder().assumptions(|assumptions| assumptions.min_evidence = Some(Evidence::ClientSource)),
    )
    .await;
    let account = account(&cloud).await;
    assert_eq!(within(account.hubs()).await.unwrap().len(), 3, "the hub list has the evidence of client sources");
    let refused = ezlo_protocol::error::with_causes(&within(account.users()).await.unwrap_err());
    assert!(refused.contains("users is inferred") && refused.contains("client-source or better"), "{refused}");
    let fresh = address(cloud.ready().hubs[1].ap.as_deref().unwrap());
    assert_eq!(ask(fresh, "GET /wifi/networks", &[], b"").await.status, 501);
    let mut socket = registered(&cloud).await;
    // Errors are subject to the same minimum.
    for (serial, data) in [(json!("90000002"), "mock.unproven"), (json!(7), "rpc.params.invalid")] {
        let refused = socket.ask(crate::support::register_text(&serial)).await;
        assert_eq!(refused["error"]["data"], data, "{serial}: {refused}");
    }
    let wrong = ezlo::Credentials::new("demo.user", "wrong");
    let refused = within(ezlo::Account::log_in(plain(&cloud), &wrong)).await.unwrap_err();
    assert!(
        !refused.to_string().contains("min-evidence"),
        "the error of a wrong password has sufficient evidence: {refused}"
    );
    let create = "POST /autha/auth/username?Username=demo.user&Email=x@example.com&Password=password-1";
    let taken = ask(crate::support::http(&cloud), create, &[], b"").await;
    assert_eq!(taken.status, 501, "{}", taken.body);
    let strong = socket.ask(json!({"id": 2, "method": "hub.devices.list", "params": {}}).to_string()).await;
    assert_eq!(strong["error"], Value::Null);
}

#[tokio::test]
async fn control_api_lists_evidence_and_advances_the_clock() {
    let cloud = frozen().await;
    let control = address(&cloud.ready().control);
    let listed = ask(control, "GET /evidence", &[], b"").await.json();
    assert_eq!(listed.as_array().unwrap().len(), evidence::ledger().len());
    let account = account(&cloud).await;
    let hub = within(account.connect(&HUB.parse().unwrap())).await.unwrap();
    let switch = within(hub.switch_mode("Away")).await.unwrap();
    let clock = ask(control, "POST /clock/advance", &[], br#"{"seconds": 86400}"#).await.json();
    assert_eq!((&clock["frozen"], &clock["speed"]), (&json!(true), &json!(0.0)));
    // The reply is sent after everything that became due.
    within(switch.reached()).await.unwrap();
    let fast = ask(control, "POST /clock", &[], br#"{"speed": 3600}"#).await.json();
    assert_eq!((&fast["frozen"], &fast["speed"]), (&json!(false), &json!(3600.0)));
    for bad in [&br#"{"speed": -1}"#[..], br#"{"speed": 1e9}"#, br#"{"unix": 1}"#, b"{"] {
        assert_eq!(ask(control, "POST /clock", &[], bad).await.status, 400);
    }
}

/// The expiry of an Identity after 24 hours, tested without a delay: the SDK uses the clock of the simulated cloud.
#[tokio::test]
async fn sdk_renews_the_identity_by_the_shared_clock() {
    let cloud = frozen().await;
    let clock = cloud.clock().clone();
    let account = ezlo::Account::builder(demo()).environment(plain(&cloud)).clock(move || clock.unix_seconds());
    let account = within(account.log_in()).await.unwrap();
    let first = account.session().await.unwrap();
    cloud.advance(std::time::Duration::from_secs(80_000)).await;
    assert_eq!(account.session().await.unwrap().pair().identity.expose(), first.pair().identity.expose());
    cloud.advance(std::time::Duration::from_secs(86_400)).await;
    assert_eq!(within(account.hubs()).await.unwrap().len(), 3);
    assert_ne!(account.session().await.unwrap().pair().identity.expose(), first.pair().identity.expose());
}

/// The reader of standard output has closed it before the first line, as with `mock-cloud evidence | head -0`.
#[test]
fn listing_to_a_closed_pipe_exits_silently() {
    use std::process::{Command, Stdio};
    for listing in [&["evidence"][..], &["world", "templates"], &["world", "show", "villa", "--json"]] {
        let mut command = Command::new(crate::program());
        let mut child = command.args(listing).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{listing:?}"
        );
    }
}

/// The legacy relay accepts the session token in the header and, from older clients, in the path. The hub has no tunnel.
#[tokio::test]
async fn legacy_relay_accepts_a_session_token_in_the_path() {
    let cloud = frozen().await;
    let to = crate::support::http(&cloud);
    let pair = crate::support::pair(&cloud).await;
    let own = [("mmsauth", pair.identity.expose()), ("mmsauthsig", pair.signature.expose())];
    let token = ask(to, "GET /info/session/token", &own, b"").await.body;
    let call = |token: &str| format!("GET /relay/relay/relay/device/50000001/session/{token}/port_3480/data_request");
    let by_path = ask(to, &call(token.trim()), &[], b"").await;
    assert_eq!((by_path.status, by_path.body.as_str()), (500, "ERROR:Tunnel not found"));
    assert_eq!(ask(to, &call("0000"), &[], b"").await.status, 401);
}
