//! The payload of the cloud API's JSON Web Token. A client needs only its expiry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::CloudToken;
use crate::wire::{self, DecodeError, Field, Loose};

wire! {
    /// The payload of the cloud API's token.
    ///
    /// One client reads `token.expires_ts` (client-source). The other members are not public.
    JwtPayload {
        /// The vendor's object, which holds the expiry.
        token: Field<JwtToken> = "token",
    }
}

wire! {
    /// The vendor's object inside the token payload.
    JwtToken {
        /// End of validity, Unix seconds (the unit is inferred).
        expires_ts: Field<Loose<i64>> = "expires_ts",
    }
}

impl JwtPayload {
    /// Decodes the payload of a token without verifying the signature.
    ///
    /// Only the server can verify the signature. Padding of the base64url text is accepted and ignored.
    ///
    /// # Errors
    ///
    /// - [`JwtError::Parts`] if the token does not consist of three parts.
    /// - [`JwtError::Base64`] if the payload is not base64url.
    /// - [`JwtError::Document`] if the payload is not a JSON object of the expected shape.
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

    /// Returns the end of validity in Unix seconds, or `None` if the token does not state it.
    pub fn expires_at(&self) -> Option<i64> {
        Some(*self.token.get()?.expires_ts.get()?.get())
    }
}

/// The error of decoding a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// The token does not consist of three parts that are joined by dots.
    #[error("token does not have three parts separated by dots")]
    Parts,
    /// The payload is not base64url.
    #[error("token payload is not base64url")]
    Base64,
    /// The payload is not a JSON object of the expected shape.
    #[error("token payload has an unexpected shape")]
    Document(#[source] DecodeError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_expiry_is_decoded() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"token":{"expires_ts":1700086400,"x":1}}"#);
        let decoded = JwtPayload::decode(&CloudToken::new(format!("e30.{payload}.c2ln"))).unwrap();
        assert_eq!(decoded.expires_at(), Some(1_700_086_400));
    }

    #[test]
    fn each_malformed_token_has_its_own_error() {
        assert_eq!(JwtPayload::decode(&"a.b".into()), Err(JwtError::Parts));
        assert_eq!(JwtPayload::decode(&"a.!.c".into()), Err(JwtError::Base64));
        assert!(matches!(JwtPayload::decode(&"a.e30x.c".into()), Err(JwtError::Document(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in ".*") {
            let _ = JwtPayload::decode(&CloudToken::new(text));
        }
    }
}
