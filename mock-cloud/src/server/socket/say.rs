//! What goes out on a WebSocket: one write for much, and what goes wrong with a message.

use std::time::Duration;

use futures_util::{FutureExt as _, Sink, SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::session::Session;
use super::{End, Upgraded};
use crate::faults::{self, Facts, FaultKind, Place};
use crate::journal;
use crate::world::World;
use crate::world::link::{Out, Outbox};

/// How long the system may take to accept a batch of frames before the reader counts as gone.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// How long to wait for the other side's half of a closing handshake.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Closes in form. What was queued before goes out first, and what was to be late before that.
pub(super) async fn closed(
    socket: &mut Upgraded,
    (code, reason): (u16, &'static str),
    late: Option<Utf8Bytes>,
    outbox: &mut Outbox,
) -> Result<(), ()> {
    if let Some(late) = late {
        write(socket, Message::Text(late)).await?;
    }
    while let Some(Out::Text(text, _)) = outbox.rest().await {
        write(socket, Message::Text(text)).await?;
    }
    let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(reason) };
    write(socket, Message::Close(Some(frame))).await?;
    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
    let _ = tokio::time::timeout(CLOSE_TIME, rest).await;
    Ok(())
}

/// Says what was asked for before the other side closed, and then closes too. The library takes no messages any more once it
/// has read a close, so the frames are written past it.
pub(super) async fn last_words(socket: &mut Upgraded, late: Option<Utf8Bytes>, outbox: &mut Outbox) -> Result<(), ()> {
    let mut frames = Vec::new();
    while let Some(Out::Text(text, _)) = outbox.rest().await {
        push_frame(&mut frames, &text);
    }
    if let Some(late) = late {
        push_frame(&mut frames, &late);
    }
    let said = async {
        socket.get_mut().write_all(&frames).await?;
        socket.flush().await.map_err(std::io::Error::other)
    };
    match tokio::time::timeout(WRITE_TIME, said).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}

/// A text as one frame of a server.
fn push_frame(out: &mut Vec<u8>, text: &str) {
    out.push(0x81);
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(short @ 0..126), _) => out.push(short),
        (_, Ok(middle)) => {
            out.push(126);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// Writes what waits and flushes once.
pub(super) async fn drain(socket: &mut Upgraded, first: Utf8Bytes, outbox: &mut Outbox) -> Option<End> {
    let feed = async {
        socket.feed(Message::Text(first)).await?;
        let mut end = None;
        while end.is_none() {
            match outbox.try_recv() {
                Some(Out::Text(text, _)) => socket.feed(Message::Text(text)).await?,
                Some(Out::Close(code, reason)) => end = Some(End::Told(code, reason)),
                None => break,
            }
        }
        socket.flush().await?;
        Ok::<_, Error>(end)
    };
    let mut feed = std::pin::pin!(feed);
    // Most of the time it goes out at once, and nobody has to look at the time.
    let fed = match feed.as_mut().now_or_never() {
        Some(fed) => Ok(fed),
        None => tokio::time::timeout(WRITE_TIME, feed).await,
    };
    match fed {
        Ok(Ok(end)) => end,
        Ok(Err(_)) | Err(_) => Some(End::Gone),
    }
}

/// Sends a message with what goes wrong about it. A message that is late waits for the next one.
pub(super) async fn disturbed(
    world: &World,
    socket: &mut Upgraded,
    (text, number): (Utf8Bytes, u64),
    session: &Session,
    late: &mut Option<Utf8Bytes>,
) -> Option<End> {
    let name = faults::name_of(&text);
    let (hub, listener) = session.about();
    let user = session.user().map(|user| world.user_name(user)).unwrap_or_default();
    let connection = session.connection();
    let facts = Facts { method: &name, hub: &hub, listener, connection, user: &user, ..Facts::default() };
    let can = |fault: &FaultKind| match fault {
        FaultKind::StaleBroadcast => session.stale_broadcast().is_some(),
        // One is late already.
        FaultKind::ReorderMessage => late.is_none(),
        fault => faults::message::can_change(fault, &text),
    };
    let fault = journal::because_of(Some(number), || world.fault_that(Place::Message, &facts, can));
    match fault {
        Some(FaultKind::Close { code }) => return Some(End::Close(code, "as wished")),
        Some(FaultKind::Abort) => return Some(End::Gone),
        Some(FaultKind::ReorderMessage) => {
            *late = Some(text);
            return None;
        }
        Some(FaultKind::LateMessage { millis }) => tokio::time::sleep(Duration::from_millis(millis)).await,
        _ => {}
    }
    let stale = (fault == Some(FaultKind::StaleBroadcast)).then(|| session.stale_broadcast()).flatten();
    let mut messages: Vec<Message> = stale.map(Message::Text).into_iter().collect();
    messages.extend(faults::message::frames(fault.as_ref(), text));
    messages.extend(late.take().map(Message::Text));
    for message in messages {
        if write(socket, message).await.is_err() {
            return Some(End::Gone);
        }
    }
    None
}

/// Waits until everything is out that the library has to say.
pub(super) async fn flushed(socket: &mut Upgraded) -> Result<(), ()> {
    match tokio::time::timeout(WRITE_TIME, socket.flush()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}

pub(super) async fn write<S: Sink<Message> + Unpin>(socket: &mut S, message: Message) -> Result<(), ()> {
    match tokio::time::timeout(WRITE_TIME, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}
