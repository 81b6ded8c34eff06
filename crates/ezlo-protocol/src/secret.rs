//! Secrets are types: no `Display`, a masked `Debug`, zeroed when dropped. The text comes out only through `expose`.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Overwrites a text and what its memory held beyond it. All at once: the library does a `String` byte by byte, which for two
/// tokens takes longer than all else that is done for a request.
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
            /// Takes the text under guard.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself; for the wire only, never for a log or an error.
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// Whether there is any text.
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
    /// The vendor's digest of user name and password. It logs in as well as the password does.
    PasswordHash,
    /// The `Identity` of the MMS pair: base64 of a JSON document that says who the caller is and until when.
    IdentityToken,
    /// The `IdentitySignature` of the MMS pair: 344 base64 characters.
    IdentitySignature,
    /// A per-host session token, sent as `MMSSession`.
    SessionToken,
    /// The cloud API's JSON Web Token.
    CloudToken,
    /// The long-lived token of one user for one hub, used on the local network.
    LocalToken,
    /// The key of a Wi-Fi network.
    Passkey,
    /// The key of an application, 40 hexadecimal digits, given out by the vendor.
    AppKey,
}

/// Words of that length in a foreign text may be tokens or digests; method names and ids are longer at times and go too.
const TOKEN_LENGTH: usize = 24;
/// How much of a foreign text is kept, in characters.
const KEPT_TEXT: usize = 200;

/// A foreign text as an error or an event may keep it: without control characters, 200 characters at most, and with `***` in
/// place of everything long enough to be a token. Short secrets stay: whoever may have one in a text takes it out first.
pub fn masked(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let mut copy = String::new();
    let mut word = String::new();
    // Masked before it is cut, so that no cut leaves half a token; a longer word than that is masked at any length.
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
    fn debug_is_masked_and_the_wire_form_is_not() {
        let password = Password::new("hunter2");
        assert_eq!(format!("{password:?}"), "Password(***)");
        assert_eq!(serde_json::to_string(&password).unwrap(), "\"hunter2\"");
    }

    #[test]
    fn foreign_texts_are_short_and_hold_no_token() {
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
