//! Messages, limits and close reasons of WebSocket connections.

/// Maximum length of a received message, in bytes. A hub's own bus has a limit of 100 KiB. Scenes and claims are far shorter.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;

use std::sync::Arc;

use crate::world::hub_actor::HubActor;

/// The end of a connection.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer sent a close frame or closed its sending side. It may still receive.
    Closed,
    /// The connection was lost, or is dropped without a close frame.
    Lost,
    /// The simulator closes the connection with a code and a reason.
    Close(u16, &'static str),
    /// As `Close`, but the close is in the journal already.
    ClosedByHub(u16, &'static str),
    /// The hub has lost its power: nothing more is sent, and the connection stays open until the hub starts.
    Silent(Arc<HubActor>),
}

/// A message received from the peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WsMessage<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Ping(&'a [u8]),
    Pong,
    /// A close frame, with code and reason if it has them.
    Close(Option<(u16, &'a str)>),
}

/// A violation of RFC 6455 or of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A frame violates the protocol (close code 1002).
    Protocol,
    /// A message is longer than [`MAX_MESSAGE`] (close code 1009).
    TooLong,
    /// A text message is not UTF-8 (close code 1007).
    Utf8,
}
