//! A cache of serialised accounts. An entry is valid until its account changes.

use std::collections::HashMap;

use bytes::Bytes;

/// Maximum number of cached texts of typically 1 kB. Above it, the cache is cleared; this affects performance only.
const MOST: usize = 1024;
/// Maximum length of a cached text, in bytes.
const LONGEST: usize = 4 * 1024;

/// By account: the text, and the authority of the request, which host names in the text depend on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written(HashMap<u64, (String, Bytes)>);

impl Written {
    /// Returns the cached text, or the result of `write`.
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

    /// Removes the text of an account that has changed.
    pub(crate) fn forget(&mut self, account: u64) {
        self.0.remove(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cached_by_authority_until_the_account_changes() {
        let mut written = Written::default();
        let mut writes = 0;
        let mut get = |written: &mut Written, authority: &str| {
            written.get(1, authority, || {
                writes += 1;
                format!("{authority} {writes}").into_bytes()
            })
        };
        assert_eq!(get(&mut written, "a"), "a 1");
        assert_eq!(get(&mut written, "a"), "a 1");
        assert_eq!(get(&mut written, "b"), "b 2", "the text depends on the authority");
        assert_eq!(get(&mut written, "a"), "a 3");
        written.forget(1);
        assert_eq!(get(&mut written, "a"), "a 4");
        written.get(2, "a", || vec![0; LONGEST + 1]);
        assert_eq!(written.get(2, "a", Vec::new), "", "a text above the maximum length is not cached");
        for account in 0..3 * MOST as u64 {
            written.get(account, "a", Vec::new);
        }
        assert!(written.0.len() <= MOST);
    }
}
