//! Our framing beside tungstenite's: the same bytes, the same messages, the same refusals.

use std::io::{self, Read, Write};

use bytes::Bytes;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::*;
use crate::server::ws::codec::{Framing, Library, Own, Stop, Then};
use crate::server::ws::connection::End;

/// What either of them made of some bytes, as it can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Broken(Broken),
}

/// The bytes come in pieces of that length.
fn ours(bytes: &[u8], piece: usize) -> Vec<Seen> {
    let (mut reader, mut rest, mut seen) = (Reader::default(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        rest.extend_from_slice(piece);
        loop {
            let taken = match reader.next(&mut rest) {
                Err(broken) => {
                    seen.push(Seen::Broken(broken));
                    return seen;
                }
                Ok((taken, heard)) => {
                    let is_last = heard.is_none();
                    seen.extend(heard.map(|heard| match heard {
                        WsMessage::Text(text) => Seen::Text(text.to_owned()),
                        WsMessage::Binary(bytes) => Seen::Binary(bytes.to_vec()),
                        WsMessage::Ping(payload) => Seen::Ping(payload.to_vec()),
                        WsMessage::Pong => Seen::Pong,
                        WsMessage::Close(goodbye) => Seen::Close(goodbye.map(|(code, _)| code)),
                    }));
                    (taken, is_last)
                }
            };
            reader.forget();
            rest.drain(..taken.0);
            // Nothing is read after a close.
            if matches!(seen.last(), Some(Seen::Close(_))) {
                return seen;
            }
            if taken.1 {
                break;
            }
        }
    }
    seen
}

/// Gives what there is, then nothing yet.
struct Half<'a>(&'a [u8]);

impl Read for Half<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(out)
    }
}

impl Write for Half<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(bytes: &[u8]) -> Vec<Seen> {
    let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let mut socket = WebSocket::from_raw_socket(Half(bytes), Role::Server, Some(limits));
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => Seen::Text(text.to_string()),
            Ok(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Ok(Message::Ping(payload)) => Seen::Ping(payload.to_vec()),
            Ok(Message::Pong(_)) => Seen::Pong,
            Ok(Message::Close(frame)) => {
                seen.push(Seen::Close(frame.map(|frame| frame.code.into())));
                return seen;
            }
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return seen,
            Err(error) => {
                seen.push(Seen::Broken(match error {
                    Error::Capacity(CapacityError::MessageTooLong { .. }) => Broken::TooLong,
                    Error::Utf8(_) => Broken::Utf8,
                    _ => Broken::Protocol,
                }));
                return seen;
            }
        });
    }
}

/// A client's frame.
fn frame(code: OpCode, payload: Vec<u8>, is_last: bool, mask: [u8; 4]) -> Vec<u8> {
    let header = FrameHeader { is_final: is_last, opcode: code, mask: Some(mask), ..FrameHeader::default() };
    let frame = Frame::from_payload(header, Bytes::from(payload));
    let mut bytes = Vec::new();
    frame.format(&mut bytes).unwrap();
    bytes
}

/// Both see the same; what is wrong in a head may be refused here before all of its frame has come.
fn alike(bytes: &[u8], piece: usize) -> Result<(), TestCaseError> {
    let (mut ours, theirs) = (ours(bytes, piece), theirs(bytes));
    if ours.len() == theirs.len() + 1 && matches!(ours.last(), Some(Seen::Broken(_))) {
        ours.pop();
    }
    prop_assert_eq!(ours, theirs);
    Ok(())
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-zA-ZäöüÄÖÜ€ ]{0,60}".prop_map(String::into_bytes),
        2 => "[a-zä]{120,140}".prop_map(String::into_bytes),
        1 => Just(vec![b'x'; 66_000]),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![
        6 => Just(OpCode::Data(Data::Text)),
        2 => Just(OpCode::Data(Data::Binary)),
        4 => Just(OpCode::Data(Data::Continue)),
        2 => Just(OpCode::Control(Control::Ping)),
        1 => Just(OpCode::Control(Control::Pong)),
    ];
    (code, payload(), prop::bool::weighted(0.7), any::<[u8; 4]>()).prop_map(|(code, mut payload, is_last, mask)| {
        let is_control = matches!(code, OpCode::Control(_));
        if is_control {
            payload.truncate(125);
        }
        frame(code, payload, is_last || is_control, mask)
    })
}

/// A text cut into frames where it may be cut, with pings between.
fn fragmented() -> impl Strategy<Value = Vec<u8>> {
    ("[a-zäöü€😀]{0,30}", 1usize..6, any::<[u8; 4]>()).prop_map(|(text, step, mask)| {
        let pieces: Vec<_> = text.as_bytes().chunks(step).collect();
        let mut bytes = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let code = if at == 0 { Data::Text } else { Data::Continue };
            bytes.extend(frame(OpCode::Data(code), piece.to_vec(), at + 1 == pieces.len(), mask));
            if at % 2 == 1 {
                bytes.extend(frame(OpCode::Control(Control::Ping), vec![b'p'], true, mask));
            }
        }
        bytes
    })
}

fn closing() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        Just(Vec::new()),
        Just(vec![3]),
        (1000u16..5000, "[a-zä]{0,20}")
            .prop_map(|(code, reason)| [&code.to_be_bytes()[..], reason.as_bytes()].concat()),
        Just(vec![3, 232, 0xff]),
    ];
    payload.prop_map(|payload| frame(OpCode::Control(Control::Close), payload, true, [1, 2, 3, 4]))
}

proptest! {
    #[test]
    fn good_and_bad_order_is_seen_alike(
        frames in prop::collection::vec(prop_oneof![3 => any_frame(), 1 => fragmented()], 0..8),
        end in prop::option::of(closing()),
        piece in 1usize..5000,
    ) {
        let bytes: Vec<u8> = frames.into_iter().chain(end).flatten().collect();
        alike(&bytes, piece)?;
    }

    #[test]
    fn broken_bytes_are_seen_alike(
        frames in prop::collection::vec(any_frame(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        piece in 1usize..5000,
    ) {
        let mut bytes: Vec<u8> = frames.concat();
        // In the heads, mostly.
        let at = at.index(bytes.len().min(40));
        bytes[at] = byte;
        alike(&bytes, piece)?;
    }

    #[test]
    fn any_bytes_are_seen_alike(bytes in prop::collection::vec(any::<u8>(), 0..60), piece in 1usize..60) {
        alike(&bytes, piece)?;
    }
}

/// What either framing says by itself to what comes, and how many messages it heard.
fn answers<F: Framing>(bytes: &[u8], piece: usize) -> (Vec<u8>, usize) {
    let (mut framing, mut owed, mut messages) = (F::new(), Vec::new(), 0);
    let mut rest = Vec::new();
    for piece in bytes.chunks(piece) {
        rest.extend_from_slice(piece);
        loop {
            let mut is_over = false;
            let outcome = framing.hear(&mut rest, &mut owed, &mut |heard| {
                messages += 1;
                is_over = matches!(heard, WsMessage::Close(_));
                if is_over { Then::Over(End::Closed) } else { Then::Next }
            });
            rest.drain(..outcome.taken);
            match outcome.stop {
                None => break,
                Some(Stop::Over(_)) => return (owed, messages),
                Some(Stop::Ping | Stop::Pause) => {}
            }
        }
    }
    (owed, messages)
}

proptest! {
    #[test]
    fn both_say_the_same_to_it(
        frames in prop::collection::vec(prop_oneof![3 => any_frame(), 1 => fragmented()], 0..8),
        end in prop::option::of(closing()),
        piece in 1usize..5000,
    ) {
        let bytes: Vec<u8> = frames.into_iter().chain(end).flatten().collect();
        prop_assert_eq!(answers::<Own>(&bytes, piece), answers::<Library>(&bytes, piece));
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_comes() {
    let head = |length: u64| [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    for length in [MAX_MESSAGE as u64 + 1, u64::MAX] {
        assert_eq!(ours(&head(length), 1), [Seen::Broken(Broken::TooLong)]);
        assert_eq!(theirs(&head(length)), [Seen::Broken(Broken::TooLong)]);
    }
    let half = vec![b'x'; MAX_MESSAGE / 2 + 1];
    let first = frame(OpCode::Data(Data::Text), half.clone(), false, [0; 4]);
    let both = [first, frame(OpCode::Data(Data::Continue), half, true, [0; 4])].concat();
    assert_eq!(ours(&both, 4096), theirs(&both));
    assert_eq!(ours(&both, 4096), [Seen::Broken(Broken::TooLong)]);
}
