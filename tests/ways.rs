//! Connection paths of a hub: the local network while it is reachable, otherwise the relay.

use std::time::Duration;

use ezlo::{ConnectionPath, Hub, LocalAddress, LocalOptions, SessionConfig};
use ezlo_mock_cloud::faults::{FaultKind, FaultSpec, Trigger};
use ezlo_mock_cloud::{Config, MockCloud};
use ezlo_testkit::{address, within};
use ezlo_tests::soak::proxy::Proxy;
use serde_json::json;

use crate::support::{HUB, account, serial, started};

/// Waits until the session is live on a connection path.
async fn wait_for_path(hub: &Hub, path: ConnectionPath) {
    let mut status = hub.session().watch_status();
    let live = status.wait_for(|status| status.is_live() && hub.connection_path() == path);
    within(live).await.unwrap();
}

async fn toggle(hub: &Hub, on: bool) {
    within(hub.synced()).await.unwrap();
    let version = hub.version();
    let lamp = within(hub.device("Kitchen light")).await.unwrap();
    let item = within(lamp.item("switch").unwrap().set(on).send_and_confirm()).await.unwrap();
    assert_eq!(item.value.get(), Some(&json!(on)));
    assert!(hub.version() > version, "the model changed");
}

#[tokio::test]
async fn the_relay_replaces_a_lost_local_network_until_it_returns() {
    let cloud = started(MockCloud::builder()).await;
    let account = account(&cloud).await;
    let credentials = within(account.local_credentials(&serial(HUB))).await.unwrap();
    let proxy = Proxy::start(address(cloud.ready().hubs[0].lan.as_deref().unwrap())).await;
    let mut local = LocalOptions::new(LocalAddress::Fixed(proxy.address()), credentials);
    local.probe_interval = Duration::from_millis(20);
    let hub = within(account.connect_with(&serial(HUB), Some(local), SessionConfig::default())).await.unwrap();
    wait_for_path(&hub, ConnectionPath::Local).await;
    toggle(&hub, true).await;
    proxy.refuse(Duration::from_secs(3600));
    wait_for_path(&hub, ConnectionPath::Relay).await;
    toggle(&hub, false).await;
    proxy.mend();
    wait_for_path(&hub, ConnectionPath::Local).await;
    toggle(&hub, true).await;
    assert_eq!(hub.status().connections, 3);
    // A certificate that does not match the pin is rejected, so the relay is used.
    let other = LocalOptions::new(
        LocalAddress::Fixed(proxy.address()),
        within(account.local_credentials(&serial(HUB))).await.unwrap(),
    );
    let mut pinned = other.clone();
    pinned.pin = Some([7; 32]);
    let hub = within(account.connect_with(&serial(HUB), Some(pinned), SessionConfig::default())).await.unwrap();
    assert_eq!(hub.connection_path(), ConnectionPath::Relay);
}

#[tokio::test]
async fn a_refused_local_key_falls_back_to_the_relay() {
    let cloud = started(MockCloud::builder()).await;
    let account = account(&cloud).await;
    let mut credentials = within(account.local_credentials(&serial(HUB))).await.unwrap();
    credentials.token = "an-old-token".into();
    let lan = address(cloud.ready().hubs[0].lan.as_deref().unwrap());
    let local = LocalOptions::new(LocalAddress::Fixed(lan), credentials);
    let before = account.session().await.unwrap();
    let hub = within(account.connect_with(&serial(HUB), Some(local), SessionConfig::default())).await.unwrap();
    assert_eq!(hub.connection_path(), ConnectionPath::Relay);
    toggle(&hub, true).await;
    assert_eq!(account.session().await.unwrap().pair(), before.pair(), "the login is unchanged");
}

#[tokio::test]
async fn a_session_follows_identity_refresh_and_logout() {
    let cloud = crate::support::frozen().await;
    let clock = cloud.clock().clone();
    let account = ezlo::Account::builder(crate::support::demo())
        .environment(crate::support::plain(&cloud))
        .clock(move || clock.unix_seconds());
    let account = within(account.log_in()).await.unwrap();
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    cloud.advance(Duration::from_secs(86_400)).await;
    let mut status = hub.session().watch_status();
    within(account.hubs()).await.unwrap();
    within(status.wait_for(|status| status.connections == 2 && status.is_live())).await.unwrap();
    toggle(&hub, true).await;
    account.login().log_out().await.unwrap();
    within(status.wait_for(|status| status.phase == ezlo_relay::Phase::Closed)).await.unwrap();
    assert!(within(hub.set(&"any".into(), true.into())).await.is_err(), "calls fail after the logout");
}

/// A fresh identity can be refused too, for example because the clock of the cloud was changed.
#[tokio::test]
async fn a_session_survives_a_refused_fresh_identity() {
    let cloud = started(MockCloud::builder()).await;
    let account = account(&cloud).await;
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    let mut status = hub.session().watch_status();
    let unauthorized = FaultKind::Status { status: 401, retry_after: None };
    for fault in [
        FaultSpec::new(unauthorized).path("/device/device/device").when(Trigger::First(2)),
        FaultSpec::new(FaultKind::UpgradeRefused { status: 503 }).when(Trigger::First(1)),
        FaultSpec::new(FaultKind::Abort).when(Trigger::First(1)),
    ] {
        cloud.add_fault(fault).unwrap();
    }
    let _ = within(hub.set(&"any".into(), true.into())).await;
    within(status.wait_for(|status| status.connections == 2 && status.is_live())).await.unwrap();
    assert_eq!(cloud.faults()[0].fired, 2, "the identity was refused twice");
    toggle(&hub, true).await;
}

#[tokio::test]
async fn hubs_are_discovered_by_their_mdns_announcements() {
    let config = Config { mdns: true, ..Config::default() };
    let cloud = started(MockCloud::builder().config(config)).await;
    let lan = address(cloud.ready().hubs[0].lan.as_deref().unwrap());
    let found = within(ezlo::find(&serial(HUB), Duration::from_secs(8))).await.unwrap();
    assert_eq!((found.address, found.host.as_str()), (lan, "HUB90000001.local"));
    assert_eq!(found.model.as_deref(), Some("h2.1"));
    let account = account(&cloud).await;
    let credentials = within(account.local_credentials(&serial(HUB))).await.unwrap();
    let local = LocalOptions::new(LocalAddress::Discovered, credentials);
    let hub = within(account.connect_with(&serial(HUB), Some(local), SessionConfig::default())).await.unwrap();
    assert_eq!(hub.connection_path(), ConnectionPath::Local);
    let error = within(ezlo::find(&serial("99999999"), Duration::from_millis(50))).await.unwrap_err();
    assert!(error.to_string().contains("99999999"), "{error}");
}

/// A value that is set before the first read of the model is confirmed, also on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_set_during_the_first_model_read_is_confirmed() {
    let cloud = started(MockCloud::builder()).await;
    let account = account(&cloud).await;
    let hub = within(account.connect(&serial(HUB))).await.unwrap();
    let lamp = within(hub.device("Ceiling light")).await.unwrap().item("switch").unwrap().id.clone();
    for round in 0..60 {
        let again = within(account.connect(&serial(HUB))).await.unwrap();
        let set = tokio::time::timeout(Duration::from_secs(10), again.set(&lamp, (round % 2 == 0).into())).await;
        set.unwrap_or_else(|_| panic!("round {round}")).unwrap();
    }
}

/// Linux hubs are reported to accept one old suite only (client-source): the modern connector falls back to the relay.
#[cfg(feature = "legacy-tls")]
#[tokio::test]
async fn local_port_with_old_tls_is_used_by_the_legacy_connector_only() {
    let config = Config { legacy_tls: true, ..Config::default() };
    let cloud = started(MockCloud::builder().config(config)).await;
    let account = account(&cloud).await;
    let credentials = within(account.local_credentials(&serial(HUB))).await.unwrap();
    let lan = address(cloud.ready().hubs[0].lan.as_deref().unwrap());
    let modern = LocalOptions::new(LocalAddress::Fixed(lan), credentials);
    let mut legacy = modern.clone();
    legacy.tls = std::sync::Arc::new(ezlo_relay::LegacyTls);
    for (local, path) in [(modern, ConnectionPath::Relay), (legacy, ConnectionPath::Local)] {
        let hub = within(account.connect_with(&serial(HUB), Some(local), SessionConfig::default())).await.unwrap();
        assert_eq!(hub.connection_path(), path);
    }
}
