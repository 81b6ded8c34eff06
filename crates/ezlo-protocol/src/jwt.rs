//! The cloud API's JSON Web Token, as far as a client needs it: when it expires.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::CloudToken;
use crate::wire::{self, DecodeError, Field, Loose};

wire! {
    /// The payload of the cloud API's token. One client reads `token.expires_ts`; nothing else is known.
    JwtPayload {
        /// The vendor's own object.
        token: Field<JwtToken> = "token",
    }
}

wire! {
    /// The vendor's object inside the payload.
    JwtToken {
        /// End of validity, Unix seconds (the unit is inferred).
        expires_ts: Field<Loose<i64>> = "expires_ts",
    }
}

impl JwtPayload {
    /// Reads the payload. The signature is the server's business and is not checked.
    pub fn decode(token: &CloudToken) -> Result<Self, JwtError> {
        let mut parts = token.expose().split('.');
        let (Some(_header), Some(payload), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwtError::Parts);
        };
        let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map_err(|_| JwtError::Base64)?;
        wire::from_slice(&json).map_err(JwtError::Document)
    }

    /// End of validity, Unix seconds, if the token says.
    pub fn expires_at(&self) -> Option<i64> {
        Some(*self.token.get()?.expires_ts.get()?.get())
    }
}

/// The text is not a token of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// Not three parts joined by dots.
    #[error("the token does not have three parts")]
    Parts,
    /// The payload is not base64url.
    #[error("the token's payload is not base64url")]
    Base64,
    /// The payload is not the expected document.
    #[error("the token's payload is not what it should be: {0}")]
    Document(DecodeError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_expiry() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"token":{"expires_ts":1700086400,"x":1}}"#);
        let decoded = JwtPayload::decode(&CloudToken::new(format!("e30.{payload}.c2ln"))).unwrap();
        assert_eq!(decoded.expires_at(), Some(1_700_086_400));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(JwtPayload::decode(&"a.b".into()), Err(JwtError::Parts));
        assert_eq!(JwtPayload::decode(&"a.!.c".into()), Err(JwtError::Base64));
        assert!(matches!(JwtPayload::decode(&"a.e30x.c".into()), Err(JwtError::Document(_))));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in ".*") {
            let _ = JwtPayload::decode(&CloudToken::new(text));
        }
    }
}
