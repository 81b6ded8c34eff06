//! Scope of faults: each fault acts and counts only where it is applicable.

use ezlo_mock_cloud::journal::{EntryKind, Filter};
use ezlo_mock_cloud::{Config, Profile};
use ezlo_protocol::identity::IdentityPair;

use super::*;
use crate::support::pair;

fn keys(pair: &IdentityPair) -> [(&'static str, &str); 2] {
    [("mmsauth", pair.identity.expose()), ("mmsauthsig", pair.signature.expose())]
}

const EXCHANGE: &str = "GET /mca-router/token/exchange/legacy-to-cloud";

async fn bearer(cloud: &MockCloud, token: &str) -> serde_json::Value {
    let header = format!("Bearer {token}");
    let call = br#"{"call":"access_keys_sync","version":"1","params":{}}"#;
    ask(http(cloud), "POST /v1/request", &[("authorization", &header)], call).await.json()
}

fn counts(cloud: &MockCloud) -> (u64, u64) {
    let active = &cloud.faults()[0];
    (active.matched, active.fired)
}

#[tokio::test]
async fn evicted_identity_gets_no_token_and_loses_its_tokens() {
    let cloud = cloud().await;
    let first = pair(&cloud).await;
    let token = ask(http(&cloud), EXCHANGE, &keys(&first), b"").await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(bearer(&cloud, &token).await["status"], 1);
    cloud.add_fault(FaultSpec::new(FaultKind::EvictOthers).when(Trigger::First(1))).unwrap();
    let second = pair(&cloud).await;
    assert_eq!(ask(http(&cloud), EXCHANGE, &keys(&first), b"").await.status, 401);
    assert_eq!(bearer(&cloud, &token).await["data"]["error_text"], "invalid token");
    let token = ask(http(&cloud), EXCHANGE, &keys(&second), b"").await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(bearer(&cloud, &token).await["status"], 1);

    cloud.remove_fault(None);
    cloud.add_fault(FaultSpec::new(FaultKind::Revoked)).unwrap();
    assert_eq!(ask(http(&cloud), EXCHANGE, &keys(&second), b"").await.status, 401);
    assert_eq!(bearer(&cloud, &token).await["status"], 0);
    assert_eq!(counts(&cloud), (2, 2));

    cloud.remove_fault(None);
    let mut of_user = FaultSpec::new(FaultKind::EmptyAnswer);
    of_user.matcher.user = Some("demo.user".into());
    cloud.add_fault(of_user).unwrap();
    assert_eq!(bearer(&cloud, &token).await, serde_json::Value::Null, "the fault does not match the user of the token");
}

#[tokio::test]
async fn fault_of_a_hub_matches_requests_about_that_hub() {
    let cloud = cloud().await;
    cloud.add_fault(FaultSpec::new(FaultKind::Status { status: 500, retry_after: None }).hub(HUB)).unwrap();
    let own = pair(&cloud).await;
    let record =
        async |hub: &str| ask(http(&cloud), &format!("GET /device/device/device/{hub}"), &keys(&own), b"").await.status;
    assert_eq!((record(HUB).await, record("92000001").await), (500, 200));
    for kind in [FaultKind::Unresponsive, FaultKind::ConnectionRefused, FaultKind::NoPong] {
        let mut fault = FaultSpec::new(kind).hub(HUB);
        fault.matcher.listener = Some("cloud".into());
        let refused = cloud.add_fault(fault).unwrap_err().to_string();
        assert!(refused.contains("hub on that listener"), "{refused}");
    }
}

/// Faults of calls also apply to a hub outside the simulator.
#[tokio::test]
async fn faults_apply_to_calls_of_an_external_controller() {
    let cloud = cloud().await;
    let mut hub = Socket::connect(http(&cloud)).await;
    let register = json!({"id": "_", "method": "register", "params": {"serial": "92000001", "firmware": "3.x",
        "timeOffset": 0, "media": "radio", "hubType": "32.1", "mac_address": "AA:BB:CC:00:00:03",
        "controller_uuid": "00000000-0000-4000-8000-000000000001", "maxFrameSize": 20480}});
    assert_eq!(within(hub.ask(register.to_string())).await["method"], "registered");
    let mut user = Socket::connect(http(&cloud)).await;
    user.ask(crate::support::login_text(&pair(&cloud).await)).await;
    assert_eq!(user.ask(crate::support::register_text(&json!("92000001"))).await["method"], "registered");
    let refused = FaultKind::RpcError { code: 1, data: "a".into() };
    cloud.add_fault(FaultSpec::new(refused).hub("92000001").when(Trigger::First(1))).unwrap();
    cloud.add_fault(FaultSpec::new(FaultKind::DropReply).hub("92000001").when(Trigger::First(1))).unwrap();
    let call = |id: u32| json!({"id": id, "method": "hub.info.get", "params": {}}).to_string();
    assert_eq!(within(user.ask(call(1))).await["error"]["data"], "a");
    for id in [2, 3] {
        user.text(call(id)).await;
        let mut call_frame = within(hub.json()).await;
        assert_eq!(call_frame["id"], id, "the refused call reached the controller");
        let sender = call_frame["sender"].take();
        hub.text(
            json!({"id": id, "method": "hub.info.get", "error": null, "result": {}, "sender": sender}).to_string(),
        )
        .await;
    }
    assert_eq!(within(user.json()).await["id"], 3, "the reply to the second call was not dropped");
}

#[tokio::test]
async fn inapplicable_fault_does_not_advance_its_counter() {
    let cloud = cloud().await;
    let clear = |kind| {
        cloud.remove_fault(None);
        cloud.add_fault(FaultSpec::new(kind).when(Trigger::First(1))).unwrap();
    };
    // An upgrade has no body to truncate.
    clear(FaultKind::TruncatedBody);
    let socket = Socket::connect(http(&cloud)).await;
    assert_eq!(counts(&cloud), (0, 0));
    drop(socket);
    // A plaintext connection has no certificate.
    for kind in [FaultKind::CertificateExpired, FaultKind::NoCommonCipher] {
        clear(kind);
        assert_eq!(locate(&cloud).await.status, 200);
        assert_eq!(counts(&cloud), (0, 0));
    }
    cloud.remove_fault(None);
    let mut socket = registered(&cloud).await;
    for kind in [FaultKind::NullLists, FaultKind::WrongSerial, FaultKind::StaleBroadcast] {
        clear(kind.clone());
        let answer = socket.ask(json!({"id": 1, "method": "hub.modes.current.get", "params": {}}).to_string()).await;
        assert!(answer["error"].is_null() && counts(&cloud) == (0, 0), "{kind:?}: {answer}");
    }
    clear(FaultKind::NullLists);
    let answer = socket.ask(json!({"id": 1, "method": "hub.devices.list", "params": {}}).to_string()).await;
    assert!(answer["result"]["devices"].is_null() && counts(&cloud) == (1, 1), "{answer}");
    // A closed listener is counted once, even when other faults are added.
    cloud.remove_fault(None);
    let mut refuse = FaultSpec::new(FaultKind::ConnectionRefused).hub(HUB);
    refuse.matcher.listener = Some("lan".into());
    cloud.add_fault(refuse).unwrap();
    let refusals = Filter::kind(EntryKind::Fault).name("connection_refused");
    within(cloud.expect_within(&refusals, Duration::from_secs(20))).await.unwrap();
    let before = cloud.journal(&refusals).len();
    cloud.add_fault(FaultSpec::new(FaultKind::Abort).method("no.such.method")).unwrap();
    locate(&cloud).await;
    assert_eq!(cloud.journal(&refusals).len(), before);
}

/// The faults of a profile are listed and removed like all others.
#[tokio::test]
async fn profile_is_a_set_of_faults() {
    let hostile = started(MockCloud::builder().config(Config { profile: Profile::Hostile, ..Config::default() })).await;
    let names = |cloud: &MockCloud| -> Vec<String> {
        let names = cloud.faults().into_iter().map(|active| serde_json::to_value(active).unwrap()["fault"].clone());
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let set = names(&hostile);
    for name in ["status", "slow_answer", "abort", "reorder_message", "late_message", "early_expiry"] {
        assert!(set.iter().any(|known| known == name), "{name}: {set:?}");
    }
    let calm = cloud().await;
    assert!(calm.faults().is_empty());
    let added = ask(address(&calm.ready().control), "POST /faults", &[], br#"{"profile": "hostile"}"#).await;
    assert_eq!(added.json()["ids"].as_array().unwrap().len(), set.len());
    assert_eq!(names(&calm), set);
    assert_eq!(calm.remove_fault(None), set.len());
}

/// Responses take at least the minimum delay. A unit test of the simulator checks the distribution.
#[tokio::test]
async fn latency_is_at_least_its_minimum() {
    let cloud = cloud().await;
    cloud.add_fault(FaultSpec::new(FaultKind::Latency { millis: 30, jitter: 40, deviation: 0 })).unwrap();
    let mut took = Vec::new();
    for _ in 0..6 {
        let began = Instant::now();
        assert_eq!(locate(&cloud).await.status, 200);
        took.push(began.elapsed());
    }
    assert!(took.iter().all(|time| *time >= Duration::from_millis(30)), "{took:?}");
    for body in [r#"{"fault":"latency","millis":5,"jitter":9,"deviation":3}"#, r#"{"fault":"latency","millis":5}"#] {
        let answer = ask(address(&cloud.ready().control), "POST /faults", &[], body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}
