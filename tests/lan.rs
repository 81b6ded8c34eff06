//! Local ports of a hub: access, closed connections and limits.

use std::time::Duration;

use base64::Engine as _;
use ezlo_mock_cloud::{Clock, MockCloud};
use ezlo_testkit::{Came, PING, PONG, RawSocket, Socket, address, frame, http as ask, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{HUB, START, account, frozen, registered, serial, started};

fn lan(cloud: &ezlo_mock_cloud::MockCloud) -> std::net::SocketAddr {
    address(cloud.ready().hubs[0].lan.as_deref().unwrap())
}

/// Enables plaintext connections.
async fn insecure(cloud: &ezlo_mock_cloud::MockCloud) {
    let mut relay = registered(cloud).await;
    let on = json!({"id": 1, "method": "hub.offline.insecure_access.enabled.set", "params": {"enabled": true}});
    assert_eq!(relay.ask(on.to_string()).await["error"], Value::Null);
}

#[tokio::test]
async fn reboot_closes_connections_without_a_login() {
    let cloud = frozen().await;
    insecure(&cloud).await;
    let mut guest = Socket::connect(lan(&cloud)).await;
    let info = guest.ask(r#"{"id":1,"method":"hub.info.get","params":{}}"#).await;
    assert_eq!(info["result"]["serial"], HUB);
    let mut idle = TcpStream::connect(lan(&cloud)).await.unwrap();
    idle.write_all(b"GET /v1/method/hub/info/get HTTP/1.1\r\nhost: hub\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(within(idle.read(&mut buffer)).await.unwrap() > 0);
    let mut relay = registered(&cloud).await;
    relay.text(r#"{"id":1,"method":"hub.reboot","params":{}}"#).await;
    assert!(matches!(guest.next().await, Came::Closed(1001)));
    assert_eq!(within(idle.read(&mut buffer)).await.unwrap_or(0), 0, "the keep-alive connection stays open");
    let mut early = TcpStream::connect(lan(&cloud)).await.unwrap();
    let _ = early.write_all(b"GET / HTTP/1.1\r\nhost: hub\r\n\r\n").await;
    assert_eq!(within(early.read(&mut buffer)).await.unwrap_or(0), 0, "the port responds during the reboot");
    cloud.advance(Duration::from_secs(1)).await;
    let mut again = Socket::connect(lan(&cloud)).await;
    assert_eq!(again.ask(r#"{"id":1,"method":"hub.info.get","params":{}}"#).await["result"]["serial"], HUB);
}

/// Clients build the address of a hub from its A record and the usual port, and never read the port that is announced.
#[tokio::test]
async fn each_hub_can_have_an_address_with_the_usual_port() {
    let config = ezlo_mock_cloud::Config { hub_addresses: true, ..ezlo_mock_cloud::Config::default() };
    let cloud = crate::support::started(ezlo_mock_cloud::MockCloud::builder().config(config)).await;
    let hubs = &cloud.ready().hubs;
    assert_eq!(hubs[0].lan.as_deref(), Some("wss://127.0.0.1:17000"));
    assert_eq!(hubs[0].lan_http.as_deref(), Some("https://127.0.0.1:17000"));
    let addresses: Vec<_> = hubs.iter().filter_map(|hub| hub.lan.as_deref()).collect();
    assert!(addresses.iter().all(|lan| lan.ends_with(":17000") || lan.ends_with(":17001")), "{addresses:?}");
    let fork = within(cloud.fork()).await.unwrap();
    assert_ne!(fork.ready().hubs[0].lan, hubs[0].lan, "a fork has ports of its own");
}

/// The reply to an HTTP call has error, id and result only, and an id in the form of the hub's ids (users).
#[tokio::test]
async fn http_reply_has_neither_api_nor_method() {
    let cloud = frozen().await;
    insecure(&cloud).await;
    let keys = within(account(&cloud).await.local_credentials(&serial(HUB))).await.unwrap();
    let headers = [("user", keys.user.as_str()), ("token", keys.token.expose())];
    let reply = ask(lan(&cloud), "GET /v1/method/hub.modes.current.get", &headers, b"").await;
    let reply: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(reply.as_object().unwrap().keys().collect::<Vec<_>>(), ["error", "id", "result"]);
    assert_eq!(reply["id"].as_str().unwrap().len(), 24);
}

#[tokio::test]
async fn http_accepts_basic_header_and_anonymous_credentials() {
    let cloud = frozen().await;
    insecure(&cloud).await;
    let keys = within(account(&cloud).await.local_credentials(&serial(HUB))).await.unwrap();
    let (user, token) = (keys.user.as_str(), keys.token.expose());
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{token}")));
    let get =
        async |headers: &[(&str, &str)]| ask(lan(&cloud), "GET /v1/method/hub/room/list", headers, b"").await.status;
    assert_eq!(get(&[]).await, 401);
    assert_eq!(get(&[("authorization", &basic)]).await, 200);
    assert_eq!(get(&[("user", user), ("token", token)]).await, 200);
    assert_eq!(
        get(&[("authorization", "Basic bm86bm8="), ("user", user), ("token", token)]).await,
        401,
        "Basic does not take precedence"
    );
    let mut relay = registered(&cloud).await;
    let on = json!({"id": 1, "method": "hub.offline.anonymous_access.enabled.set", "params": {"enabled": true}});
    relay.ask(on.to_string()).await;
    assert_eq!(get(&[]).await, 401, "the setting takes effect before a reboot");
    relay.text(r#"{"id":2,"method":"hub.reboot","params":{}}"#).await;
    relay.json().await;
    cloud.advance(Duration::from_secs(1)).await;
    assert_eq!(get(&[]).await, 200);
}

#[tokio::test]
async fn more_than_100_open_requests_are_refused() {
    let cloud = frozen().await;
    insecure(&cloud).await;
    let head = b"POST /v1/request HTTP/1.1\r\nhost: hub\r\ncontent-length: 10\r\n\r\n";
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(lan(&cloud)).await.unwrap();
        stream.write_all(head).await.unwrap();
        open.push(stream);
    }
    // The server has read all 100 requests when the next one is refused.
    let refused = within(async {
        loop {
            let status = ask(lan(&cloud), "GET /v1/method/hub/room/list", &[], b"").await.status;
            if status == 429 {
                return status;
            }
        }
    });
    assert_eq!(refused.await, 429);
    drop(open);
    let free = within(async {
        loop {
            let status = ask(lan(&cloud), "GET /v1/method/hub/room/list", &[], b"").await.status;
            if status != 429 {
                return status;
            }
        }
    });
    assert_eq!(free.await, 401);
}

#[tokio::test]
async fn broadcasts_are_streamed_as_lines_over_http() {
    let cloud = frozen().await;
    insecure(&cloud).await;
    let keys = within(account(&cloud).await.local_credentials(&serial(HUB))).await.unwrap();
    let mut stream = TcpStream::connect(lan(&cloud)).await.unwrap();
    let head = format!(
        "GET /v1/broadcasts HTTP/1.1\r\nhost: hub\r\nuser: {}\r\ntoken: {}\r\n\r\n",
        keys.user.as_str(),
        keys.token.expose()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("\r\n\r\n") {
        let read = within(stream.read(&mut buffer)).await.unwrap();
        text += std::str::from_utf8(&buffer[..read]).unwrap();
    }
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    cloud.hub(HUB).unwrap().report("Hall motion", "motion", json!(true)).unwrap();
    while !text.contains("security_threat") {
        let read = within(stream.read(&mut buffer)).await.unwrap();
        text += std::str::from_utf8(&buffer[..read]).unwrap();
    }
    let motion = text.lines().find(|line| line.contains("\"name\":\"motion\"")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(motion).unwrap()["msg_subclass"], "hub.item.updated");
}

/// Clients close a connection without pings, also while the simulated clock stands still.
#[tokio::test]
async fn hub_sends_empty_pings_in_machine_time() {
    let cloud =
        started(MockCloud::builder().clock(Clock::frozen(START)).assumptions(|assumptions| assumptions.ping_ms = 20))
            .await;
    insecure(&cloud).await;
    let mut socket = RawSocket::connect(lan(&cloud), "hub").await;
    assert_eq!(within(socket.next()).await, Some((PING, Vec::new())));
    // An advance of a day sends no burst of pings.
    let slow = frozen().await;
    insecure(&slow).await;
    let mut socket = RawSocket::connect(lan(&slow), "hub").await;
    slow.advance(Duration::from_secs(86_400)).await;
    socket.send(&frame(PING, b"own")).await;
    assert_eq!(within(socket.next()).await, Some((PONG, b"own".to_vec())), "no ping precedes the pong");
}

/// Disconnected clients release their slots, also when no broadcast is sent.
#[tokio::test]
async fn disconnected_listeners_are_not_counted() {
    let cloud = frozen().await;
    insecure(&cloud).await;
    let keys = within(account(&cloud).await.local_credentials(&serial(HUB))).await.unwrap();
    let keys = [("user", keys.user.as_str()), ("token", keys.token.expose())];
    let listen =
        format!("GET /v1/broadcasts HTTP/1.1\r\nhost: x\r\nuser: {}\r\ntoken: {}\r\n\r\n", keys[0].1, keys[1].1);
    for _ in 0..120 {
        let mut stream = TcpStream::connect(lan(&cloud)).await.unwrap();
        stream.write_all(listen.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        // A refusal is possible while earlier connections are still closing.
        within(stream.read_exact(&mut head)).await.unwrap();
        assert!(head.starts_with(b"HTTP/1.1 "), "{head:?}");
    }
    within(async {
        while ask(lan(&cloud), "GET /v1/method/hub.info.get", &keys, b"").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The hub's port supports TLS 1.3 with a certificate whose common name is the serial.
#[test]
fn hub_port_supports_tls_1_3_with_its_serial_as_name() {
    let program = crate::seed::Program::start(&[]);
    let url = format!("https://127.0.0.1:{}/v1/method/hub.info.get", program.port("/hubs/0/lan"));
    let curl = std::process::Command::new("curl")
        .args(["--silent", "--insecure", "--verbose", "--tlsv1.3", "--write-out", "%{http_code}", &url])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&curl.stderr).into_owned();
    assert_eq!(
        String::from_utf8_lossy(&curl.stdout).lines().last().map(|line| line.ends_with("401")),
        Some(true),
        "{log}"
    );
    assert!(log.contains("TLSv1.3") && log.contains(&format!("CN={HUB}")), "{log}");
}

/// Logins are also checked with anonymous access. A second login on one connection is refused as already logged in.
#[tokio::test]
async fn login_is_checked_with_anonymous_access() {
    let cloud = frozen().await;
    insecure(&cloud).await;
    let mut relay = registered(&cloud).await;
    let open = json!({"id": 9, "method": "hub.offline.anonymous_access.enabled.set", "params": {"enabled": true}});
    assert_eq!(relay.ask(open.to_string()).await["error"], Value::Null);
    let control = address(&cloud.ready().control);
    assert_eq!(ask(control, &format!("POST /hubs/{HUB}/reboot"), &[], b"").await.status, 200);
    cloud.advance(Duration::from_secs(120)).await;
    let keys = within(account(&cloud).await.local_credentials(&serial(HUB))).await.unwrap();
    let login = |token: &str| {
        let params = json!({"user": keys.user.as_str(), "token": token});
        json!({"id": 1, "method": "hub.offline.login.ui", "params": params}).to_string()
    };
    let mut socket = Socket::connect(lan(&cloud)).await;
    assert_eq!(socket.ask(login("wrong")).await["error"]["data"], "user.login.badpassword");
    assert_eq!(socket.ask(login(keys.token.expose())).await["error"], Value::Null);
    assert_eq!(socket.ask(login(keys.token.expose())).await["error"]["data"], "user.login.alreadylogged");
}
