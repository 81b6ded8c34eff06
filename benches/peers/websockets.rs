//! The same relay and echo as [`relay`](super::relay), with tokio-websockets.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};

use super::pairs::Pairs;
use super::relay::Envelope;

/// Longest head of an upgrade request, in bytes.
const LONGEST_HEAD: usize = 4096;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Reads the head of an upgrade request and returns its path and its key.
async fn head(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if bytes.len() > LONGEST_HEAD || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(bytes).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    };
    Some((path, head.lines().find_map(header)?))
}

async fn upgrade(mut stream: TcpStream, key: &str) -> Option<WebSocketStream<TcpStream>> {
    let accept = derive_accept_key(key.as_bytes());
    let reply = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    stream.write_all(reply.as_bytes()).await.ok()?;
    Some(ServerBuilder::new().serve(stream))
}

pub(super) async fn relay() -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    super::print_address(listener.local_addr().map_err(text)?)?;
    let pairs = Pairs::default();
    loop {
        let (stream, _) = listener.accept().await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        tokio::spawn(one(pairs.clone(), stream));
    }
}

async fn one(pairs: Pairs<Bytes>, mut stream: TcpStream) {
    let Some((path, key)) = head(&mut stream).await else { return };
    // Registers the connection before the upgrade is confirmed, so that it receives the next message.
    let (end, mut outbox) = pairs.register(&path);
    let Some(mut socket) = upgrade(stream, &key).await else { return };
    loop {
        tokio::select! {
            biased;
            out = outbox.recv() => {
                let Some(first) = out else { return };
                let mut next = Some(first);
                while let Some(text) = next {
                    if socket.feed(Message::text(text)).await.is_err() {
                        return;
                    }
                    next = outbox.try_recv().ok();
                }
                if socket.flush().await.is_err() {
                    return;
                }
            }
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_text() => {
                    if message.as_text().is_none_or(|text| serde_json::from_str::<Envelope<'_>>(text).is_err()) {
                        continue;
                    }
                    pairs.forward(&end, &Bytes::from(message.into_payload()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }
}

pub(super) async fn echo() -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    super::print_address(listener.local_addr().map_err(text)?)?;
    loop {
        let (mut stream, _) = listener.accept().await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        tokio::spawn(async move {
            let Some((_, key)) = head(&mut stream).await else { return };
            let Some(mut socket) = upgrade(stream, &key).await else { return };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}
