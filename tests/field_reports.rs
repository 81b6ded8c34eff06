//! Faults that public reports describe, through the SDK and the control API.

use ezlo_mock_cloud::MockCloud;
use ezlo_mock_cloud::faults::{FaultKind, FaultSpec};
use ezlo_testkit::within;

use crate::support::{HUB, demo, mapped, serial, started};

/// Vendor servers were seen to be mixed up: one device server refuses a hub that the other one knows.
#[tokio::test]
async fn alternate_device_server_is_asked_when_the_others_refuse() {
    let cloud = started(MockCloud::builder()).await;
    let account = within(ezlo::Account::log_in(mapped(&cloud), &demo())).await.unwrap();
    let refuse = |host: &str| {
        let mut fault = FaultSpec::new(FaultKind::Status { status: 404, retry_after: None }).path("/device");
        fault.matcher.host = Some(host.into());
        cloud.add_fault(fault).unwrap();
    };
    refuse("vera-us-oem-account11.mios.com");
    refuse("vera-us-oem-device11.mios.com");
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    assert!(!within(hub.devices()).await.unwrap().is_empty());
    refuse("vera-us-oem-device12.mios.com");
    assert!(within(account.connect(&serial(HUB))).await.is_err(), "no server knows the hub");
}

/// A user whose key list lacks a hub gets the key back by a new claim (users).
#[tokio::test]
async fn user_without_a_local_key_gets_it_back_by_a_claim() {
    let cloud = started(MockCloud::builder()).await;
    let account = within(ezlo::Account::log_in(crate::support::plain(&cloud), &demo())).await.unwrap();
    let control = ezlo_testkit::Control::at(&cloud.ready().control);
    within(account.local_credentials(&serial(HUB))).await.unwrap();
    let missing = serde_json::json!({"serial": HUB, "present": false});
    control.call("POST", "/users/demo.user/local-key", &missing).await.unwrap();
    let foreign = serde_json::json!({"serial": "90009999", "present": false});
    let refused = control.call("POST", "/users/demo.user/local-key", &foreign).await.unwrap_err();
    assert_eq!(refused.status, 404);
    assert!(refused.text.contains("hub 90009999 does not belong to the account of user"), "{}", refused.text);
    assert!(within(account.local_credentials(&serial(HUB))).await.is_err());
    let hubs = within(account.hubs()).await.unwrap();
    let entry = hubs.iter().find(|entry| entry.serial.get().as_str() == HUB).unwrap();
    within(account.claim(&serial(HUB), entry.mac.get().unwrap().address().unwrap())).await.unwrap();
    within(account.local_credentials(&serial(HUB))).await.unwrap();
}

/// The reply to a reboot over the relay has no `api` (public client, with a pasted exchange).
#[tokio::test]
async fn relayed_reply_to_a_reboot_has_no_api() {
    let cloud = started(MockCloud::builder()).await;
    let mut socket = crate::support::registered(&cloud).await;
    let reply = socket.ask(r#"{"id":"r","method":"hub.reboot","params":{}}"#).await;
    assert_eq!((reply.get("api"), &reply["result"]), (None, &serde_json::json!({})));
}

/// Control calls return what has changed, and the journal has bodies, headers and values.
#[tokio::test]
async fn control_calls_and_journal_show_changed_values() {
    let cloud = started(MockCloud::builder()).await;
    let control = ezlo_testkit::Control::at(&cloud.ready().control);
    let body = serde_json::json!({"device": "Front door", "tripped": true});
    let reply = control.call("POST", "/hubs/90000001/trip", &body).await.unwrap();
    let first = &reply["changes"][0];
    assert_eq!((&first["item"], &first["old"]), (&"dw_state".into(), &"dw_is_closed".into()));
    assert_eq!(first["new"], "dw_is_opened");
    assert!(reply["broadcasts"].as_array().unwrap().contains(&"hub.item.updated".into()));
    let entries = cloud.journal(&ezlo_mock_cloud::journal::Filter::default());
    let of = |kind: &str| entries.iter().find(|entry| entry.kind.as_str() == kind).unwrap();
    assert_eq!(of("control").content["body"], body);
    assert_eq!(of("change").content["changes"][0]["new"], "dw_is_opened");
    within(ezlo::Account::log_in(crate::support::plain(&cloud), &demo())).await.unwrap();
    let entries = cloud.journal(&ezlo_mock_cloud::journal::Filter::default());
    let answer = entries.iter().find(|entry| entry.kind.as_str() == "answer" && entry.name.contains("/autha")).unwrap();
    assert_eq!(answer.content["body"]["Identity"], "***");
    assert!(answer.content["headers"]["content-type"].is_string());
}

/// Brands have servers and a relay of their own (public clients); the refusal of another brand is an assumption.
#[tokio::test]
async fn servers_and_relay_have_the_names_of_the_brand() {
    let cloud = started(MockCloud::builder()).await;
    let at = ezlo_testkit::address(&cloud.ready().http);
    let host = [("host", "swf-us-oem-autha1.mios.com")];
    let hash = ezlo_protocol::password::sha1_password("demo.user", &"demo-password".into());
    let log_in = |oem: u64| format!("GET /autha/auth/username/demo.user?SHA1Password={}&PK_Oem={oem}", hash.expose());
    let answer = ezlo_testkit::http(at, &log_in(73), &host, b"").await.json();
    assert_eq!(answer["Server_Account"], "swf-us-oem-account11.mios.com");
    let text = |member: &str| answer[member].as_str().unwrap().to_owned();
    let (identity, signature) = (text("Identity"), text("IdentitySignature"));
    let pair = [host[0], ("mmsauth", identity.as_str()), ("mmsauthsig", signature.as_str())];
    let record = ezlo_testkit::http(at, &format!("GET /device/device/device/{HUB}"), &pair, b"").await.json();
    assert_eq!(record["Server_Relay"], "wss://nma-server10-oem-ui-cloud.ezlo.com:443");

    let strict = started(MockCloud::builder().profile(ezlo_mock_cloud::Profile::Strict)).await;
    let at = ezlo_testkit::address(&strict.ready().http);
    assert_eq!(ezlo_testkit::http(at, &log_in(73), &host, b"").await.status, 404, "the user's brand is 1");
    assert_eq!(ezlo_testkit::http(at, &log_in(1), &host, b"").await.status, 200);
}

/// Replies of a hub come in several frames on demand; clients without support for them are reported.
#[tokio::test]
async fn long_replies_are_fragmented_on_demand() {
    let builder = MockCloud::builder().assumptions(|assumptions| assumptions.max_frame_bytes = 4096);
    let cloud = started(builder).await;
    let mut socket = ezlo_testkit::RawSocket::connect(crate::support::http(&cloud), "localhost").await;
    let pair = crate::support::pair(&cloud).await;
    for text in [crate::support::login_text(&pair), crate::support::register_text(&serde_json::json!(HUB))] {
        socket.send(&ezlo_testkit::frame(0x81, text.as_bytes())).await;
        assert!(socket.next().await.is_some());
    }
    socket.send(&ezlo_testkit::frame(0x81, br#"{"id":"i","method":"hub.items.list","params":{}}"#)).await;
    let (mut text, mut lengths) = (Vec::new(), Vec::new());
    while serde_json::from_slice::<serde_json::Value>(&text).is_err() {
        let (_, part) = within(socket.next()).await.unwrap();
        lengths.push(part.len());
        text.extend(part);
    }
    assert!(lengths.len() > 2 && lengths.iter().all(|length| *length <= 4096), "{lengths:?}");
}
