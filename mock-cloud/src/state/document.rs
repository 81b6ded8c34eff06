//! A kept state as one readable file: the rows as a JSON object, those of a kind together.

use serde_json::{Map, Value};

use super::rows::{KeptState, Row};

pub(super) fn write(kept: &KeptState) -> String {
    let mut document = Map::new();
    for Row { key, value } in kept.rows() {
        let value = value.and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or(Value::Null);
        match key.split_once('/') {
            None => drop(document.insert(key, value)),
            Some((kind, name)) => {
                let kind = document.entry(kind).or_insert_with(|| Value::Object(Map::new()));
                kind[name] = value;
            }
        }
    }
    // A map of text always can be written.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn read(text: &str) -> Result<KeptState, String> {
    let document: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for (kind, value) in document {
        match value {
            Value::Object(named) if KeptState::KINDS.contains(&kind.as_str()) => {
                rows.extend(named.iter().map(|(name, value)| Row::new(format!("{kind}/{name}"), value)));
            }
            value => rows.push(Row::new(kind, &value)),
        }
    }
    KeptState::from_rows(rows)
}
