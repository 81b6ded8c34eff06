//! Per-host session tokens.

use std::collections::{BTreeSet, HashMap};

use ezlo_protocol::secret::SessionToken;

use super::tokens::{AuthError, Caller};
use crate::random::Random;

/// Most session tokens that are kept; the one that expires first makes room. A client needs a handful.
const MAX_SESSIONS: usize = 100_000;

/// The session tokens that were given out.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sessions {
    by_token: HashMap<SessionToken, Session>,
    by_expiry: BTreeSet<(i64, String)>,
}

/// What a session token stands for.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) caller: Caller,
    /// The host that gave it out, without port.
    pub(crate) host: String,
}

impl Sessions {
    /// Gives out a token: 38 characters of `0-9A-F`, beginning with zeros as the one known sample does.
    pub(crate) fn issue(&mut self, session: Session, random: &Random) -> SessionToken {
        while self.by_token.len() >= MAX_SESSIONS {
            let Some((_, oldest)) = self.by_expiry.pop_first() else { break };
            self.by_token.remove(&SessionToken::new(oldest));
        }
        let token = SessionToken::new(format!("00000001{}", random.hex(30).to_uppercase()));
        self.by_expiry.insert((session.caller.expires, token.expose().to_owned()));
        self.by_token.insert(token.clone(), session);
        token
    }

    /// Who a token stands for.
    pub(crate) fn check(&self, token: &SessionToken, now: i64) -> Result<&Session, AuthError> {
        let session = self.by_token.get(token).ok_or(AuthError::Bad)?;
        if now >= session.caller.expires { Err(AuthError::Expired) } else { Ok(session) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_known_shape_and_ends() {
        let mut sessions = Sessions::default();
        let caller = Caller { user: 1, account: 2, expires: 100 };
        let token = sessions.issue(Session { caller: caller.clone(), host: "h".into() }, &Random::new(1));
        assert_eq!(token.expose().len(), 38);
        assert!(token.expose().starts_with("0000"));
        assert_eq!(sessions.check(&token, 99).unwrap().caller, caller);
        assert_eq!(sessions.check(&token, 100).unwrap_err(), AuthError::Expired);
        assert_eq!(sessions.check(&"x".into(), 1).unwrap_err(), AuthError::Bad);
    }
}
