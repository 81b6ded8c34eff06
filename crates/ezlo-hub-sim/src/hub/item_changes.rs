//! Changes of item values, for people and tests that look at a house.

use ezlo_protocol::hub::ItemId;
use serde_json::{Value, json};

use crate::context::{Context, ItemChange};
use crate::hub::Hub;
use crate::item_codes::holds_codes;

/// Maximum length of a value as JSON, in bytes. A longer value is reported by its length only.
const MAX_SHOWN: usize = 512;

impl Hub {
    /// Reports a changed value. Values of items with codes are masked.
    pub(crate) fn report_change(&self, id: &ItemId, before: &Value, after: &Value, context: &mut Context<'_>) {
        let Some(item) = self.items.get(id) else { return };
        let device = item.device_id.get().and_then(|device| self.devices.get(device));
        let name = item.name.as_deref().unwrap_or_default();
        let hides = holds_codes(item);
        let shown = |value: &Value| if hides { masked(value) } else { bounded(value) };
        context.effects.changes.push(ItemChange {
            device: device.and_then(|device| device.name.as_deref()).unwrap_or_default().to_owned(),
            item: name.to_owned(),
            old: shown(before),
            new: shown(after),
        });
    }
}

fn masked(value: &Value) -> Value {
    if value.is_null() { Value::Null } else { "***".into() }
}

fn bounded(value: &Value) -> Value {
    let is_long = match value {
        Value::String(text) => text.len() > MAX_SHOWN,
        Value::Array(_) | Value::Object(_) => value.to_string().len() > MAX_SHOWN,
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    if is_long { json!({"bytes": value.to_string().len()}) } else { value.clone() }
}
