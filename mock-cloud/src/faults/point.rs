//! The injection points of faults and the matcher fields of each.

use serde::Serialize;
use serde_json::Value;

/// The place in the simulator at which a fault acts.
///
/// It decides which fields of a [`Matcher`](crate::faults::Matcher) the fault accepts, besides `hub` and `listener`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InjectionPoint {
    /// A port, as long as the fault is active. No further matcher fields.
    Listener,
    /// A connection, once at its acceptance. No further matcher fields.
    Connection,
    /// A login or new account at the cloud. Matcher fields: `host`, `path`, `user`.
    Login,
    /// The acceptance of a token by the cloud. Matcher fields: `host`, `path`, `user`.
    Token,
    /// The record of an Ezlo hub that the cloud sends. Matcher fields: `host`, `path`, `user`.
    Record,
    /// An HTTP request to any port except the control API. Matcher fields: `host`, `path`, `method`, `user`, `params`.
    Request,
    /// A WebSocket upgrade. Matcher fields: `host`, `path`, `method`, `params`.
    Upgrade,
    /// A WebSocket message to a client or a hub process. Matcher fields: `method`, `user`, `connection`.
    Message,
    /// A method call to a hub. Matcher fields: `method`, `user`, `connection`, `params`.
    Call,
}

/// Properties of the event at which a fault may be injected. Unknown ones are empty.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InjectionContext<'a> {
    /// UUID of the WebSocket connection.
    pub(crate) connection: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) method: &'a str,
    pub(crate) hub: &'a str,
    pub(crate) listener: &'a str,
    pub(crate) user: &'a str,
    pub(crate) params: Option<&'a Value>,
}

/// Names of the listeners at which faults can be injected.
pub(crate) const LISTENERS: &[&str] = &["cloud", "access-point", "lan"];

impl InjectionPoint {
    /// Returns the matcher fields that are known at this point, besides `hub` and `listener`.
    pub(crate) const fn matchable_members(self) -> &'static [&'static str] {
        match self {
            Self::Listener | Self::Connection => &[],
            Self::Request => &["host", "path", "method", "user", "params"],
            Self::Upgrade => &["host", "path", "method", "params"],
            Self::Login | Self::Token | Self::Record => &["host", "path", "user"],
            Self::Message => &["method", "user", "connection"],
            Self::Call => &["method", "user", "connection", "params"],
        }
    }

    /// Returns the name of the injection point in error texts.
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

/// Message of an injected error. The evidence policy recognises injected errors by it.
pub(crate) const INJECTED: &str = "injected fault";
