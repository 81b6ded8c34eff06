//! Scene blocks without personal texts. Known elements of the scene language are retained, all others are replaced.

use std::collections::HashMap;

use ezlo_protocol::hub::catalogue::{THEN_METHODS, WHEN_METHODS};
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::scene::{
    ArgumentKind, Block, BlockField, BlockSpec, Comparator, SunEvent, SunTiming, block_spec,
};
use ezlo_protocol::hub::value::{Scale, ValueType};
use ezlo_protocol::wire;
use serde_json::{Map, Value, json};

use super::pseudonymize::{Pseudonyms, blank, scrub};
use crate::item_codes::holds_codes;

/// Types of block fields that are not types of items.
const FIELD_TYPES: &[&str] =
    &["item", "device", "interval", "hms_interval", "24_hours_time", "block", "blocks", "houseModeId", "sceneId"];
/// Known values of `blockType`.
const BLOCK_TYPES: &[&str] = &["when", "then", "else"];

/// The objects that blocks can refer to.
pub(super) struct Blocks<'a> {
    pub(super) items: &'a [Item],
    /// Pseudonyms of devices by their ids.
    pub(super) devices: &'a HashMap<&'a str, String>,
}

impl Blocks<'_> {
    /// Returns the block with references instead of ids; `None` if its method is not documented.
    pub(super) fn anonymous(&self, block: &Block, names: &mut Pseudonyms) -> Option<Value> {
        let named = block.method()?;
        let method = WHEN_METHODS.iter().chain(THEN_METHODS).find(|known| **known == named)?;
        let spec = block_spec(method);
        let has_codes = self.is_about_codes(block);
        let mut args = Map::new();
        let mut fields = Vec::new();
        for (at, field) in block.fields.get().into_iter().flatten().enumerate() {
            let argument = spec.and_then(|spec| argument_of(spec, block, field));
            let name = argument.as_ref().map_or_else(|| format!("field{at}"), |(_, name)| name.clone());
            let mut kept = Map::from_iter([("name".to_owned(), Value::from(name.clone()))]);
            let kind =
                field.kind.as_deref().filter(|kind| FIELD_TYPES.contains(kind) || ValueType::from(*kind).is_known());
            kept.extend(kind.map(|kind| ("type".to_owned(), kind.into())));
            let scale = field.scale.as_deref().filter(|scale| Scale::from(*scale).is_known());
            kept.extend(scale.map(|scale| ("scale".to_owned(), scale.into())));
            if let Some(value) = field.value.get() {
                let is_reference = matches!(kind, Some("item" | "device" | "block" | "blocks"));
                let value = match kind {
                    Some(kind) if argument.is_some() && (!has_codes || is_reference) => self.value(kind, value, names),
                    // An unknown field can contain anything, such as a home address or daily routine.
                    _ => blank(value),
                };
                kept.insert("value".into(), value);
            }
            args.extend(argument.map(|(argument, name)| (argument.to_owned(), name.into())));
            fields.push(Value::from(kept));
        }
        let place = block.kind.as_deref().filter(|kind| BLOCK_TYPES.contains(kind)).unwrap_or("when");
        let mut made = json!({
            "blockType": place,
            "blockOptions": {"method": {"name": method, "args": args}},
            "fields": fields,
        });
        if let Some(delay) = block.delay.get() {
            let part = |part: &wire::Field<u64>| part.get().copied().unwrap_or_default();
            made["delay"] = json!({"days": part(&delay.days), "hours": part(&delay.hours),
                "minutes": part(&delay.minutes), "seconds": part(&delay.seconds)});
        }
        Some(made)
    }

    /// Returns whether the block refers to an item with lock codes.
    fn is_about_codes(&self, block: &Block) -> bool {
        let item = |field: &BlockField| match (field.kind.as_deref(), field.value.get().and_then(Value::as_str)) {
            (Some("item"), Some(id)) => self.items.iter().find(|item| item.id.as_str() == id),
            _ => None,
        };
        block.fields.get().into_iter().flatten().filter_map(item).any(holds_codes)
    }

    fn value(&self, kind: &str, value: &Value, names: &mut Pseudonyms) -> Value {
        let block = |value: &Value, names: &mut Pseudonyms| {
            wire::from_value::<Block>(value).ok().and_then(|block| self.anonymous(&block, names))
        };
        let text = value.as_str().unwrap_or_default();
        match kind {
            "block" => block(value, names).unwrap_or_else(|| json!({})),
            "blocks" => value.as_array().into_iter().flatten().filter_map(|inner| block(inner, names)).collect(),
            "item" => {
                let item = self.items.iter().find(|item| item.id.as_str() == text);
                let device = item.and_then(|item| self.devices.get(item.device_id.get()?.as_str()));
                match (device, item.and_then(|item| item.name.as_deref())) {
                    (Some(device), Some(name)) => format!("@{device}/{}", super::known::item_name(name, names)).into(),
                    _ => "unknown".into(),
                }
            }
            "device" => self.devices.get(text).map_or_else(|| "unknown".into(), |device| format!("@{device}").into()),
            "houseModeId" if matches!(text, "1" | "2" | "3" | "4") => value.clone(),
            "houseModeId" => "1".into(),
            "interval" | "hms_interval" | "24_hours_time" if is_time(text) => value.clone(),
            "interval" | "hms_interval" | "24_hours_time" => "".into(),
            "sceneId" => format!("@scene {}", names.of("Scene", text)).into(),
            "string" if is_word(text) => value.clone(),
            kind => scrub(&ValueType::from(kind), None, value, names),
        }
    }
}

/// Returns the argument that a field supplies, and the name that the field gets: that of the argument or of the sun event.
fn argument_of(spec: &'static BlockSpec, block: &Block, field: &BlockField) -> Option<(&'static str, String)> {
    let name = field.name.as_deref()?;
    let args = block.options.get()?.method.get()?.args.get()?;
    let argument =
        spec.arguments.iter().find(|argument| args.get(argument.name).and_then(Value::as_str) == Some(name))?;
    let is_event = argument.kind == ArgumentKind::SunTiming && SunEvent::from(name).is_known();
    Some((argument.name, if is_event { name } else { argument.name }.to_owned()))
}

/// Returns whether a text looks like a time or interval, such as `5m`, `1h 30m` or `19:30`.
fn is_time(text: &str) -> bool {
    text.len() <= 20 && text.chars().all(|c| c.is_ascii_digit() || "dhms: ".contains(c))
}

/// Returns whether a text is a constant of the scene language.
fn is_word(text: &str) -> bool {
    Comparator::from(text).is_known()
        || SunTiming::from(text).is_known()
        || matches!(text, "daily" | "weekly" | "GET" | "POST" | "PUT" | "DELETE")
}
