//! Sends messages on a WebSocket: batches of queued frames, messages with injected faults, and the closing handshake.

use crate::faults::ws_message::{self, MessageEffect};
use crate::journal::cause::with_cause;
use crate::wire::name_of;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::faults::kinds::MessageFault;
use crate::faults::point::InjectionContext;
use crate::server::ws::codec::Socket;
use crate::server::ws::session::Session;
use crate::server::ws::types::End;
use crate::world::World;
use crate::world::outbox::frame_queue::frame_of;
use crate::world::outbox::{Out, Outbox, Ready};

/// Timeout for writing a batch of frames. After it, the connection counts as lost.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Timeout for the peer's close frame.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Closes the connection with a close frame, after the delayed message and all queued messages.
pub(crate) async fn closed(
    socket: &mut Socket,
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
    if socket.is_broken() {
        // After a violation no close frame of the peer is expected (RFC 6455, section 7.1.7).
        socket.shutdown().await;
    }
    let _ = tokio::time::timeout(CLOSE_TIME, socket.until_gone()).await;
    Ok(())
}

/// Sends the queued replies and the delayed message, then the close frame that answers the peer's.
pub(crate) async fn flush_remaining(
    socket: &mut Socket,
    late: Option<Utf8Bytes>,
    outbox: &mut Outbox,
) -> Result<(), ()> {
    let sending = async {
        while outbox.has_any()
            && let Ready::Messages = outbox.ready().await
        {
            write_queued(socket, outbox).await?;
        }
        if let Some(late) = late {
            // The library encodes no messages after it has read a close frame.
            socket.put(&frame_of(&late)).await?;
        }
        socket.flush_replies().await
    };
    within(sending).await
}

/// Writes the queued frames, which are encoded already.
async fn write_queued(socket: &mut Socket, outbox: &mut Outbox) -> std::io::Result<()> {
    let frames = outbox.frames();
    socket.put(frames.bytes).await?;
    frames.mark_sent();
    Ok(())
}

/// Writes the queued frames within the write timeout. Returns the end of the connection if that fails.
pub(crate) async fn drain(socket: &mut Socket, outbox: &mut Outbox) -> Option<End> {
    let mut put = std::pin::pin!(write_queued(socket, outbox));
    // Most writes complete at once and need no timer.
    let done = match put.as_mut().now_or_never() {
        Some(done) => done.map_err(drop),
        None => within(put).await,
    };
    done.err().map(|()| End::Lost)
}

/// Limits a write to [`WRITE_TIME`].
///
/// Boxed because it is rarely needed: every connection's future is as large as its largest part.
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

/// Sends a message with the fault that matches it. A message that is to be reordered is stored in `late`.
pub(crate) async fn write_with_faults(
    world: &World,
    socket: &mut Socket,
    (text, number): (Utf8Bytes, u64),
    session: &Session,
    late: &mut Option<Utf8Bytes>,
) -> Option<End> {
    let name = name_of(&text);
    let (hub, listener) = session.about();
    let user = session.user().map(|user| world.user_name(user)).unwrap_or_default();
    let connection = session.connection();
    let facts =
        InjectionContext { method: &name, hub: &hub, listener, connection, user: &user, ..InjectionContext::default() };
    let can = |fault: &MessageFault| match fault {
        MessageFault::StaleBroadcast => session.stale_broadcast().is_some(),
        // Only one message can be delayed at a time.
        MessageFault::ReorderMessage => late.is_none(),
        fault => ws_message::can_change(fault, &text),
    };
    let fault = with_cause(Some(number), || world.fault_if(&facts, can));
    let stale = (fault == Some(MessageFault::StaleBroadcast)).then(|| session.stale_broadcast()).flatten();
    let messages = match ws_message::effect(fault.as_ref(), text, stale) {
        MessageEffect::Close(code) => return Some(End::Close(code, "injected fault")),
        MessageEffect::Abort => return Some(End::Lost),
        MessageEffect::Hold(text) => {
            *late = Some(text);
            return None;
        }
        MessageEffect::Send(delay, messages) => {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            messages
        }
    };
    for message in messages.into_iter().chain(late.take().map(Message::Text)) {
        if write(socket, message).await.is_err() {
            return Some(End::Lost);
        }
    }
    None
}

/// Sends pending pong and close frames within the write timeout.
pub(crate) async fn flush_owed(socket: &mut Socket) -> Result<(), ()> {
    within(socket.flush_replies()).await
}

/// Sends a message within the write timeout.
pub(crate) async fn write(socket: &mut Socket, message: Message) -> Result<(), ()> {
    within(socket.send(message)).await
}
