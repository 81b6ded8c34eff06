//! The vendor's password digest.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

use crate::secret::{Password, PasswordHash};

/// The fixed public salt (the vendor's note; also in the vendor's app and a dozen public clients).
const SALT: &str = "oZ7QE6LcLJp6fiWzdqZc";

/// The digest a login carries as `SHA1Password`: SHA-1 of lower-cased user name, password and salt, as 40 lower-case
/// hexadecimal digits.
///
/// The service compares with a digest over the lower-cased name, so the name is always folded here.
///
/// ```
/// use ezlo_protocol::password::sha1_password;
/// let hash = sha1_password("Test69212", &"Ezlo@2021".into());
/// assert_eq!(hash.expose(), "8a5e384a672700cfb27c180e77d2410d765ec05b");
/// ```
pub fn sha1_password(username: &str, password: &Password) -> PasswordHash {
    digest(&username.to_lowercase(), password)
}

/// The twin that some clients send as `SHA1PasswordCS`: the same over the name as it was typed. `None` when folding
/// changes nothing, because then it says nothing new. (The parameter is seen in two clients; its meaning is inferred.)
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
    fn known_digests() {
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
    fn the_twin_exists_only_for_mixed_case() {
        assert_eq!(sha1_password_case_sensitive("demo", &"p".into()), None);
        let twin = sha1_password_case_sensitive("Demo", &"p".into()).unwrap();
        assert_ne!(twin, sha1_password("Demo", &"p".into()));
    }

    /// The digest printed in the vendor's note belongs to no known input; it must not come out of the right formula.
    #[test]
    fn the_printed_digest_is_not_ours() {
        assert_ne!(
            sha1_password("test69212", &"Ezlo@2021".into()).expose(),
            "13067a93aa3dba3ce29b61a95852326b8d4f08c2"
        );
    }
}
