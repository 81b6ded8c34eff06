//! Session tokens, each valid for one host.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ezlo_protocol::secret::SessionToken;

use crate::core::rng::Random;
use crate::persistence::rows::{Row, RowKey, Rows};
use crate::persistence::writer::StateWriter;
use crate::world::tokens::{AuthError, Caller};

/// Maximum number of session tokens. Above it, the token that expires first is removed.
const MAX_SESSIONS: usize = 100_000;

/// The issued session tokens.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sessions {
    by_token: HashMap<SessionToken, Session>,
    by_expiry: BTreeSet<(i64, String)>,
    /// Persists changes; `None` without a state directory.
    keeper: Option<Arc<StateWriter>>,
}

/// The caller and host that a session token is valid for.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Session {
    pub(crate) caller: Caller,
    /// Host that issued the token, without port.
    pub(crate) host: String,
}

impl Sessions {
    /// Issues a token: 38 characters of `0-9A-F` that begin with zeros, as in the only known sample.
    pub(crate) fn issue(&mut self, session: Session, random: &Random) -> SessionToken {
        while self.by_token.len() >= MAX_SESSIONS {
            let Some((_, oldest)) = self.by_expiry.pop_first() else { break };
            self.mark(&oldest);
            self.by_token.remove(&SessionToken::new(oldest));
        }
        let token = SessionToken::new(format!("00000001{}", random.hex(30).to_uppercase()));
        self.mark(token.expose());
        self.by_expiry.insert((session.caller.expires, token.expose().to_owned()));
        self.by_token.insert(token.clone(), session);
        token
    }

    fn mark(&self, token: &str) {
        if let Some(keeper) = &self.keeper {
            keeper.mark_row(RowKey::Session(token.to_owned()));
        }
    }

    /// Sets the state writer that persists changes.
    pub(crate) fn attach_writer(&mut self, keeper: Option<&Arc<StateWriter>>) {
        self.keeper = keeper.cloned();
    }

    /// Returns the keys of all rows, in ascending order.
    pub(crate) fn dirty_rows(&self) -> BTreeSet<RowKey> {
        self.by_token.keys().map(|token| RowKey::Session(token.expose().to_owned())).collect()
    }

    /// Returns the value of a row, or `None` if there is no such session.
    pub(crate) fn row(&self, touch: &RowKey) -> Option<Vec<u8>> {
        let RowKey::Session(token) = touch else { return None };
        let session = self.by_token.get(&SessionToken::new(token.as_str()))?;
        Row::new(touch.key(), session).value
    }

    pub(crate) fn from_rows(rows: &mut Rows) -> Result<Self, String> {
        let mut sessions = Self::default();
        for (token, session) in rows.all::<Session>("sessions")? {
            sessions.by_expiry.insert((session.caller.expires, token.clone()));
            sessions.by_token.insert(SessionToken::new(token), session);
        }
        Ok(sessions)
    }

    /// Applies a row that another process of the cluster wrote. `None` removes the session.
    #[cfg(feature = "cluster")]
    pub(crate) fn apply_row(&mut self, token: &str, value: Option<&[u8]>) -> Result<(), String> {
        let before = self.by_token.remove(&SessionToken::new(token.to_owned()));
        if let Some(before) = before {
            self.by_expiry.remove(&(before.caller.expires, token.to_owned()));
        }
        if let Some(value) = value {
            let session: Session = serde_json::from_slice(value).map_err(|error| format!("session row: {error}"))?;
            self.by_expiry.insert((session.caller.expires, token.to_owned()));
            self.by_token.insert(SessionToken::new(token.to_owned()), session);
        }
        Ok(())
    }

    /// Returns the session of a valid token.
    pub(crate) fn check(&self, token: &SessionToken, now: i64) -> Result<&Session, AuthError> {
        let session = self.by_token.get(token).ok_or(AuthError::Bad)?;
        if now >= session.caller.expires { Err(AuthError::Expired) } else { Ok(session) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_has_the_known_format_and_expires() {
        let mut sessions = Sessions::default();
        let caller = Caller { user: 1, account: 2, expires: 100, seq: 1, oem: 1 };
        let token = sessions.issue(Session { caller: caller.clone(), host: "h".into() }, &Random::new(1));
        assert_eq!(token.expose().len(), 38);
        assert!(token.expose().starts_with("0000"));
        assert_eq!(sessions.check(&token, 99).unwrap().caller, caller);
        assert_eq!(sessions.check(&token, 100).unwrap_err(), AuthError::Expired);
        assert_eq!(sessions.check(&"x".into(), 1).unwrap_err(), AuthError::Bad);
    }
}
