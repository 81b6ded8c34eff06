//! Invalid input on every listener: it is refused in the vendor's format, and the listener continues to serve.

use std::net::SocketAddr;

use ezlo_mock_cloud::MockCloud;
use ezlo_testkit::{CLOSE, Came, RawSocket, Socket, TEXT, address, frame, http as ask, raw, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{HUB, frozen, http, pair, registered, started};

/// Returns the plain HTTP listeners of a cloud: all hosts, control API, access point and its restart port.
fn listeners(cloud: &MockCloud) -> Vec<SocketAddr> {
    let ready = cloud.ready();
    let fresh = &ready.hubs[1];
    let urls = [Some(&ready.http), Some(&ready.control), fresh.ap.as_ref(), fresh.ap_root.as_ref()];
    urls.into_iter().flatten().map(|url| address(url)).collect()
}

fn status(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(answer).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn malformed_http_is_refused_on_every_listener() {
    let cloud = frozen().await;
    for to in listeners(&cloud) {
        let long_head = format!("GET / HTTP/1.1\r\nhost: {to}\r\nx: {}\r\n\r\n", "x".repeat(200_000));
        let long_body = format!(
            "POST /v1/request HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: 9999999\r\n\r\n{}",
            "x".repeat(300_000)
        );
        let cases: [(&[u8], &[u16]); 6] = [
            (b"\x00\xff\xfe garbage \r\n\r\n", &[400]),
            (b"GET / HTTP/9.9\r\n\r\n", &[400]),
            (b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n", &[400]),
            (b"GET / HTTP/1.1\r\nhost: bad host<script>\r\nconnection: close\r\n\r\n", &[400]),
            (long_head.as_bytes(), &[431, 0]),
            (long_body.as_bytes(), &[413, 0]),
        ];
        for (bytes, expected) in cases {
            let answer = raw(to, bytes).await;
            assert!(expected.contains(&status(&answer)), "{to}: {} for {:?}", status(&answer), &bytes[..20]);
        }
        let nowhere = ask(to, "GET /no/such/path", &[], b"").await;
        assert_eq!(nowhere.status, 404, "{to}");
    }
}

#[tokio::test]
async fn wrong_methods_and_bodies_are_refused_with_the_expected_text() {
    let cloud = frozen().await;
    let to = http(&cloud);
    let access_point = address(cloud.ready().hubs[1].ap.as_deref().unwrap());
    let cases = [
        (to, "DELETE /autha/auth/username", &b""[..], 405, "ERROR:Method not allowed"),
        (to, "POST /account/account/account/1200001", b"", 405, "ERROR:Method not allowed"),
        (to, "POST /autha/auth/username?Username=x", b"", 400, "ERROR:Username, Email and Password are required"),
        (
            to,
            "POST /autha/auth/username?Username=demo.user&Email=new@example.com&Password=p",
            b"",
            409,
            "ERROR:Username or Email already exists",
        ),
        (to, "GET /autha/auth/username/demo.user", b"", 400, "ERROR:SHA1Password is required"),
        (to, "GET /autha/auth/username/demo.user?SHA1Password=0", b"", 404, "ERROR:Invalid username or password"),
        (to, "GET /autha/auth/username/%FF?SHA1Password=0", b"", 400, "ERROR:Path is not UTF-8"),
        (to, "GET /account/account/account/1200001", b"", 401, "ERROR:Authentication required"),
        (to, "POST /api/v4/login/3/sessions", b"{", 400, "ERROR:the JSON text ends too early"),
        (
            to,
            "GET /relay/relay/relay/device/50000001/port_3480/data_request",
            b"",
            401,
            "ERROR:Authentication required",
        ),
        (access_point, "POST /wifi/network/connect", b"not json", 400, "ERROR:expected"),
        (access_point, "POST /wifi/network/connect", b"{\"ssid\":7}", 400, "ERROR:expected a string"),
        (access_point, "POST /wifi/network/connect", b"{\"ssid\":\"\"}", 400, "ERROR:Invalid ssid"),
        (access_point, "GET /wifi/network/connect", b"", 405, "ERROR:Method not allowed"),
    ];
    for (to, head, body, status, text) in cases {
        let answer = ask(to, head, &[], body).await;
        assert_eq!(answer.status, status, "{head}: {}", answer.body);
        assert!(answer.body.starts_with(text), "{head}: {}", answer.body);
    }
    for body in
        [&b"not json"[..], b"[]", b"{\"call\":7}", b"{\"call\":\"nothing\"}", b"{\"call\":\"access_keys_sync\"}"]
    {
        let answer = ask(to, "POST /v1/request", &[], body).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!(0)), "{}", answer.body);
        assert!(answer.json()["data"]["error_text"].is_string());
    }
}

#[tokio::test]
async fn tampered_and_foreign_identities_are_refused() {
    let cloud = frozen().await;
    let pair = pair(&cloud).await;
    let read = "GET /account/account/account/1200001";
    let (identity, signature) = (pair.identity.expose(), pair.signature.expose());
    let good = ask(http(&cloud), read, &[("mmsAuth", identity), ("MMSAUTHSIG", signature)], b"").await;
    assert_eq!(good.status, 200);
    let mut document = pair.decode().unwrap();
    document.account = 1_207_762;
    let forged = document.encode();
    for headers in [
        [("MMSAuth", forged.expose()), ("MMSAuthSig", signature)],
        [("MMSAuth", identity), ("MMSAuthSig", "AAAA")],
        [("MMSAuth", "!!!"), ("MMSAuthSig", signature)],
        [("MMSSession", "0000"), ("X", "y")],
    ] {
        assert_eq!(ask(http(&cloud), read, &headers, b"").await.status, 401);
    }
    let foreign = ask(
        http(&cloud),
        "GET /account/account/account/1207762",
        &[("MMSAuth", identity), ("MMSAuthSig", signature)],
        b"",
    )
    .await;
    assert_eq!((foreign.status, foreign.body.as_str()), (403, "ERROR:Not your account"));
}

#[tokio::test]
async fn invalid_frames_at_the_relay_are_answered_with_errors() {
    let cloud = frozen().await;
    let mut socket = Socket::connect(http(&cloud)).await;
    for text in ["", "not json", "[]", "{}", "7", r#"{"id":"#] {
        let answer = socket.ask(text).await;
        assert_eq!(answer["error"]["code"], -32700, "{text}: {answer}");
    }
    // An object that is not a request is answered with its id, so that the client does not wait for a reply.
    for text in [r#"{"id":"1"}"#, r#"{"id":"1","method":5}"#, r#"{"id":"1","msg_subclass":"x","result":{}}"#] {
        let answer = socket.ask(text).await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("1"), &json!(-32600)), "{text}");
    }
    socket.binary(vec![0xff, 0xfe]).await;
    assert_eq!(socket.json().await["error"]["code"], -32700);
    socket.binary(br#"{"id":"1","method":"hub.info.get"}"#.to_vec()).await;
    assert_eq!(socket.json().await["error"]["data"], "nma.user.notlogged");
    socket.text("x".repeat(2 * 1024 * 1024)).await;
    assert!(matches!(socket.next().await, Came::Closed(1009) | Came::Gone));
    // The relay continues to serve new connections.
    let mut socket = registered(&cloud).await;
    let refused = socket.ask(r#"{"id":"1","method":"hub.item.value.set","params":"text"}"#).await;
    assert_eq!(refused["error"]["data"], "rpc.params.invalid");
}

#[tokio::test]
async fn invalid_utf8_frame_is_closed_with_1007() {
    let cloud = frozen().await;
    let mut socket = RawSocket::connect(http(&cloud), "x").await;
    socket.send(&frame(TEXT, &[0xff, 0xfe])).await;
    let (code, payload) = socket.next().await.unwrap();
    assert_eq!((code, &payload[..2]), (CLOSE, &1007_u16.to_be_bytes()[..]), "{:?}", String::from_utf8_lossy(&payload));
}

/// The rules of RFC 6455, section 4.2.1.
#[tokio::test]
async fn invalid_websocket_handshakes_are_refused() {
    const VALID: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const KEY: &str = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let cloud = frozen().await;
    let insecure = json!({"id": 1, "method": "hub.offline.insecure_access.enabled.set", "params": {"enabled": true}});
    assert_eq!(registered(&cloud).await.ask(insecure.to_string()).await["error"], Value::Null);
    let long = format!("Sec-WebSocket-Key: {}\r\n", "A".repeat(10_000));
    let cases = [
        ("", "", 101),
        ("Connection: keep-alive, Upgrade\r\n", "Connection: upgrade\r\n", 101),
        ("Upgrade: websocket\r\n", "Upgrade: h2c, WebSocket\r\n", 101),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\nUpgrade: websocket\r\n", 101),
        ("Connection: keep-alive, Upgrade\r\n", "", 400),
        ("Connection: keep-alive, Upgrade\r\n", "Connection: close\r\n", 400),
        ("Connection: keep-alive, Upgrade\r\n", "Connection: keep-alive\r\n", 400),
        ("GET / HTTP/1.1", "GET / HTTP/1.0", 400),
        ("GET / HTTP/1.1", "POST / HTTP/1.1", 400),
        (KEY, "", 400),
        (KEY, "Sec-WebSocket-Key: abc\r\n", 400),
        (KEY, "Sec-WebSocket-Key: \r\n", 400),
        (KEY, "Sec-WebSocket-Key: \u{e9}\u{e9}\r\n", 400),
        (KEY, &long, 400),
        (KEY, &format!("{KEY}{KEY}"), 400),
        ("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", 400),
        ("Version: 13", "Version: 8", 426),
        ("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 8\r\n", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("GET / ", "GET /elsewhere ", 404),
    ];
    for to in [http(&cloud), address(cloud.ready().hubs[0].lan.as_deref().unwrap())] {
        for (part, replacement, expected) in cases {
            assert!(VALID.contains(part), "{part}");
            let request = VALID.replacen(part, replacement, 1);
            let mut stream = tokio::net::TcpStream::connect(to).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = [0; 12];
            within(stream.read_exact(&mut head)).await.unwrap();
            assert_eq!(status(&head), expected, "{to}: {part:?} -> {replacement:?}");
        }
    }
}

#[tokio::test]
async fn unknown_host_names_are_accepted_except_by_the_strict_profile() {
    let head = b"GET /locator/locator/locator HTTP/1.1\r\nhost: my.own.name:8080\r\nconnection: close\r\n\r\n";
    let calm = frozen().await;
    let answer = raw(http(&calm), head).await;
    assert!(String::from_utf8_lossy(&answer).contains("my.own.name:8080"));
    let strict = crate::support::started(MockCloud::builder().profile(ezlo_mock_cloud::Profile::Strict)).await;
    assert_eq!(status(&raw(http(&strict), head).await), 404);
}

#[tokio::test]
async fn garbage_on_tls_listeners_gets_no_http_response() {
    let cloud = started(MockCloud::builder()).await;
    let lan = cloud.ready().hubs[0].lan.clone().unwrap();
    for url in [&cloud.ready().https, &lan] {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\xff\xff garbage", b"\x16"] {
            assert!(!raw(address(url), bytes).await.starts_with(b"HTTP"), "{url}");
        }
    }
    let again = ezlo::Account::log_in(crate::support::mapped(&cloud), &crate::support::demo()).await;
    assert!(again.is_ok(), "the listener refuses connections after the garbage");
}

#[tokio::test]
async fn truncated_requests_do_not_stop_a_listener() {
    let cloud = frozen().await;
    for to in listeners(&cloud) {
        let half_body = format!("POST /v1/request HTTP/1.1\r\nhost: {to}\r\ncontent-length: 100\r\n\r\n{{\"call\":");
        for bytes in [&b""[..], b"GET", b"GET / HTTP/1.1\r\nhost: x", half_body.as_bytes()] {
            assert!([0, 400, 404, 405].contains(&status(&raw(to, bytes).await)), "{to}");
        }
        assert_ne!(ask(to, "GET /", &[], b"").await.status, 0, "{to} stopped serving");
    }
}

#[tokio::test]
async fn hub_local_port_accepts_plaintext_only_with_insecure_access() {
    let cloud = frozen().await;
    let lan = address(cloud.ready().hubs[0].lan.as_deref().unwrap());
    assert!(raw(lan, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.is_empty());
    assert_eq!(cloud.ready().hubs[0].serial, HUB);
    let open = r#"{"id":"1","method":"hub.offline.insecure_access.enabled.set","params":{"enabled":true}}"#;
    assert_eq!(registered(&cloud).await.ask(open).await["error"], Value::Null);
    assert_eq!(ask(lan, "GET /v1/method/hub/info/get", &[], b"").await.status, 401);
}

#[tokio::test]
async fn requests_on_hub_local_ports_get_the_expected_status() {
    let cloud = frozen().await;
    let open = r#"{"id":"1","method":"hub.offline.insecure_access.enabled.set","params":{"enabled":true}}"#;
    registered(&cloud).await.ask(open).await;
    let account = crate::support::account(&cloud).await;
    let keys = account.local_credentials(&HUB.parse().unwrap()).await.unwrap();
    let auth = [("user", keys.user.as_str()), ("token", keys.token.expose())];
    for url in [&cloud.ready().hubs[0].lan, &cloud.ready().hubs[0].lan_http] {
        let to = address(url.as_deref().unwrap());
        let cases = [
            ("GET /v1/method/hub/info/get", &b""[..], 200),
            ("GET /v1/method/hub.info.get", b"", 200),
            ("GET /v1/method/hub/nothing", b"", 500),
            ("GET /v1/method/hub/item/value/set?_id=x&value_bool=maybe", b"", 500),
            ("POST /v1/method/hub/info/get", b"", 405),
            ("GET /v1/request", b"", 405),
            ("POST /v1/request", b"", 400),
            ("POST /v1/request", b"not json", 400),
            ("POST /v1/request", b"\xff\xfe", 400),
            ("POST /v1/request", br#"{"id":1,"method":"hub.room.list","params":{}}"#, 200),
            ("GET /v1/method/hub%2Froom%2Flist", b"", 200),
            ("GET /v1/method/%FF", b"", 400),
            ("GET /elsewhere", b"", 404),
        ];
        for (head, body, status) in cases {
            let answer = ask(to, head, &auth, body).await;
            assert_eq!(answer.status, status, "{head}: {}", answer.body);
        }
        let wrong = [("user", keys.user.as_str()), ("token", "wrong")];
        assert_eq!(ask(to, "GET /v1/method/hub/info/get", &wrong, b"").await.status, 401);
    }
    let mut socket = Socket::connect(address(cloud.ready().hubs[0].lan.as_deref().unwrap())).await;
    let data = |reply: Value| reply["error"]["data"].as_str().unwrap_or("none").to_owned();
    assert_eq!(data(socket.ask("not json").await), "rpc.parse.error");
    assert_eq!(data(socket.ask(r#"{"id":"1","method":"hub.info.get","params":{}}"#).await), "none");
    assert_eq!(
        data(socket.ask(r#"{"id":"1","method":"hub.devices.list","params":{}}"#).await),
        "user.permission.doesnothave"
    );
    assert_eq!(data(socket.ask(r#"{"id":"1","method":"hub.offline.login.ui"}"#).await), "rpc.params.notfound");
    let login = |token: &str| {
        json!({"id": "1", "method": "hub.offline.login.ui", "params": {"user": keys.user, "token": token}}).to_string()
    };
    assert_eq!(data(socket.ask(login("wrong")).await), "user.login.badpassword");
    assert_eq!(data(socket.ask(login(keys.token.expose())).await), "none");
    assert_eq!(data(socket.ask(login(keys.token.expose())).await), "user.login.alreadylogged");
}
