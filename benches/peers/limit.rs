//! The limit that the operating system sets: one thread and epoll, which copy bytes from socket to socket. The mask of the
//! received frames is zero, so payloads are forwarded without changes and without parsing.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const LISTENER: Token = Token(usize::MAX);

#[derive(Default)]
struct Pair {
    hub: Option<usize>,
    apps: Vec<usize>,
}

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    /// The number of the pair and true for its hub; `None` before the upgrade.
    role: Option<(String, bool)>,
    out: Vec<u8>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn run() -> Result<(), String> {
    let mut poll = Poll::new().map_err(text)?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().map_err(text)?).map_err(text)?;
    super::print_address(listener.local_addr().map_err(text)?)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(text)?;
    let mut connections: HashMap<usize, Connection> = HashMap::new();
    let mut pairs: HashMap<String, Pair> = HashMap::new();
    let (mut next, mut events, mut scratch) = (0, Events::with_capacity(1024), vec![0; 256 * 1024]);
    loop {
        poll.poll(&mut events, None).map_err(text)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true).map_err(text)?;
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(next), interest).map_err(text)?;
                    connections.insert(next, Connection { stream, head: Vec::new(), role: None, out: Vec::new() });
                    next += 1;
                }
                continue;
            }
            let token = event.token().0;
            if event.is_readable() && !readable(token, &mut connections, &mut pairs, &mut scratch) {
                connections.remove(&token);
                continue;
            }
            if let Some(connection) = connections.get_mut(&token).filter(|_| event.is_writable()) {
                flush(connection);
            }
        }
    }
}

/// Reads the available bytes and forwards them. Returns false when the connection has ended.
fn readable(
    token: usize,
    connections: &mut HashMap<usize, Connection>,
    pairs: &mut HashMap<String, Pair>,
    scratch: &mut [u8],
) -> bool {
    loop {
        let Some(connection) = connections.get_mut(&token) else { return true };
        let read = match connection.stream.read(scratch) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        };
        let Some((number, is_hub)) = &connection.role else {
            connection.head.extend_from_slice(&scratch[..read]);
            greet(token, connection, pairs);
            continue;
        };
        let Some(pair) = pairs.get(number) else { continue };
        if *is_hub {
            let apps = pair.apps.clone();
            let unmasked = unmasked(&scratch[..read]);
            apps.iter().for_each(|app| send(connections, *app, &unmasked));
        } else if let Some(hub) = pair.hub {
            let unmasked = unmasked(&scratch[..read]);
            send(connections, hub, &unmasked);
        } else {
            let unmasked = unmasked(&scratch[..read]);
            send(connections, token, &unmasked);
        }
    }
}

/// Removes the zero masks of whole frames. The driver writes whole frames only.
fn unmasked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    while bytes.len() >= 6 {
        let short = usize::from(bytes[1] & 0x7f);
        let (length, head) =
            if short == 126 { (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4) } else { (short, 2) };
        let end = (head + 4 + length).min(bytes.len());
        out.extend_from_slice(&[bytes[0], bytes[1] & 0x7f]);
        out.extend_from_slice(&bytes[2..head]);
        out.extend_from_slice(&bytes[(head + 4).min(end)..end]);
        bytes = &bytes[end..];
    }
    out
}

fn greet(token: usize, connection: &mut Connection, pairs: &mut HashMap<String, Pair>) {
    let head = String::from_utf8_lossy(&connection.head).into_owned();
    if !head.ends_with("\r\n\r\n") {
        return;
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let key = head.lines().find(|line| line.to_ascii_lowercase().starts_with("sec-websocket-key"));
    let key = key.and_then(|line| line.split(": ").nth(1)).unwrap_or_default();
    let (is_hub, number) = match path.strip_prefix("/hub/") {
        Some(number) => (true, number),
        None => (false, path.trim_start_matches("/app/")),
    };
    let pair = pairs.entry(number.to_owned()).or_default();
    if is_hub {
        pair.hub = Some(token)
    } else {
        pair.apps.push(token)
    }
    connection.role = Some((number.to_owned(), is_hub));
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    connection.out.extend_from_slice(answer.as_bytes());
    flush(connection);
}

fn send(connections: &mut HashMap<usize, Connection>, to: usize, bytes: &[u8]) {
    if let Some(connection) = connections.get_mut(&to) {
        connection.out.extend_from_slice(bytes);
        flush(connection);
    }
}

fn flush(connection: &mut Connection) {
    while !connection.out.is_empty() {
        match connection.stream.write(&connection.out) {
            Ok(written) => drop(connection.out.drain(..written)),
            Err(_) => return,
        }
    }
}
