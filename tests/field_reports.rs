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
