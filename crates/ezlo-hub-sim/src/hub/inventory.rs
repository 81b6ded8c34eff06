//! The devices of a hub with their items, for people and tests that look at a house.

use serde::Serialize;
use serde_json::Value;

use crate::hub::Hub;
use crate::item_codes::holds_codes;

/// A device with its items.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeviceSummary {
    /// Id of the device.
    pub id: String,
    /// Name of the device.
    pub name: String,
    /// Name of its room; empty without one.
    pub room: String,
    /// Category, such as `switch`.
    pub category: String,
    /// `false` if the device does not answer.
    pub reachable: bool,
    /// `true` if the device is armed.
    pub armed: bool,
    /// Items of the device.
    pub items: Vec<ItemSummary>,
}

/// An item of a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ItemSummary {
    /// Id of the item.
    pub id: String,
    /// Name of the item, such as `switch`.
    pub name: String,
    /// Type of the value, such as `bool`.
    pub value_type: String,
    /// Value. User codes of locks are masked.
    pub value: Value,
    /// Unit of the value, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    /// `true` if clients can set the item.
    pub has_setter: bool,
}

impl Hub {
    /// Returns the devices with their rooms and items, in the order of `hub.devices.list`. Reads the local state.
    pub fn inventory(&self) -> Vec<DeviceSummary> {
        let device = |device: &ezlo_protocol::hub::device::Device| {
            let id = device.id()?;
            Some(DeviceSummary {
                id: id.to_string(),
                name: device.name.as_deref().unwrap_or_default().to_owned(),
                room: self.room_name(device.room_id.get()).to_owned(),
                category: device.category.get().map(|category| category.as_str().to_owned()).unwrap_or_default(),
                reachable: device.reachable.get() != Some(&false),
                armed: device.armed.get() == Some(&true),
                items: self.items_of(id).map(item).collect(),
            })
        };
        self.devices.values().filter_map(device).collect()
    }
}

fn item(item: &ezlo_protocol::hub::item::Item) -> ItemSummary {
    let name = item.name.as_deref().unwrap_or_default().to_owned();
    let value = item.value.get().cloned().unwrap_or(Value::Null);
    let value = if holds_codes(item) && !value.is_null() { Value::from("***") } else { value };
    ItemSummary {
        id: item.id.to_string(),
        value_type: item.value_type.get().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        scale: item.scale.get().map(|scale| scale.as_str().to_owned()),
        has_setter: item.has_setter.get() == Some(&true),
        name,
        value,
    }
}
