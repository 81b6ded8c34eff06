//! What everybody is told of an item: an [`ItemUpdate`](ezlo_protocol::hub::item::ItemUpdate), written straight from the
//! hub's state. It is the most frequent message of all.

use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::value::{Scale, ValueType};
use ezlo_protocol::hub::{DeviceId, ItemId};
use ezlo_protocol::wire::Field;
use serde::Serialize;
use serde_json::Value;

use super::Hub;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'a> {
    #[serde(rename = "_id")]
    id: &'a ItemId,
    #[serde(skip_serializing_if = "is_absent")]
    device_id: &'a Field<DeviceId>,
    device_name: &'a str,
    device_category: &'a str,
    device_subcategory: &'a str,
    #[serde(skip_serializing_if = "Field::is_absent")]
    device_armed: Field<bool>,
    room_name: &'a str,
    #[serde(skip_serializing_if = "is_absent")]
    name: &'a Field<String>,
    /// Users: null = all.
    notifications: Option<[u8; 0]>,
    user_notification: bool,
    service_notification: bool,
    sync_notification: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a Field<Value>>,
    #[serde(skip_serializing_if = "is_absent")]
    value_formatted: &'a Field<String>,
    #[serde(skip_serializing_if = "is_absent")]
    value_type: &'a Field<ValueType>,
    #[serde(skip_serializing_if = "is_absent")]
    scale: &'a Field<Scale>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    change: Option<ElementTold<'a>>,
}

/// What is told of a dictionary besides.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ElementTold<'a> {
    pub(super) operation: &'a str,
    pub(super) element: Value,
    #[serde(skip_serializing_if = "is_absent")]
    pub(super) element_type: &'a Field<String>,
    #[serde(skip_serializing_if = "is_absent")]
    pub(super) elements_max_number: &'a Field<i64>,
    #[serde(skip_serializing_if = "is_absent")]
    pub(super) user_code_restriction: &'a Field<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_absent<T>(field: &&Field<T>) -> bool {
    field.is_absent()
}

impl Hub {
    /// What is told of an item that has not changed its value.
    pub(super) fn told_of<'a>(&'a self, item: &'a Item) -> Told<'a> {
        let device = item.device_id.get().and_then(|device| self.devices.get(device));
        Told {
            id: &item.id,
            device_id: &item.device_id,
            device_name: device.and_then(|device| device.name.as_deref()).unwrap_or_default(),
            device_category: device.and_then(|device| device.category.get()).map_or("", |category| category.as_str()),
            device_subcategory: device.and_then(|device| device.subcategory.as_deref()).unwrap_or_default(),
            device_armed: device.map_or(Field::Absent, |device| device.armed),
            room_name: self.room_name(device.and_then(Device::room)),
            name: &item.name,
            notifications: Some([]),
            user_notification: false,
            service_notification: false,
            sync_notification: false,
            value: None,
            value_formatted: &item.value_formatted,
            value_type: &item.value_type,
            scale: &item.scale,
            change: None,
        }
    }
}

impl<'a> Told<'a> {
    /// Of an element of a dictionary; everybody may be told, as in the capture.
    pub(super) fn with_element(self, element: ElementTold<'a>) -> Self {
        Self { change: Some(element), notifications: None, ..self }
    }

    /// With its value: text and type go together with it, for a public client overwrites all three with whatever is there.
    pub(super) fn with_value(self, item: &'a Item) -> Self {
        let value = (!item.value.is_absent()).then_some(&item.value);
        Self { value, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ezlo_protocol::hub::item::ItemUpdate;
    use ezlo_protocol::wire;
    use serde_json::json;

    use crate::world::file::HubKind;

    #[test]
    fn it_is_the_document_of_the_protocol() {
        let hub = Hub::bare("90000001", HubKind::Linux, "h2.1", 1, 0);
        let item = wire::from_slice::<Item>(
            br#"{"_id": "i", "deviceId": "d", "name": "user_codes", "value": null, "valueType": "dictionary",
                "valueFormatted": "", "elementType": "userCode", "elementsMaxNumber": 3}"#,
        );
        let item = item.unwrap();
        let change = ElementTold {
            operation: "added",
            element: json!({"1": {"value": 1}}),
            element_type: &item.element_type,
            elements_max_number: &item.elements_max_number,
            user_code_restriction: &item.user_code_restriction,
        };
        let told = hub.told_of(&item).with_value(&item).with_element(change);
        let text = serde_json::to_string(&told).unwrap();
        let read: ItemUpdate = wire::from_slice(text.as_bytes()).unwrap();
        assert!(read.extra.is_empty(), "{text}");
        assert_eq!(serde_json::to_string(&read).unwrap(), text, "the same members in the same order");
        assert_eq!((read.value.is_null(), read.notifications.is_null(), read.scale.is_absent()), (true, true, true));
    }
}
