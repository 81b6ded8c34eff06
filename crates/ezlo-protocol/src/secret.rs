//! Secrets are types: no `Display`, a masked `Debug`, zeroed when dropped. The text comes out only through `expose`.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

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
                self.0.zeroize();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_masked_and_the_wire_form_is_not() {
        let password = Password::new("hunter2");
        assert_eq!(format!("{password:?}"), "Password(***)");
        assert_eq!(serde_json::to_string(&password).unwrap(), "\"hunter2\"");
    }
}
