//! Tests of connections whose replies wait for the disk.

use std::net::SocketAddr;

use ezlo_protocol::password::sha1_password;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::MockCloud;
#[cfg(feature = "state")]
use crate::server::shared::Fork as _;

const CALLS: usize = 3000;

type Client = WebSocketStream<TcpStream>;

async fn identity(to: SocketAddr) -> Value {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let hash = sha1_password("demo.user", &"demo-password".into());
    let path = format!("/autha/auth/username/demo.user?SHA1Password={}&PK_Oem=1", hash.expose());
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

async fn connect_to_hub(cloud: &MockCloud) -> Client {
    let to: SocketAddr = cloud.ready().http.trim_start_matches("http://").parse().unwrap();
    let pair = identity(to).await;
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://localhost/", stream).await.unwrap();
    for (method, params) in [
        ("loginUserMios", json!({"MMSAuth": pair["Identity"], "MMSAuthSig": pair["IdentitySignature"]})),
        ("register", json!({"serial": "90000001"})),
    ] {
        let call = json!({"id": 1, "method": method, "params": params}).to_string();
        socket.send(Message::text(call)).await.unwrap();
        assert_eq!(next(&mut socket).await["error"], Value::Null, "{method}");
    }
    socket
}

async fn next(socket: &mut Client) -> Value {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        Some(Ok(Message::Ping(_))) => Value::Null,
        other => panic!("{other:?}"),
    }
}

/// Sends far more calls than the queue of replies has capacity for. The calls wait at the client, which stays connected.
#[cfg(feature = "state")]
#[tokio::test]
async fn calls_wait_at_the_client_while_the_disk_is_blocked() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = MockCloud::builder().state_dir(folder.path()).start().await.unwrap();
    let mut socket = connect_to_hub(&cloud).await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (holds, held) = tokio::sync::oneshot::channel();
    let world = std::sync::Arc::clone(&cloud.shared().world);
    let disk = std::thread::spawn(move || {
        let guard = world.keeper.as_ref().unwrap().mark_all();
        holds.send(()).unwrap();
        let _ = released.recv();
        drop(guard);
    });
    held.await.unwrap();
    let call = |id: usize| json!({"id": id, "method": "hub.modes.current.get", "params": {}}).to_string();
    for id in 0..CALLS {
        socket.feed(Message::text(call(id))).await.unwrap();
    }
    socket.flush().await.unwrap();
    // The cloud runs on this thread. After this many yields it has read all calls that it accepts.
    for _ in 0..10 * CALLS {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    disk.join().unwrap();
    let mut answered = 0;
    while answered < CALLS {
        answered += usize::from(next(&mut socket).await["id"] == answered);
    }
}
