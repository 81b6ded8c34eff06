//! The result of `access_keys_sync`: a map of keys that includes the local token of each hub.

use std::fmt;

use crate::secret::LocalToken;
use crate::serial::Serial;
use crate::wire::{Field, Loose, Opaque};

wire! {
    /// The `data` of the response to `access_keys_sync`: keys of hubs and users under arbitrary names (client-source).
    AccessKeys {
        /// The keys, by name.
        keys: KeyMap = "keys",
    }
}

/// Keys with their names, in the order of the document.
#[derive(Clone, Default, PartialEq)]
pub struct KeyMap(Vec<(String, AccessKey)>);

wire! {
    /// A key of a hub or a user.
    AccessKey {
        /// Payload: `null` in the entry of a hub, a local token in the entry of a user.
        data: Field<Opaque> = "data",
        /// Owner and target of the key.
        meta: Field<KeyMeta> = "meta",
    }
}

wire! {
    /// The owner and the target of a key.
    KeyMeta {
        /// Owner of the key: a hub or a user.
        entity: Field<KeyParty> = "entity",
        /// Target of the key, such as the hub that a local token is for.
        target: Field<KeyParty> = "target",
    }
}

wire! {
    /// A hub or a user in the description of a key.
    KeyParty {
        /// Kind of the party, such as `controller` (a hub) or `user`.
        kind: Field<String> = "type",
        /// Serial of a hub, or number of a user.
        id: Field<Loose<String>> = "id",
        /// UUID of the party.
        uuid: Field<String> = "uuid",
    }
}

/// The credentials of a login at a hub on the local network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCredentials {
    /// UUID of the user; on EzloPi, the serial of the hub.
    pub user: String,
    /// Local token of the user for this hub.
    pub token: LocalToken,
}

impl AccessKeys {
    /// Returns the local credentials for a hub.
    ///
    /// Finds the entry of the hub by serial, then the first entry of a user whose target is that hub and whose data is text.
    /// Returns `None` if one of them is missing. Removing the hub from the account and adding it again creates new keys.
    pub fn local_credentials(&self, serial: &Serial) -> Option<LocalCredentials> {
        let hub = self.keys.iter().find_map(|(_, key)| key.controller_uuid(serial))?;
        self.keys.iter().find_map(|(_, key)| key.user_credentials(hub))
    }
}

impl AccessKey {
    fn controller_uuid(&self, serial: &Serial) -> Option<&str> {
        let entity = self.meta.get()?.entity.get()?;
        let matches = entity.is("controller") && entity.id.get()?.get() == serial.as_str();
        matches.then(|| entity.uuid.as_deref()).flatten()
    }

    fn user_credentials(&self, hub_uuid: &str) -> Option<LocalCredentials> {
        let meta = self.meta.get()?;
        let entity = meta.entity.get().filter(|entity| entity.is("user"))?;
        meta.target.get().filter(|target| target.uuid.as_deref() == Some(hub_uuid))?;
        let data = self.data.get().filter(|data| data["type"] == "string")?;
        let token = data["string"].as_str()?;
        Some(LocalCredentials { user: entity.uuid.as_deref()?.into(), token: token.into() })
    }
}

impl KeyParty {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }
}

impl KeyMap {
    /// Iterates over the keys with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AccessKey)> {
        self.0.iter().map(|(name, key)| (name.as_str(), key))
    }
}

impl FromIterator<(String, AccessKey)> for KeyMap {
    fn from_iter<I: IntoIterator<Item = (String, AccessKey)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

/// Prints the number of keys only, because the keys are secrets.
impl fmt::Debug for KeyMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMap({} keys)", self.0.len())
    }
}

impl serde::Serialize for KeyMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, key)| (name, key)))
    }
}

impl<'de> serde::Deserialize<'de> for KeyMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;
        impl<'de> serde::de::Visitor<'de> for KeysVisitor {
            type Value = KeyMap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of keys")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<KeyMap, A::Error> {
                let mut keys = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    keys.push(entry);
                }
                Ok(KeyMap(keys))
            }
        }
        deserializer.deserialize_map(KeysVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use serde_json::Value;

    const KEYS: &str = r#"{"keys":{
        "noise":{"data":{"type":"string","string":"other"},"meta":{}},
        "k0":{"data":null,"meta":{"entity":{"type":"controller","id":"92000001","uuid":"hub-b"}}},
        "k1":{"data":null,"meta":{"entity":{"type":"controller","id":"90000001","uuid":"hub-a"},"target":{"type":"cloud","uuid":"c"}}},
        "k2":{"data":null,"meta":{"entity":{"type":"user","uuid":"user-a"},"target":{"type":"controller","uuid":"hub-a"}}},
        "k3":{"data":{"type":"string","string":"token-b"},"meta":{"entity":{"type":"user","uuid":"user-a"},"target":{"type":"controller","uuid":"hub-b"}}},
        "k4":{"data":{"type":"string","string":"token-a"},"meta":{"entity":{"type":"user","uuid":"user-a"},"target":{"type":"controller","uuid":"hub-a"}}}}}"#;

    #[test]
    fn local_credentials_match_the_hub_by_serial() {
        let keys: AccessKeys = wire::from_slice(KEYS.as_bytes()).unwrap();
        let found = keys.local_credentials(&"90000001".parse().unwrap()).unwrap();
        assert_eq!(found, LocalCredentials { user: "user-a".into(), token: "token-a".into() });
        assert_eq!(keys.local_credentials(&"55000001".parse().unwrap()), None);
        assert_eq!(wire::to_value(&keys), serde_json::from_str::<Value>(KEYS).unwrap());
    }

    #[test]
    fn debug_prints_no_token() {
        let keys: AccessKeys = wire::from_slice(KEYS.as_bytes()).unwrap();
        assert!(!format!("{keys:?}").contains("token-a"));
        for (_, key) in keys.keys.iter() {
            assert!(!format!("{key:?}").contains("token-"), "{key:?}");
        }
    }
}
