//! Settings of a hub.

use indexmap::IndexMap;
use serde_json::{Value, json};

/// Value, type and tokens of each setting, by name.
pub(crate) type Settings = IndexMap<String, (Value, &'static str, &'static [&'static str])>;

/// Serialises settings as their values, for `#[serde(with = "...")]`. Types and tokens are not persisted.
pub(crate) mod setting_values {
    use indexmap::IndexMap;
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;

    use super::Settings;

    pub(crate) fn serialize<S: Serializer>(settings: &Settings, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(settings.iter().map(|(name, (value, ..))| (name, value)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
        let mut settings = super::settings();
        for (name, kept) in IndexMap::<String, Value>::deserialize(deserializer)? {
            if let Some((value, ..)) = settings.get_mut(&name) {
                *value = kept;
            }
        }
        Ok(settings)
    }
}

/// Returns the settings of a new hub (EzloPi firmware source).
pub(crate) fn settings() -> Settings {
    let token = |name: &str, value: &str, tokens| (name.to_owned(), (json!(value), "token", tokens));
    IndexMap::from([
        token("scale.temperature", "celsius", &["celsius", "fahrenheit"][..]),
        token("date.format", "ddmmyy", &["mmddyy", "ddmmyy"]),
        token("time.format", "24", &["12", "24"]),
    ])
}
