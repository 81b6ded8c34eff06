//! What goes out on a WebSocket: one write for much, and what goes wrong with a message.

use crate::faults::injector;
use crate::faults::ws_message;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::faults::kinds::FaultKind;
use crate::faults::point::{InjectionContext, InjectionPoint};
use crate::journal;
use crate::server::ws::codec::{Framing, Socket};
use crate::server::ws::connection::End;
use crate::server::ws::session::Session;
use crate::world::World;
use crate::world::outbox::frame_queue::frame_of;
use crate::world::outbox::{Out, Outbox, Ready};

/// How long the system may take to accept a batch of frames before the reader counts as gone.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// How long to wait for the other side's half of a closing handshake.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Closes in form. What was queued before goes out first, and what was to be late before that.
pub(crate) async fn closed(
    socket: &mut Socket<impl Framing>,
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
    let _ = tokio::time::timeout(CLOSE_TIME, socket.until_gone()).await;
    Ok(())
}

/// Says what was asked for before the other side closed, and then closes too.
pub(crate) async fn last_words(
    socket: &mut Socket<impl Framing>,
    late: Option<Utf8Bytes>,
    outbox: &mut Outbox,
) -> Result<(), ()> {
    let said = async {
        while outbox.has_any()
            && let Ready::Messages = outbox.ready().await
        {
            put(socket, outbox).await?;
        }
        if let Some(late) = late {
            // The library takes no messages any more once it has read a close.
            socket.put(&frame_of(&late)).await?;
        }
        socket.settle().await
    };
    within(said).await
}

/// Writes what waits: the frames are made already.
async fn put(socket: &mut Socket<impl Framing>, outbox: &mut Outbox) -> std::io::Result<()> {
    let frames = outbox.frames();
    socket.put(frames.bytes).await?;
    frames.are_out();
    Ok(())
}

/// Writes what waits.
pub(crate) async fn drain(socket: &mut Socket<impl Framing>, outbox: &mut Outbox) -> Option<End> {
    let mut put = std::pin::pin!(put(socket, outbox));
    // Most of the time it goes out at once, and nobody has to look at the time.
    let done = match put.as_mut().now_or_never() {
        Some(done) => done.map_err(drop),
        None => within(put).await,
    };
    done.err().map(|()| End::Gone)
}

/// Does it in the time that the system may take to accept what is sent. Boxed: it is seldom needed, and every connection is as
/// large as its largest part.
fn within<'a, E: 'a>(
    done: impl Future<Output = Result<(), E>> + Send + 'a,
) -> Pin<Box<dyn Future<Output = Result<(), ()>> + Send + 'a>> {
    Box::pin(async move {
        match tokio::time::timeout(WRITE_TIME, done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(()),
        }
    })
}

/// Sends a message with what goes wrong about it. A message that is late waits for the next one.
pub(crate) async fn disturbed(
    world: &World,
    socket: &mut Socket<impl Framing>,
    (text, number): (Utf8Bytes, u64),
    session: &Session,
    late: &mut Option<Utf8Bytes>,
) -> Option<End> {
    let name = injector::name_of(&text);
    let (hub, listener) = session.about();
    let user = session.user().map(|user| world.user_name(user)).unwrap_or_default();
    let connection = session.connection();
    let facts =
        InjectionContext { method: &name, hub: &hub, listener, connection, user: &user, ..InjectionContext::default() };
    let can = |fault: &FaultKind| match fault {
        FaultKind::StaleBroadcast => session.stale_broadcast().is_some(),
        // One is late already.
        FaultKind::ReorderMessage => late.is_none(),
        fault => ws_message::can_change(fault, &text),
    };
    let fault = journal::with_cause(Some(number), || world.fault_if(InjectionPoint::Message, &facts, can));
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
    messages.extend(ws_message::frames(fault.as_ref(), text));
    messages.extend(late.take().map(Message::Text));
    for message in messages {
        if write(socket, message).await.is_err() {
            return Some(End::Gone);
        }
    }
    None
}

/// Waits until everything is out that is owed.
pub(crate) async fn flush_owed(socket: &mut Socket<impl Framing>) -> Result<(), ()> {
    within(socket.settle()).await
}

pub(crate) async fn write(socket: &mut Socket<impl Framing>, message: Message) -> Result<(), ()> {
    within(socket.send(message)).await
}
