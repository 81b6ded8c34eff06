//! Flows of the SDK from login to hub calls, with their failures.

use std::time::Duration;

use ezlo::{Account, Change, ConnectError, Credentials, Error, HubEvent, MmsClient};
use ezlo_mms::ErrorKind;
use ezlo_mock_cloud::MockCloud;
use ezlo_testkit::{address, within};

use crate::support::{HUB, account, demo, frozen, mapped, plain, serial, started};

fn refusal(error: &ConnectError) -> String {
    match error {
        ConnectError::Login(error) | ConnectError::Register(error) => error.data().to_owned(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn sdk_connects_to_the_vendors_host_names_over_verified_tls() {
    let cloud = started(MockCloud::builder()).await;
    let account = within(Account::log_in(mapped(&cloud), &demo())).await.unwrap();
    let record = within(account.hub_record(&serial(HUB))).await.unwrap();
    assert!(record.server_relay.as_deref().unwrap().starts_with("wss://nma-server"));
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    assert_eq!(within(hub.devices()).await.unwrap().len(), 21);
    let untrusted = ezlo::Environment::with_host_override(address(&cloud.ready().https));
    let error = within(Account::log_in(untrusted, &demo())).await.unwrap_err();
    assert!(matches!(error, Error::Cloud(error) if matches!(error.kind(), ErrorKind::Unreachable(_))));
}

#[tokio::test]
async fn host_names_in_replies_follow_the_request() {
    let cloud = frozen().await;
    let account = account(&cloud).await;
    let record = within(account.record()).await.unwrap();
    assert_eq!(record.server_account.as_deref().unwrap(), address(&cloud.ready().http).to_string());
    let hub = within(account.hub_record(&serial(HUB))).await.unwrap();
    assert_eq!(hub.server_relay.as_deref().unwrap(), format!("ws://{}", address(&cloud.ready().http)));
}

#[tokio::test]
async fn session_token_authorises_without_the_identity() {
    let cloud = frozen().await;
    let account = account(&cloud).await;
    let mms = account.login().client();
    let session = account.session().await.unwrap();
    let token = within(mms.session_token(&session)).await.unwrap();
    let by_token = (*session).clone().with_session_token(token);
    assert_eq!(within(mms.hubs(&by_token)).await.unwrap().len(), 3);
    let entry = &within(mms.hubs(&by_token)).await.unwrap()[0];
    assert_eq!(within(mms.hub_at(&by_token, entry)).await.unwrap().serial.get(), entry.serial.get());
}

#[tokio::test]
async fn gateway_and_v4_logins_give_access_to_the_hubs() {
    let cloud = frozen().await;
    let mms = MmsClient::new(plain(&cloud)).unwrap();
    let password = "demo-password".into();
    let by_gateway = within(mms.log_in_at_gateway("demo.user", &password)).await.unwrap();
    assert!(by_gateway.legacy_token.get().unwrap().pair().decode().is_ok());
    let v1 = ezlo_protocol::cloud::call::LoginV4Version::V1;
    let by_v4 = within(mms.log_in_v4(v1, "demo.user", &password)).await.unwrap();
    assert_eq!(within(mms.controllers(&by_v4.token)).await.unwrap().len(), 2);
    let keys = within(mms.access_keys(&by_gateway.token)).await.unwrap();
    assert!(keys.local_credentials(&serial(HUB)).is_some());
    let wrong = within(mms.log_in_v4(v1, "demo.user", &"x".into())).await.unwrap_err();
    assert!(matches!(wrong.kind(), ErrorKind::BadCredentials), "{wrong}");
}

#[tokio::test]
async fn unknown_user_and_wrong_password_give_the_same_error() {
    let cloud = frozen().await;
    for credentials in [Credentials::new("demo.user", "wrong"), Credentials::new("no.such.user", "demo-password")] {
        let error = within(Account::log_in(plain(&cloud), &credentials)).await.unwrap_err();
        assert!(matches!(error, Error::Cloud(error) if matches!(error.kind(), ErrorKind::BadCredentials)));
    }
}

#[tokio::test]
async fn claim_failures_have_distinct_statuses() {
    let cloud = frozen().await;
    let account = account(&cloud).await;
    let other = within(Account::log_in(plain(&cloud), &Credentials::new("test4521", "Ezlo@2021"))).await.unwrap();
    let mac = "AA:BB:CC:00:00:02";
    let claim = async |account: &Account, hub: &str, mac: &str| {
        within(account.claim(&serial(hub), mac.parse().unwrap()))
            .await
            .err()
            .map(|error| ezlo_protocol::error::with_causes(&error))
            .unwrap_or_default()
    };
    assert!(claim(&account, "90000002", "AA:BB:CC:00:00:FF").await.contains("HTTP 403"));
    assert!(claim(&account, "99999999", mac).await.contains("HTTP 404"));
    assert!(claim(&other, HUB, "AA:BB:CC:00:00:01").await.contains("HTTP 409"));
    assert_eq!(claim(&account, "90000002", mac).await, "");
    assert_eq!(claim(&account, "90000002", mac).await, "", "a repeated claim by the owner is refused");
    assert!(claim(&other, "90000002", mac).await.contains("HTTP 409"));
}

#[tokio::test]
async fn expired_identity_is_refused_and_refreshed_once() {
    let cloud = frozen().await;
    let account = account(&cloud).await;
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    let (mms, expired) = (account.login().client().clone(), account.session().await.unwrap());
    cloud.advance(Duration::from_secs(86_400)).await;
    let error = within(mms.hubs(&expired)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::IdentityExpired));
    // Concurrent calls share a single new login.
    let mut generation = account.login().generation();
    generation.mark_unchanged();
    let (first, second, third) = tokio::join!(account.hubs(), account.users(), account.record());
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(*generation.borrow(), 2, "the account logged in more than once");
    // An open connection continues by default (assumption).
    assert!(within(hub.info()).await.is_ok());
    let pair = expired.pair().clone();
    let login = ezlo::HubCredentials::Relay { pair, serial: serial(HUB) };
    let endpoint = ezlo::Endpoint::new(format!("ws://{}", address(&cloud.ready().http)));
    let error = within(ezlo::RelaySession::connect(&endpoint, &login)).await.unwrap_err();
    assert_eq!(refusal(&error), "cloud.error.mms_autha_token_expired");
}

#[tokio::test]
async fn relay_closes_at_identity_expiry_when_configured() {
    let builder = MockCloud::builder().clock(ezlo_mock_cloud::Clock::frozen(crate::support::START));
    let cloud = started(builder.assumptions(|assumptions| assumptions.close_at_expiry = Some(4401))).await;
    let account = account(&cloud).await;
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    within(hub.info()).await.unwrap();
    let mut events = hub.session().events();
    cloud.advance(Duration::from_secs(86_400)).await;
    let closed = within(async {
        loop {
            if let Some(ezlo::RelayEvent::Disconnected(reason)) = events.next().await {
                return reason.to_string();
            }
        }
    })
    .await;
    assert!(closed.contains("4401"), "{closed}");
    // The relay refuses the old pair, so the session reconnects with a new one.
    assert!(within(hub.info()).await.is_ok());
    assert_eq!(hub.status().connections, 2);
}

#[tokio::test]
async fn connection_to_an_unavailable_hub_fails_with_the_reason() {
    let cloud = frozen().await;
    let account = account(&cloud).await;
    let offline = within(account.connect(&serial("92000001"))).await.unwrap_err();
    assert!(matches!(&offline, Error::Connect(error) if refusal(error) == "nma.ezlo.notconnected"), "{offline}");
    let vera = within(account.connect(&serial("50000001"))).await.unwrap_err();
    assert!(matches!(vera, Error::NoRelay(_)), "{vera}");
    let foreign = within(account.connect(&serial("90000002"))).await.unwrap_err();
    assert!(ezlo_protocol::error::with_causes(&foreign).contains("HTTP 403"), "{foreign}");
}

#[tokio::test]
async fn sessions_on_relay_and_lan_receive_each_others_changes() {
    let cloud = started(MockCloud::builder()).await;
    let account = account(&cloud).await;
    let first = within(account.connect(&serial(HUB))).await.unwrap();
    let second = within(account.connect(&serial(HUB))).await.unwrap();
    let credentials = within(account.local_credentials(&serial(HUB))).await.unwrap();
    let lan = address(cloud.ready().hubs[0].lan.as_deref().unwrap());
    let local = within(Account::connect_local(&serial(HUB), lan, credentials.clone(), None)).await.unwrap();
    let pin = local.session().certificate_pin();
    assert!(within(Account::connect_local(&serial(HUB), lan, credentials.clone(), pin)).await.is_ok());
    let wrong_pin = within(Account::connect_local(&serial(HUB), lan, credentials.clone(), Some([0; 32]))).await;
    assert!(matches!(wrong_pin, Err(Error::Connect(ConnectError::Dial { .. }))));
    let wrong_hub = within(Account::connect_local(&serial("92000001"), lan, credentials, None)).await;
    assert!(matches!(wrong_hub, Err(Error::Connect(ConnectError::Dial { .. }))));

    let devices = within(first.devices()).await.unwrap();
    let lamp = devices.iter().find(|device| device.name() == "Kitchen light").unwrap();
    let item = lamp.item("switch").unwrap().id.clone();
    within(second.synced()).await.unwrap();
    within(local.synced()).await.unwrap();
    let listeners = [second.events(), local.events()];
    within(first.set(&item, true.into())).await.unwrap();
    for mut events in listeners {
        let event = within(events.next()).await;
        let Some(HubEvent::Changed(change)) = event else { panic!("{event:?}") };
        assert!(matches!(&*change, Change::ItemChanged { id, after, .. } if *id == item && *after == true));
    }
    let refused = within(first.set(&item, "on".into())).await.unwrap_err();
    assert!(ezlo_protocol::error::with_causes(&refused).contains("rpc.params.invalid"), "{refused}");
}

#[tokio::test]
async fn mode_switch_completes_after_its_delay_of_world_time() {
    let cloud = frozen().await;
    let hub = within(account(&cloud).await.connect(&serial(HUB))).await.unwrap();
    let switch = within(hub.switch_mode("Away")).await.unwrap();
    assert_eq!(switch.delay_seconds(), 30);
    cloud.advance(Duration::from_secs(29)).await;
    assert_eq!(within(hub.modes()).await.unwrap().current.as_str(), "1");
    cloud.advance(Duration::from_secs(1)).await;
    within(switch.reached()).await.unwrap();
    assert_eq!(within(hub.modes()).await.unwrap().current.as_str(), "2");
}

#[tokio::test]
async fn clouds_are_isolated_and_end_when_dropped() {
    let (first, second) = (frozen().await, frozen().await);
    let new_account =
        ezlo::NewAccount { credentials: Credentials::new("only.here", "password-1"), email: "o@example.com".into() };
    within(Account::create(plain(&first), &new_account)).await.unwrap();
    assert!(within(Account::log_in(plain(&second), &new_account.credentials)).await.is_err());
    let environment = plain(&first);
    drop(first);
    within(async { while Account::log_in(environment.clone(), &new_account.credentials).await.is_ok() {} }).await;
}
