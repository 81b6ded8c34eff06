//! Clients without a library, which can send anything.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ezlo_testkit::frame;
use serde_json::{Value, json};

/// Time limit of a reply, far above the usual duration.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// First byte of a text frame, and of a close frame.
const TEXT: u8 = 0x81;
/// Maximum payload of a frame that is sent without its own encoder, in bytes.
const SHORT: usize = 65_535;

/// Opens a connection with time limits.
pub(super) fn connect(to: SocketAddr, patience: Duration) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.set_write_timeout(Some(patience)).ok()?;
    Some(stream)
}

/// Sends bytes and returns what arrives until the connection or the time ends.
pub(super) fn http(to: SocketAddr, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Some(mut stream) = connect(to, patience) {
        let _ = stream.write_all(bytes);
        let _ = stream.read_to_end(&mut answer);
    }
    answer
}

/// Sends a request and returns status and body.
pub(super) fn ask(to: SocketAddr, line: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let request =
        format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    let answer = String::from_utf8_lossy(&http(to, request.as_bytes(), PATIENCE)).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// A WebSocket connection.
pub(super) struct Ws(TcpStream);

impl Ws {
    pub(super) fn open(to: SocketAddr, patience: Duration) -> Option<Self> {
        let mut stream = connect(to, patience)?;
        let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        head.starts_with(b"HTTP/1.1 101").then_some(Self(stream))
    }

    /// Opens a connection of the demo user that is registered for a hub.
    pub(super) fn of_demo_user(to: SocketAddr, hub: &str) -> Option<Self> {
        let hash = ezlo_protocol::password::sha1_password("demo.user", &"demo-password".into());
        let login = format!("GET /autha/auth/username/demo.user?SHA1Password={}&PK_Oem=1", hash.expose());
        let (_, pair) = ask(to, &login, "");
        let mut socket = Self::open(to, PATIENCE)?;
        let params = json!({"MMSAuth": pair["Identity"], "MMSAuthSig": pair["IdentitySignature"]});
        socket.call("loginUserMios", &params)?;
        let registered = socket.call("register", &json!({"serial": hub}))?;
        registered["error"].is_null().then_some(socket)
    }

    /// Sends a text message of any length.
    pub(super) fn send(&mut self, text: &str) -> bool {
        if text.len() <= SHORT {
            return self.0.write_all(&frame(TEXT, text.as_bytes())).is_ok();
        }
        let mut bytes = vec![TEXT, 0x80 | 127];
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(text.as_bytes());
        self.0.write_all(&bytes).is_ok()
    }

    /// Sends bytes as they are.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Sends a call and returns its reply. Broadcasts are dropped. `None` after the end of the connection or of the time limit.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Option<Value> {
        self.send(&json!({"id": "c", "method": method, "params": params}).to_string()).then_some(())?;
        loop {
            let reply: Value = serde_json::from_slice(&self.next()?).unwrap_or_default();
            if reply["id"] == "c" {
                return Some(reply);
            }
        }
    }

    /// Returns the payload of the next text frame.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let length = match head[1] {
                126 => {
                    let mut length = [0; 2];
                    self.0.read_exact(&mut length).ok()?;
                    usize::from(u16::from_be_bytes(length))
                }
                127 => {
                    let mut length = [0; 8];
                    self.0.read_exact(&mut length).ok()?;
                    usize::try_from(u64::from_be_bytes(length)).ok()?
                }
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).ok()?;
            match head[0] {
                TEXT => return Some(payload),
                // A close frame.
                0x88 => return None,
                _ => {}
            }
        }
    }
}
