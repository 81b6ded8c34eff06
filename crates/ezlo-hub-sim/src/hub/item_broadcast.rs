//! The content of `hub.item.updated` and `hub.item.dictionary.updated`: an
//! [`ItemUpdate`](ezlo_protocol::hub::item::ItemUpdate), written directly as JSON because it is the most frequent message.

use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::item::Item;
use serde_json::Value;

use crate::hub::Hub;
use crate::json::{JsonObjectWriter, RawJson};

/// Initial capacity of the text in bytes; most updates fit.
const ROOM: usize = 512;

/// A change of one element of a dictionary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ElementChange<'a> {
    /// `added`, `updated` or `removed`.
    pub(crate) operation: &'a str,
    /// Key of the element.
    pub(crate) key: &'a str,
    /// Value of the element; for `removed` the last one.
    pub(crate) element: &'a Value,
}

impl Hub {
    /// Returns the update for a new value. Formatted text and type are included, because a public client overwrites all three.
    pub(crate) fn item_update_value(&self, item: &Item) -> RawJson {
        let mut object = self.item_update(item, "[]");
        object.field("value", &item.value, JsonObjectWriter::value);
        type_of(&mut object, item);
        object.end()
    }

    /// Returns the update for a dictionary element. `notifications` is null, which stands for all users (captures).
    pub(crate) fn item_update_element(&self, item: &Item, change: ElementChange<'_>) -> RawJson {
        let mut told = self.item_update(item, "null");
        type_of(&mut told, item);
        told.text("operation", change.operation);
        let mut element = serde_json::Map::new();
        element.insert(change.key.to_owned(), serde_json::json!({"value": change.element}));
        told.json("element", RawJson::of(&element).as_str());
        told.field("elementType", &item.element_type, |told, name, kind| told.text(name, kind));
        told.field("elementsMaxNumber", &item.elements_max_number, |told, name, most| {
            told.json(name, &most.to_string())
        });
        told.field("userCodeRestriction", &item.user_code_restriction, |told, name, pattern| told.text(name, pattern));
        told.end()
    }

    /// Starts an update with the item, its device and its room. `users` is the JSON text of `notifications`.
    fn item_update(&self, item: &Item, users: &str) -> JsonObjectWriter {
        let device = item.device_id.get().and_then(|device| self.devices.get(device));
        let mut told = JsonObjectWriter::with_room(ROOM);
        told.text("_id", item.id.as_str());
        told.field("deviceId", &item.device_id, |told, name, device| told.text(name, device.as_str()));
        told.text("deviceName", device.and_then(|device| device.name.as_deref()).unwrap_or_default());
        let category = device.and_then(|device| device.category.get());
        told.text("deviceCategory", category.map_or("", |category| category.as_str()));
        told.text("deviceSubcategory", device.and_then(|device| device.subcategory.as_deref()).unwrap_or_default());
        if let Some(device) = device {
            told.field("deviceArmed", &device.armed, |told, name, armed| told.flag(name, *armed));
        }
        told.text("roomName", self.room_name(device.and_then(Device::room)));
        told.field("name", &item.name, |told, name, text| told.text(name, text));
        told.json("notifications", users);
        told.flag("userNotification", false);
        told.flag("serviceNotification", false);
        told.flag("syncNotification", false);
        told
    }
}

/// Appends the formatted text, the type and the unit of the item's value.
fn type_of(told: &mut JsonObjectWriter, item: &Item) {
    told.field("valueFormatted", &item.value_formatted, |told, name, text| told.text(name, text));
    told.field("valueType", &item.value_type, |told, name, kind| told.text(name, kind.as_str()));
    told.field("scale", &item.scale, |told, name, scale| told.text(name, scale.as_str()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ezlo_protocol::hub::item::ItemUpdate;
    use ezlo_protocol::wire;
    use serde_json::json;

    use crate::world_file::HubKind;

    #[test]
    fn updates_round_trip_through_the_protocol_type() {
        let hub = Hub::bare("90000001", HubKind::Linux, "h2.1", 1, 0);
        let item = wire::from_slice::<Item>(
            br#"{"_id": "i", "deviceId": "d", "name": "user_codes", "value": null, "valueType": "dictionary",
                "valueFormatted": "", "elementType": "userCode", "elementsMaxNumber": 3, "userCodeRestriction": "\\d"}"#,
        );
        let item = item.unwrap();
        let change = ElementChange { operation: "added", key: "1\"", element: &json!(1) };
        for update in [hub.item_update_value(&item), hub.item_update_element(&item, change)] {
            let read: ItemUpdate = wire::from_slice(update.as_str().as_bytes()).unwrap();
            assert!(read.extra.is_empty(), "{update:?}");
            assert_eq!(serde_json::to_string(&read).unwrap(), update.as_str(), "the same members in the same order");
            assert_eq!(
                (read.value.is_null(), read.notifications.is_null()),
                (read.operation.is_absent(), !read.operation.is_absent())
            );
        }
    }
}
