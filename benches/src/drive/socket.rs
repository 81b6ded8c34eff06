//! WebSocket connections: one that asks, one that answers as a hub does, one that listens, one that tells.

use std::time::Instant;

use super::{Side, Tally, frame};

/// What a connection does once it is there.
pub(crate) enum Role {
    /// Asks with these frames in turn, so many at a time; an operation is through when so many frames came.
    Ask { frames: Vec<Vec<u8>>, at_once: usize, per_operation: usize, timed: bool },
    /// Answers each request with this text, in which `{sender}` becomes what the request says.
    Answer { text: String },
    /// Counts what comes.
    Listen,
    /// Tells this text whenever so many have heard it, so many at a time.
    Tell { frame: Vec<u8>, listeners: u64, at_once: u64 },
    /// Is there.
    Idle,
}

pub(crate) struct Talker {
    path: String,
    /// Texts to say first, each after the answer to the one before.
    setup: std::collections::VecDeque<String>,
    /// Makes frames out of the answer to the last of them.
    after: Option<After>,
    role: Role,
    upgraded: bool,
    is_ready: bool,
    at: usize,
    came: usize,
    asked: Option<Instant>,
    /// The answer of a hub, made once.
    answer: Vec<u8>,
}

/// Makes what is asked out of an answer.
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

    /// What it asks is made out of the answer to the last word of its setup.
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

    /// The next word of the setup, or ready.
    fn go_on(&mut self, out: &mut Vec<u8>, tally: &mut Tally) {
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

/// The sender that a relay puts into requests, as JSON.
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
                return Err(format!("no WebSocket at {}", self.path));
            }
            self.upgraded = true;
            self.go_on(out, tally);
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
            self.go_on(out, tally);
        }
        Ok(end)
    }
}
