//! WebSocket connections that send requests, reply like a hub, listen, or broadcast.

use std::time::Instant;

use super::{Side, Tally, frame};

/// The behaviour of a connection after its setup.
pub(crate) enum Role {
    /// Sends these frames in turn with `at_once` in flight. An operation is complete after `per_operation` received frames.
    Ask { frames: Vec<Vec<u8>>, at_once: usize, per_operation: usize, timed: bool },
    /// Replies to each request with this text, in which `{sender}` is replaced by the sender of the first request.
    Answer { text: String },
    /// Counts the received messages.
    Listen,
    /// Sends this frame `at_once` times whenever all listeners have received the previous ones.
    Tell { frame: Vec<u8>, listeners: u64, at_once: u64 },
    /// Sends nothing.
    Idle,
}

pub(crate) struct Talker {
    path: String,
    /// Texts of the setup, each sent after the reply to the previous one.
    setup: std::collections::VecDeque<String>,
    /// Builds the request frames from the reply to the last text of the setup.
    after: Option<After>,
    role: Role,
    upgraded: bool,
    is_ready: bool,
    at: usize,
    came: usize,
    asked: Option<Instant>,
    /// The reply frame of a hub, built once.
    answer: Vec<u8>,
}

/// A function that builds request frames from a reply.
pub(crate) type After = Box<dyn Fn(&str) -> Vec<Vec<u8>>>;

impl Talker {
    pub(crate) fn new(path: impl Into<String>, setup: Vec<String>, role: Role) -> Self {
        Self {
            path: path.into(),
            setup: setup.into(),
            after: None,
            role,
            upgraded: false,
            is_ready: false,
            at: 0,
            came: 0,
            asked: None,
            answer: Vec::new(),
        }
    }

    /// Sets the function that builds the requests from the last reply of the setup.
    pub(crate) fn after(mut self, after: After) -> Self {
        self.after = Some(after);
        self
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        if let Role::Ask { frames, .. } = &self.role {
            out.extend_from_slice(&frames[self.at % frames.len()]);
            self.at += 1;
        }
    }

    /// Sends the next text of the setup, or marks the connection as ready.
    fn next_setup(&mut self, out: &mut Vec<u8>, tally: &mut Tally) {
        match self.setup.pop_front() {
            Some(text) => out.extend_from_slice(&frame::masked(&text)),
            None => {
                self.is_ready = true;
                tally.ready += 1;
            }
        }
    }

    fn on_text(&mut self, text: &[u8], out: &mut Vec<u8>, tally: &mut Tally) -> Result<(), String> {
        match &mut self.role {
            Role::Ask { per_operation, timed, .. } => {
                self.came += 1;
                if self.came < *per_operation {
                    return Ok(());
                }
                self.came = 0;
                tally.done += 1;
                if *timed {
                    tally.took(self.asked);
                    self.asked = Some(Instant::now());
                }
                self.ask(out);
            }
            Role::Answer { text: answer } => {
                if self.answer.is_empty() {
                    self.answer = frame::masked(&answer.replace("{sender}", &sender(text)?));
                }
                out.extend_from_slice(&self.answer);
            }
            Role::Listen => {
                tally.done += 1;
                tally.outstanding = tally.outstanding.saturating_sub(1);
                if tally.outstanding == 0 {
                    tally.took(tally.sent.front().copied());
                    tally.sent.clear();
                    tally.due = 1;
                }
            }
            Role::Tell { .. } | Role::Idle => {}
        }
        Ok(())
    }
}

/// Returns the sender that a relay inserts into requests, as JSON.
fn sender(request: &[u8]) -> Result<String, String> {
    let value: serde_json::Value = serde_json::from_slice(request).map_err(|error| error.to_string())?;
    Ok(value["sender"].to_string())
}

impl Side for Talker {
    fn greet(&mut self, out: &mut Vec<u8>) {
        let head = format!(
            "GET {} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.path
        );
        out.extend_from_slice(head.as_bytes());
    }

    fn begin(&mut self, out: &mut Vec<u8>, tally: &mut Tally) {
        match &self.role {
            Role::Ask { at_once, .. } => {
                let times = *at_once;
                self.asked = Some(Instant::now());
                (0..times).for_each(|_| self.ask(out));
            }
            Role::Tell { frame, listeners, at_once } => {
                (0..*at_once).for_each(|_| out.extend_from_slice(frame));
                tally.sent.push_back(Instant::now());
                tally.outstanding = listeners * at_once;
                tally.due = 0;
            }
            Role::Answer { .. } | Role::Listen | Role::Idle => {}
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, tally: &mut Tally) -> Result<usize, String> {
        if !self.upgraded {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(0) };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return Err(format!("the upgrade at {} was refused", self.path));
            }
            self.upgraded = true;
            self.next_setup(out, tally);
            return Ok(end + 4);
        }
        let Some((code, payload)) = frame::first(bytes) else { return Ok(0) };
        let (end, text) = (payload.end, &bytes[payload]);
        if code != 0x81 {
            return Ok(end);
        }
        if self.is_ready {
            self.on_text(text, out, tally)?;
        } else if text.windows(8).any(|part| part == b"\"id\":\"s\"") {
            let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
            if !text.contains("\"error\":null") {
                return Err(text.to_owned());
            }
            if let (true, Some(after), Role::Ask { frames, .. }) = (self.setup.is_empty(), &self.after, &mut self.role)
            {
                *frames = after(text);
            }
            self.next_setup(out, tally);
        }
        Ok(end)
    }
}
