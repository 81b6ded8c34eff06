//! Types for secrets: no `Display`, a masked `Debug`, zeroed on drop. Only `expose` and serialisation reveal the text.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Overwrites a text with zeros, including its unused capacity.
///
/// It zeroes the bytes as one slice. `zeroize` processes a `String` byte by byte. For two tokens, that takes longer than all
/// other work of a request.
fn wipe(text: &mut String) {
    let mut bytes = std::mem::take(text).into_bytes();
    bytes.resize(bytes.capacity(), 0);
    bytes.as_mut_slice().zeroize();
}

macro_rules! secret {
    ($( $(#[$meta:meta])* $name:ident ),* $(,)?) => { $(
        $(#[$meta])*
        #[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text as a secret.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Returns the text in clear. Use it for the wire only, never in a log or an error.
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// Returns `true` if the text is empty.
            pub const fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl<T: Into<String>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(***)", stringify!($name))
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                wipe(&mut self.0);
            }
        }
    )* };
}

secret! {
    /// A user's password in clear text.
    Password,
    /// The digest of user name and password; see [`crate::password`]. It is sufficient for a login.
    PasswordHash,
    /// The `Identity` of the MMS pair: base64 of a JSON document that names user, permissions and expiry.
    IdentityToken,
    /// The `IdentitySignature` of the MMS pair: 344 base64 characters.
    IdentitySignature,
    /// A session token of one host, sent as `MMSSession`.
    SessionToken,
    /// The cloud API's JSON Web Token.
    CloudToken,
    /// The long-lived token of one user for one hub, used on the local network.
    LocalToken,
    /// The key of a Wi-Fi network.
    Passkey,
    /// The key of an application: 40 hexadecimal digits, issued by the vendor.
    AppKey,
    /// The token with which a controller asks for its provisioning.
    ProvisionToken,
    /// A private key in PEM.
    PrivateKey,
}

/// Minimum length, in bytes, of a part that is masked as a possible token or digest. It also masks long method names and ids.
const TOKEN_LENGTH: usize = 24;
/// Maximum length of a masked text, in characters.
const KEPT_TEXT: usize = 200;

/// Makes the text of a peer safe for an error or an event.
///
/// Replaces control characters by spaces and every part of 24 or more token characters by `***`. Truncates the text to at
/// most 200 characters. Shorter secrets are not masked; remove them before the call.
pub fn masked(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let mut copy = String::new();
    let mut word = String::new();
    // Masks before truncating, so that no part of a token remains.
    for c in text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).chain([' ']) {
        if is_part(c) {
            if word.len() < TOKEN_LENGTH {
                word.push(c);
            }
            continue;
        }
        copy.push_str(if word.len() < TOKEN_LENGTH { &word } else { "***" });
        word.clear();
        copy.push(c);
        if copy.len() > KEPT_TEXT {
            break;
        }
    }
    copy.pop();
    copy.chars().take(KEPT_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_masked_and_the_serialised_form_is_not() {
        let password = Password::new("hunter2");
        assert_eq!(format!("{password:?}"), "Password(***)");
        assert_eq!(serde_json::to_string(&password).unwrap(), "\"hunter2\"");
    }

    #[test]
    fn peer_texts_are_truncated_and_tokens_are_masked() {
        let token = "eyJFeHBpcmVzIjoxNzAwMDg2NDAwfQ==";
        assert_eq!(masked(&format!("{{\"MMSAuth\":\"{token}\",x")), "{\"MMSAuth\":\"***\",x");
        assert_eq!((masked(token).as_str(), masked("").as_str()), ("***", ""));
        assert_eq!(masked(" ERROR:\nnot\u{1b}[31m allowed "), "ERROR: not [31m allowed");
        let cut = format!("{} {token}", "a b".repeat(KEPT_TEXT / 3));
        assert!(!masked(&cut).contains("eyJ"), "{}", masked(&cut));
        assert_eq!(masked(&format!("{token}.{token}")), "***.***");
        assert!(masked(&"a b".repeat(500)).len() <= KEPT_TEXT);
    }
}
