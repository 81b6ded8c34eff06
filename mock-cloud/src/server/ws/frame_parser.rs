//! WebSocket framing of our own (RFC 6455), without sockets: what a server reads. It keeps nothing while nothing is under way,
//! copies no message that comes whole, and unmasks in place. tokio-tungstenite is the reference: the tests beside the
//! module show both the same bytes.

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::server::ws::connection::MAX_MESSAGE;

#[cfg(test)]
mod tests;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WsMessage<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Ping(&'a [u8]),
    Pong,
    /// With code and reason, if it has them.
    Close(Option<(u16, &'a str)>),
}

/// What is no WebSocket, or more than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Protocol,
    TooLong,
    Utf8,
}

/// Longest control frame's payload.
const MAX_CONTROL: usize = 125;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const PROTOCOL_ERROR: u16 = 1002;

/// The head of a client's frame.
#[derive(Debug, Clone, Copy)]
struct Head {
    is_last: bool,
    code: u8,
    mask: [u8; 4],
    /// Bytes before the payload, and of it.
    begin: usize,
    length: usize,
}

impl Head {
    /// The head at the beginning of these bytes; `None` while it is not whole.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        let [first, second, ..] = *bytes else { return Ok(None) };
        let (is_last, code) = (first & 0x80 != 0, first & 0x0f);
        let is_control = code & 0x08 != 0;
        if !matches!(code, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(Broken::Protocol);
        }
        let (more, length) = match second & 0x7f {
            126 => (2, bytes.get(2..4).map(|bytes| u64::from(u16::from_be_bytes([bytes[0], bytes[1]])))),
            127 => (8, bytes.get(2..10).and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)))),
            short => (0, Some(u64::from(short))),
        };
        let Some(length) = length else { return Ok(None) };
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_MESSAGE).ok_or(Broken::TooLong)?;
        // No extension was agreed on, clients mask, and control frames are short and come whole.
        let is_masked = second & 0x80 != 0;
        if first & 0x70 != 0 || !is_masked || is_control && (!is_last || length > MAX_CONTROL) {
            return Err(Broken::Protocol);
        }
        let Some(mask) = bytes.get(2 + more..6 + more) else { return Ok(None) };
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        Ok(Some(Self { is_last, code, mask, begin: 6 + more, length }))
    }
}

/// Takes the mask away, eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

/// A message that comes in several frames.
#[derive(Debug)]
struct Fragments {
    is_text: bool,
    bytes: Vec<u8>,
    /// So many of them are known to be UTF-8.
    checked: usize,
}

impl Fragments {
    fn add(&mut self, payload: &[u8], is_last: bool) -> Result<(), Broken> {
        if self.bytes.len() + payload.len() > MAX_MESSAGE {
            return Err(Broken::TooLong);
        }
        self.bytes.extend_from_slice(payload);
        if self.is_text {
            match std::str::from_utf8(&self.bytes[self.checked..]) {
                Ok(_) => self.checked = self.bytes.len(),
                // A character may be cut between two frames.
                Err(error) if error.error_len().is_none() && !is_last => self.checked += error.valid_up_to(),
                Err(_) => return Err(Broken::Utf8),
            }
        }
        Ok(())
    }
}

/// What is left over between reads.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    fragments: Option<Box<Fragments>>,
    /// A message that was put together and is being heard.
    whole: Vec<u8>,
}

impl Reader {
    /// The first message in these bytes, and how many of them it took with all before it; `None` when there is no whole one,
    /// which may have taken frames too.
    pub(crate) fn next<'a>(&'a mut self, bytes: &'a mut [u8]) -> Result<(usize, Option<WsMessage<'a>>), Broken> {
        let mut taken = 0;
        loop {
            let Some(head) = Head::read(&bytes[taken..])? else { return Ok((taken, None)) };
            let (begin, end) = (taken + head.begin, taken + head.begin + head.length);
            // What is too long in all is known before it comes.
            let before = self.fragments.as_ref().map_or(0, |fragments| fragments.bytes.len());
            if head.code & 0x08 == 0 && before + head.length > MAX_MESSAGE {
                return Err(Broken::TooLong);
            }
            if bytes.len() < end {
                return Ok((taken, None));
            }
            unmask(&mut bytes[begin..end], head.mask);
            taken = end;
            match (head.code, &mut self.fragments) {
                (CONTINUATION, Some(fragments)) => fragments.add(&bytes[begin..end], head.is_last)?,
                (TEXT | BINARY, none @ None) if !head.is_last => {
                    let mut fragments = Fragments { is_text: head.code == TEXT, bytes: Vec::new(), checked: 0 };
                    fragments.add(&bytes[begin..end], false)?;
                    *none = Some(Box::new(fragments));
                }
                (CONTINUATION, None) | (TEXT | BINARY, Some(_)) => return Err(Broken::Protocol),
                (code, _) => return Ok((taken, Some(heard(code, &bytes[begin..end])?))),
            }
            if head.is_last
                && let Some(fragments) = self.fragments.take()
            {
                self.whole = fragments.bytes;
                let code = if fragments.is_text { TEXT } else { BINARY };
                return Ok((taken, Some(heard(code, &self.whole)?)));
            }
        }
    }

    /// Gives free what a message took that has been heard.
    pub(crate) fn forget(&mut self) {
        if self.whole.capacity() > 0 {
            self.whole = Vec::new();
        }
    }
}

fn heard(code: u8, payload: &[u8]) -> Result<WsMessage<'_>, Broken> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Broken::Utf8);
    Ok(match code {
        TEXT => WsMessage::Text(text(payload)?),
        BINARY => WsMessage::Binary(payload),
        PING => WsMessage::Ping(payload),
        PONG => WsMessage::Pong,
        _ => match payload {
            [] => WsMessage::Close(None),
            [_] => return Err(Broken::Protocol),
            [high, low, reason @ ..] => {
                let (code, reason) = (u16::from_be_bytes([*high, *low]), text(reason)?);
                // One that must not be sent is answered as what it is, in the library's words.
                let is_allowed = CloseCode::from(code).is_allowed();
                WsMessage::Close(Some(if is_allowed { (code, reason) } else { (PROTOCOL_ERROR, "Protocol violation") }))
            }
        },
    })
}

/// A control frame of a server; its payload is cut where it is too long.
pub(crate) fn control(code: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(MAX_CONTROL)];
    let mut frame = Vec::with_capacity(payload.len() + 2);
    frame.push(0x80 | code);
    frame.extend(u8::try_from(payload.len()));
    frame.extend_from_slice(payload);
    frame
}
