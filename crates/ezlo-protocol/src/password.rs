//! The password digest of the login.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

use crate::secret::{Password, PasswordHash};

/// The fixed, public salt (vendor; also in the vendor's app and a dozen public clients).
const SALT: &str = "oZ7QE6LcLJp6fiWzdqZc";

/// Returns the digest that a login sends as `SHA1Password`.
///
/// It is the SHA-1 of lower-case user name, password and salt, as 40 lower-case hexadecimal digits (vendor). The service
/// compares it with a digest of the lower-case name, so this function always converts the name.
///
/// ```
/// use ezlo_protocol::password::sha1_password;
/// let hash = sha1_password("Test69212", &"Ezlo@2021".into());
/// assert_eq!(hash.expose(), "8a5e384a672700cfb27c180e77d2410d765ec05b");
/// ```
pub fn sha1_password(username: &str, password: &Password) -> PasswordHash {
    digest(&username.to_lowercase(), password)
}

/// Returns the digest that some clients send as `SHA1PasswordCS`: the same digest of the user name in its original case.
///
/// Returns `None` if the name is in lower case, because both digests are equal then. Two public clients send the parameter
/// (client-source); its meaning is inferred.
pub fn sha1_password_case_sensitive(username: &str, password: &Password) -> Option<PasswordHash> {
    (username.to_lowercase() != username).then(|| digest(username, password))
}

fn digest(username: &str, password: &Password) -> PasswordHash {
    let hash = Sha1::new().chain_update(username).chain_update(password.expose()).chain_update(SALT).finalize();
    let mut text = String::with_capacity(40);
    for byte in hash {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    PasswordHash::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_known_vectors() {
        let vectors = [
            ("test-user", "test-password", "922170460ca810ae23bcc0220a9e6ff42095958d"),
            ("test69212", "Ezlo@2021", "8a5e384a672700cfb27c180e77d2410d765ec05b"),
            ("test4521", "Ezlo@2021", "a3c26fa12cd14e035833c89dc019759f2713706c"),
            ("TEST4521", "Ezlo@2021", "a3c26fa12cd14e035833c89dc019759f2713706c"),
        ];
        for (username, password, expected) in vectors {
            assert_eq!(sha1_password(username, &password.into()).expose(), expected, "{username}");
        }
    }

    #[test]
    fn the_case_sensitive_digest_exists_for_mixed_case_only() {
        assert_eq!(sha1_password_case_sensitive("demo", &"p".into()), None);
        let twin = sha1_password_case_sensitive("Demo", &"p".into()).unwrap();
        assert_ne!(twin, sha1_password("Demo", &"p".into()));
    }

    /// The vendor's note prints a digest that matches no known input.
    #[test]
    fn the_wrong_digest_of_the_note_is_not_produced() {
        assert_ne!(
            sha1_password("test69212", &"Ezlo@2021".into()).expose(),
            "13067a93aa3dba3ce29b61a95852326b8d4f08c2"
        );
    }
}
