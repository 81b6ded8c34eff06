use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DecodeError, Opaque, from_value};

/// A list in which an entry that cannot be decoded does not hide the others.
///
/// Such an entry is preserved unchanged, at its place. Iteration yields the decoded entries only; [`Entries::unreadable`]
/// yields the others with the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries<T>(Vec<Entry<T>>);

#[derive(Debug, Clone, PartialEq)]
enum Entry<T> {
    Decoded(T),
    Unreadable(Unreadable),
}

/// An entry of a list that cannot be decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// Position in the list, from 0 on.
    pub position: usize,
    /// The entry as received. Its `Debug` output is masked.
    pub raw: Opaque,
    /// The reason. It names the member and never quotes a value.
    pub error: DecodeError,
}

impl<T> Entries<T> {
    /// Iterates over the decoded entries, in the order of the document.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(|entry| match entry {
            Entry::Decoded(entry) => Some(entry),
            Entry::Unreadable(_) => None,
        })
    }

    /// Iterates over the entries that cannot be decoded, in the order of the document.
    pub fn unreadable(&self) -> impl Iterator<Item = &Unreadable> {
        self.0.iter().filter_map(|entry| match entry {
            Entry::Decoded(_) => None,
            Entry::Unreadable(entry) => Some(entry),
        })
    }

    /// Converts into the decoded entries, in the order of the document.
    pub fn into_vec(self) -> Vec<T> {
        let decoded = self.0.into_iter().filter_map(|entry| match entry {
            Entry::Decoded(entry) => Some(entry),
            Entry::Unreadable(_) => None,
        });
        decoded.collect()
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<T> for Entries<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self(entries.into_iter().map(Entry::Decoded).collect())
    }
}

impl<T: Serialize> Serialize for Entries<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<T: Serialize> Serialize for Entry<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Decoded(entry) => entry.serialize(serializer),
            Self::Unreadable(entry) => entry.raw.serialize(serializer),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<serde_json::Value>::deserialize(deserializer)?;
        let decoded = entries.into_iter().enumerate().map(|(position, raw)| match from_value(&raw) {
            Ok(entry) => Entry::Decoded(entry),
            Err(error) => Entry::Unreadable(Unreadable { position, raw: raw.into(), error }),
        });
        Ok(Self(decoded.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_entry_is_preserved_and_reported() {
        let text = r#"[1,{"secret":"hunter2"},3]"#;
        let entries: Entries<u8> = serde_json::from_str(text).unwrap();
        assert_eq!(entries.iter().copied().collect::<Vec<_>>(), [1, 3]);
        let unreadable: Vec<_> = entries.unreadable().collect();
        assert_eq!((unreadable.len(), unreadable[0].position), (1, 1));
        assert!(!format!("{entries:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&entries).unwrap(), text);
        assert!(serde_json::from_str::<Entries<u8>>("{}").is_err(), "only entries may be unreadable");
    }
}
