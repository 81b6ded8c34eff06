//! A persisted state as one JSON document, with its rows grouped by kind.

use serde_json::{Map, Value};

use crate::persistence::rows::Row;
use crate::world::persisted_state::PersistedState;

/// Serialises a state as a JSON document that ends with a newline.
pub(crate) fn write(state: &PersistedState) -> String {
    let mut document = Map::new();
    for Row { key, value } in state.rows() {
        let value = value.and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or(Value::Null);
        match key.split_once('/') {
            None => drop(document.insert(key, value)),
            Some((kind, name)) => {
                let kind = document.entry(kind).or_insert_with(|| Value::Object(Map::new()));
                kind[name] = value;
            }
        }
    }
    let mut text = format!("{:#}", Value::Object(document));
    text.push('\n');
    text
}

/// Decodes a state from a JSON document. The error text names the row.
pub(crate) fn read(text: &str) -> Result<PersistedState, String> {
    let document: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for (kind, value) in document {
        match value {
            Value::Object(named) if PersistedState::KINDS.contains(&kind.as_str()) => {
                rows.extend(named.iter().map(|(name, value)| Row::new(format!("{kind}/{name}"), value)));
            }
            value => rows.push(Row::new(kind, &value)),
        }
    }
    PersistedState::from_rows(rows)
}
