//! Places at which faults are injected, and what is known there.

use serde::Serialize;
use serde_json::Value;

/// A place at which faults are injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InjectionPoint {
    /// A listener, before connections are accepted.
    Listener,
    /// A connection, from its acceptance.
    Connection,
    /// A login at the auth server.
    Login,
    /// The check of a token.
    Token,
    /// A hub record of the device server.
    Record,
    /// An HTTP request.
    Request,
    /// A WebSocket upgrade.
    Upgrade,
    /// A WebSocket message to a client.
    Message,
    /// A method call to a hub.
    Call,
}

/// Properties of the event at which a fault may be injected; unknown ones are empty.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InjectionContext<'a> {
    /// Uuid of the connection of a message.
    pub(crate) connection: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) method: &'a str,
    pub(crate) hub: &'a str,
    pub(crate) listener: &'a str,
    pub(crate) user: &'a str,
    pub(crate) params: Option<&'a Value>,
}

/// Names of the listeners that can have faults.
pub(crate) const LISTENERS: &[&str] = &["cloud", "access-point", "lan"];

impl InjectionPoint {
    /// Members of a matcher that are known there, beside hub and listener.
    pub(crate) const fn knows(self) -> &'static [&'static str] {
        match self {
            Self::Listener | Self::Connection => &[],
            Self::Request => &["host", "path", "method", "user", "params"],
            Self::Upgrade => &["host", "path", "method", "params"],
            Self::Login | Self::Token | Self::Record => &["host", "path", "user"],
            Self::Message => &["method", "user", "connection"],
            Self::Call => &["method", "user", "connection", "params"],
        }
    }

    /// The injection point in error texts.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Listener => "listeners",
            Self::Connection => "connections",
            Self::Login => "logins",
            Self::Token => "tokens that are checked",
            Self::Record => "records of hubs",
            Self::Request => "requests",
            Self::Upgrade => "WebSocket upgrades",
            Self::Message => "messages",
            Self::Call => "calls",
        }
    }
}
