//! Accounts as they were last written for a caller: between two changes every read has the same text.

use std::collections::HashMap;

use bytes::Bytes;

/// Accounts of which the text is remembered, most of them about 1 kB; beyond that all are forgotten. Nothing but time depends on
/// it.
const MOST: usize = 1024;
/// Longest text that is remembered, in bytes.
const LONGEST: usize = 4 * 1024;

/// By account: the authority that the caller used, which names in the text follow, and the text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written(HashMap<u64, (String, Bytes)>);

impl Written {
    pub(crate) fn get(&mut self, account: u64, authority: &str, write: impl FnOnce() -> Vec<u8>) -> Bytes {
        if let Some((_, text)) = self.0.get(&account).filter(|(known, _)| known == authority) {
            return text.clone();
        }
        let text = Bytes::from(write());
        if text.len() > LONGEST {
            return text;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(account, (authority.to_owned(), text.clone()));
        text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The account has changed.
    pub(crate) fn forget(&mut self, account: u64) {
        self.0.remove(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_for_an_authority_until_the_account_changes() {
        let mut written = Written::default();
        let mut made = 0;
        let mut get = |written: &mut Written, authority: &str| {
            written.get(1, authority, || {
                made += 1;
                format!("{authority} {made}").into_bytes()
            })
        };
        assert_eq!(get(&mut written, "a"), "a 1");
        assert_eq!(get(&mut written, "a"), "a 1");
        assert_eq!(get(&mut written, "b"), "b 2", "another name is another text");
        assert_eq!(get(&mut written, "a"), "a 3");
        written.forget(1);
        assert_eq!(get(&mut written, "a"), "a 4");
        written.get(2, "a", || vec![0; LONGEST + 1]);
        assert_eq!(written.get(2, "a", Vec::new), "", "what is too long is not remembered");
        for account in 0..3 * MOST as u64 {
            written.get(account, "a", Vec::new);
        }
        assert!(written.0.len() <= MOST);
    }
}
