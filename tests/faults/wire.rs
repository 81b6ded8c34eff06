//! Faults of listeners, TLS, headers and bodies, tokens and records, observed on the network.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use ezlo_mock_cloud::MockCloud;
use ezlo_mock_cloud::faults::{FaultKind, FaultSpec, Trigger};
use ezlo_protocol::identity::IdentityPair;
use ezlo_testkit::{Came, Control, PING, PONG, RawSocket, TEXT, address, connector, frame, http as ask, within};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{call, cloud, raw};
use crate::support::{HUB, account, http, login_text, pair, plain, registered};

#[tokio::test]
async fn refused_listener_reopens_at_the_same_address() {
    let cloud = cloud().await;
    let mut fault = FaultSpec::new(FaultKind::ConnectionRefused);
    assert!(cloud.add_fault(fault.clone().when(Trigger::First(1))).unwrap_err().to_string().contains("count"));
    fault.matcher.listener = Some("cloud".into());
    let id = cloud.add_fault(fault).unwrap();
    let connects = async |url: &str| TcpStream::connect(address(url)).await.map(drop).map_err(|error| error.kind());
    let until = async |wanted: Result<(), ErrorKind>| {
        within(async {
            // The listener closes and opens shortly after the call that changes the fault.
            while connects(&cloud.ready().http).await != wanted || connects(&cloud.ready().https).await != wanted {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    until(Err(ErrorKind::ConnectionRefused)).await;
    assert_eq!(connects(cloud.ready().hubs[0].ap.as_deref().unwrap()).await, Ok(()), "another listener is closed");
    cloud.remove_fault(Some(id));
    until(Ok(())).await;
    assert!(raw(&cloud).await.0.starts_with(b"HTTP/1.1 200 "), "the listener serves no response after it reopened");
}

#[tokio::test]
async fn tls_faults_break_the_handshake() {
    let cloud = cloud().await;
    let shake = async || {
        let stream = TcpStream::connect(address(&cloud.ready().https)).await.unwrap();
        let name = ServerName::try_from("vera-us-oem-autha.mios.com").unwrap();
        let shaken = within(connector(cloud.ca_pem()).connect(name, stream)).await;
        shaken.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(shake().await, Ok(()));
    for (kind, expected) in [
        (FaultKind::CertificateExpired, "expired"),
        (FaultKind::CertificateWrongHost, "not valid for name"),
        (FaultKind::CertificateUnknownAuthority, "UnknownIssuer"),
        (FaultKind::NoCommonCipher, "HandshakeFailure"),
    ] {
        cloud.add_fault(FaultSpec::new(kind.clone()).when(Trigger::First(1))).unwrap();
        let error = shake().await.unwrap_err();
        assert!(error.contains(expected), "{kind:?}: {error}");
        assert_eq!(shake().await, Ok(()), "{kind:?} acts twice");
        cloud.remove_fault(None);
    }
    cloud.add_fault(FaultSpec::new(FaultKind::StallAfter { bytes: 100 })).unwrap();
    let stalled = tokio::time::timeout(Duration::from_millis(200), shake()).await;
    assert!(stalled.is_err(), "the handshake does not stall: {stalled:?}");
}

#[tokio::test]
async fn header_and_body_faults_change_the_response() {
    let cloud = cloud().await;
    let with = async |kind: FaultKind| {
        cloud.remove_fault(None);
        cloud.add_fault(FaultSpec::new(kind)).unwrap();
        let began = Instant::now();
        let (bytes, end) = raw(&cloud).await;
        assert!(end.is_ok(), "{end:?}");
        (String::from_utf8(bytes).unwrap(), began.elapsed())
    };
    let split =
        |text: &str| text.split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned())).unwrap();
    let (_, body) = split(&with(FaultKind::SlowAnswer { millis: 0 }).await.0);
    let length = format!("\r\ncontent-length: {}", body.len());

    let (slow, time) = with(FaultKind::SlowHeaders { millis: 150 }).await;
    assert!(
        time >= Duration::from_millis(150) && split(&slow).1.len() == body.len() && slow.contains(&length),
        "{slow}"
    );
    let (head, more) = split(&with(FaultKind::OverlongBody).await.0);
    assert!(head.contains(&length) && more.len() > body.len(), "{head}\n{more}");
    let (head, _) = split(&with(FaultKind::WrongLength).await.0);
    assert!(head.contains("\r\ncontent-length: many"), "{head}");
    let (head, chunks) = split(&with(FaultKind::BadChunk).await.0);
    let first = format!("{:x}\r\n", body.len() / 2);
    assert!(head.contains("\r\ntransfer-encoding: chunked") && chunks.starts_with(&first), "{head}\n{chunks}");
    assert_eq!(chunks[first.len() + body.len() / 2..].lines().nth(1), Some("no length"));
    let (_, time) = with(FaultKind::SlowClose { millis: 150 }).await;
    assert!(time >= Duration::from_millis(150), "{time:?}");
    // The SDK reports an error for malformed responses.
    for kind in [FaultKind::WrongLength, FaultKind::BadChunk] {
        cloud.remove_fault(None);
        cloud.add_fault(FaultSpec::new(kind.clone())).unwrap();
        let error = within(ezlo::Account::log_in(plain(&cloud), &crate::support::demo())).await.err();
        assert!(error.is_some(), "{kind:?}");
    }
}

async fn session_status(cloud: &MockCloud, pair: &IdentityPair) -> u16 {
    let keys = [("mmsauth", pair.identity.expose()), ("mmsauthsig", pair.signature.expose())];
    ask(http(cloud), "GET /info/session/token", &keys, b"").await.status
}

#[tokio::test]
async fn login_faults_change_the_issued_identity() {
    let cloud = cloud().await;
    let with = async |kind: FaultKind| {
        cloud.remove_fault(None);
        cloud.add_fault(FaultSpec::new(kind).when(Trigger::First(1))).unwrap();
        let pair = fresh(&cloud).await;
        let document = pair.decode().unwrap();
        (pair, document.generated, document.expires)
    };
    let now = cloud.clock().unix_seconds();
    let (pair, generated, expires) = with(FaultKind::EarlyExpiry { seconds: 5 }).await;
    assert_eq!(expires - generated, 5);
    assert_eq!(session_status(&cloud, &pair).await, 200);
    cloud.advance(Duration::from_secs(6)).await;
    assert_eq!(session_status(&cloud, &pair).await, 401);
    let (pair, generated, expires) = with(FaultKind::ClockSkew { seconds: -7200 }).await;
    assert!((now - 7300..now - 7000).contains(&generated) && expires - generated == 86_400, "{generated}");
    assert_eq!(session_status(&cloud, &pair).await, 200, "the Identity is refused before its own expiry");
    let (pair, ..) = with(FaultKind::BadSignature).await;
    assert_eq!(session_status(&cloud, &pair).await, 401);
    let (first, ..) = with(FaultKind::SlowAnswer { millis: 0 }).await;
    let (second, ..) = with(FaultKind::EvictOthers).await;
    assert_eq!((session_status(&cloud, &first).await, session_status(&cloud, &second).await), (401, 200));
    let third = fresh(&cloud).await;
    assert_eq!((session_status(&cloud, &second).await, session_status(&cloud, &third).await), (200, 200));
}

async fn fresh(cloud: &MockCloud) -> IdentityPair {
    pair(cloud).await
}

#[tokio::test]
async fn revoked_fault_matches_one_user_and_path() {
    let cloud = cloud().await;
    let (mine, other) = (account(&cloud).await, {
        let test = ezlo::Credentials::new("test4521", "Ezlo@2021");
        within(ezlo::Account::log_in(plain(&cloud), &test)).await
    });
    let mut fault = FaultSpec::new(FaultKind::Revoked).path("/account");
    fault.matcher.user = Some("DEMO.user".into());
    cloud.add_fault(fault).unwrap();
    let own = mine.session().await.unwrap();
    let devices = async |account: u64, pair: &IdentityPair| {
        let keys = [("mmsauth", pair.identity.expose()), ("mmsauthsig", pair.signature.expose())];
        ask(http(&cloud), &format!("GET /account/account/account/{account}/devices"), &keys, b"").await.status
    };
    assert_eq!(devices(1_200_001, own.pair()).await, 401);
    assert_eq!(session_status(&cloud, own.pair()).await, 200, "another path is affected");
    let other = other.unwrap();
    assert_eq!(devices(1_207_762, other.session().await.unwrap().pair()).await, 200, "another user is affected");
    assert!(within(mine.hubs()).await.is_err());
    cloud.remove_fault(None);
    assert_eq!(within(mine.hubs()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn password_change_keeps_issued_identities_valid() {
    let cloud = cloud().await;
    let mine = account(&cloud).await;
    let control = Control::at(&cloud.ready().control);
    let path = "/users/demo.user/password";
    assert_eq!(control.call("POST", path, &json!({"password": ""})).await.unwrap_err().status, 400);
    assert_eq!(control.call("POST", "/users/x/password", &json!({"password": "y"})).await.unwrap_err().status, 404);
    control.call("POST", path, &json!({"password": "another-1"})).await.unwrap();
    let log_in = async |password: &str| {
        within(ezlo::Account::log_in(plain(&cloud), &ezlo::Credentials::new("Demo.user", password))).await.is_ok()
    };
    assert!(log_in("another-1").await && !log_in("demo-password").await);
    assert_eq!(within(mine.hubs()).await.unwrap().len(), 3, "an Identity from before the change is refused");
}

#[tokio::test]
async fn client_reads_the_relay_address_again_after_a_move() {
    let cloud = cloud().await;
    let account = account(&cloud).await;
    let hub = within(account.connect(&HUB.parse().unwrap())).await.unwrap();
    let relay = async || {
        let record = within(account.hub_record(&HUB.parse().unwrap())).await.unwrap();
        record.server_relay.get().cloned().unwrap()
    };
    let before = relay().await;
    cloud.add_fault(FaultSpec::new(FaultKind::RelayMoved).hub(HUB)).unwrap();
    let mut refused = FaultSpec::new(FaultKind::UpgradeRefused { status: 403 });
    refused.matcher.host = Some("127.0.0.1".into());
    cloud.add_fault(refused).unwrap();
    assert_ne!(relay().await, before);
    cloud.add_fault(FaultSpec::new(FaultKind::Abort).method("hub.room.list").when(Trigger::First(1))).unwrap();
    assert!(!within(hub.rooms()).await.unwrap().is_empty(), "the client does not read the new relay address");
}

/// Returns the opcodes of the frames that follow a ping, up to the first text frame.
async fn codes_after_a_ping(cloud: &MockCloud) -> Vec<u8> {
    let mut socket = RawSocket::connect(http(cloud), "x").await;
    // The reply to the text, which is not a call, marks the end.
    socket.send(&[frame(PING, b"p"), frame(TEXT, b"x")].concat()).await;
    let mut codes = Vec::new();
    while codes.last() != Some(&TEXT) {
        codes.push(socket.next().await.unwrap().0);
    }
    codes
}

#[tokio::test]
async fn no_pong_fault_suppresses_pongs() {
    let cloud = cloud().await;
    assert!(codes_after_a_ping(&cloud).await.contains(&PONG));
    cloud.add_fault(FaultSpec::new(FaultKind::NoPong).when(Trigger::First(1))).unwrap();
    assert_eq!(codes_after_a_ping(&cloud).await, [TEXT]);
    assert!(codes_after_a_ping(&cloud).await.contains(&PONG), "the fault acts on the second connection");
}

#[tokio::test]
async fn content_faults_return_false_values() {
    let cloud = cloud().await;
    let mut socket = registered(&cloud).await;
    cloud.add_fault(FaultSpec::new(FaultKind::WrongSerial).method("hub.info.get")).unwrap();
    assert_eq!(socket.ask(call("hub.info.get")).await["result"]["serial"], "99999999");
    cloud.add_fault(FaultSpec::new(FaultKind::UnknownToken).method("hub.devices.list")).unwrap();
    let devices = socket.ask(call("hub.devices.list")).await["result"]["devices"].clone();
    assert!(devices.as_array().unwrap().iter().all(|device| device["category"] == "unknown_token"));
    let hub = cloud.hub(HUB).unwrap();
    for value in [true, false, true] {
        hub.report("Hall motion", "motion", json!(value)).unwrap();
        // Broadcasts of linked changes are skipped.
        while socket.json().await["result"]["value"] != value {}
    }
    drop(socket);
    cloud.add_fault(FaultSpec::new(FaultKind::StaleBroadcast).method("hub.room.list").when(Trigger::First(1))).unwrap();
    let mut socket = registered(&cloud).await;
    let stale = socket.ask(call("hub.room.list")).await;
    assert_eq!((&stale["msg_subclass"], &stale["result"]["value"]), (&json!("hub.item.updated"), &json!(false)));
    assert_eq!(socket.json().await["id"], "hub.room.list");
}

#[tokio::test]
async fn matchers_select_params_connection_and_user() {
    let cloud = cloud().await;
    let (mut first, mut second) = (registered(&cloud).await, registered(&cloud).await);
    let info = async |socket: &mut ezlo_testkit::Socket, params: Value| {
        let text = json!({"id": 1, "method": "hub.room.name.set", "params": params}).to_string();
        loop {
            // Broadcasts of the change are skipped.
            if let Came::Json(frame) = {
                socket.text(text.clone()).await;
                socket.next().await
            } && frame["id"] == 1
            {
                return frame["error"]["data"].clone();
            }
        }
    };
    let refusal = || FaultSpec::new(FaultKind::RpcError { code: 1, data: "test.refused".into() });
    let mut fault = refusal();
    fault.matcher.params = json!({"name": "Attic"}).as_object().cloned();
    cloud.add_fault(fault).unwrap();
    assert_eq!(info(&mut first, json!({"_id": "x", "name": "Attic"})).await, "test.refused");
    assert_ne!(info(&mut first, json!({"_id": "x", "name": "Cellar"})).await, "test.refused");
    cloud.remove_fault(None);
    // The connection is identified by its number in the journal.
    let filter = ezlo_mock_cloud::journal::Filter { name: Some("hub.room.name.set".into()), ..Default::default() };
    let connection = cloud.journal(&filter)[0].connection.clone();
    let mut fault = refusal();
    fault.matcher.connection = Some(connection.to_string());
    cloud.add_fault(fault).unwrap();
    assert_eq!(info(&mut first, json!({})).await, "test.refused");
    assert_ne!(info(&mut second, json!({})).await, "test.refused");
    cloud.remove_fault(None);
    let mut fault = refusal();
    fault.matcher.user = Some("test4521".into());
    cloud.add_fault(fault.clone()).unwrap();
    assert_ne!(info(&mut first, json!({})).await, "test.refused");
    fault.matcher.user = Some("demo.user".into());
    cloud.add_fault(fault).unwrap();
    assert_eq!(info(&mut first, json!({})).await, "test.refused");
    cloud.remove_fault(None);
    let mut fault = FaultSpec::new(FaultKind::EmptyAnswer);
    fault.matcher.params = json!({"PK_Oem": 7}).as_object().cloned();
    cloud.add_fault(fault).unwrap();
    let path = |oem| format!("GET /autha/auth/username/x?SHA1Password=0&PK_Oem={oem}");
    let status = async |oem| ask(http(&cloud), &path(oem), &[], b"").await.status;
    assert_eq!((status(7).await, status(8).await), (200, 404));
    let pair = pair(&cloud).await;
    let mut socket = ezlo_testkit::Socket::connect(http(&cloud)).await;
    assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
}

/// A fault that could never fire is refused with the reason.
#[tokio::test]
async fn faults_that_never_fire_are_refused() {
    let cloud = cloud().await;
    let control = Control::at(&cloud.ready().control);
    for (fault, expected) in [
        (json!({"fault": "early_expiry", "seconds": 1, "match": {"hub": HUB}}), "have no hub"),
        (json!({"fault": "revoked", "match": {"hub": HUB}}), "have no hub"),
        (json!({"fault": "bad_signature", "match": {"listener": "lan"}}), "have no listener"),
        (json!({"fault": "status", "status": 500, "match": {"listener": "lan", "user": "x"}}), "user on that listener"),
        (json!({"fault": "status", "status": 500, "match": {"path": "autha"}}), "does not start with"),
        (json!({"fault": "status", "status": 500, "when": {"first": 0}}), "first is not between 1"),
        (json!({"fault": "status", "status": 500, "when": {"every": 0}}), "every is not between 1"),
        (json!({"fault": "status", "status": 500, "when": {"chance": 1.5}}), "chance is not between"),
        (json!({"fault": "reset_on_accept", "match": {"path": "/"}}), "have no path"),
        (json!({"fault": "abort", "wehn": {"first": 1}}), "unknown member `wehn`"),
    ] {
        let refused = control.add_fault(fault.clone()).await.unwrap_err();
        assert!(refused.status == 400 && refused.text.contains(expected), "{fault}: {refused}");
    }
    assert_eq!(control.faults().await.unwrap(), json!([]));
}
