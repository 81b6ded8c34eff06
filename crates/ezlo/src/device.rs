//! Devices of a hub, and shortcuts to their items.

use ezlo_protocol::hub::device::Device as DeviceRecord;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::{DeviceId, ItemId};
use serde_json::Value;

use crate::error::Error;
use crate::hub::Hub;
use crate::item::{ItemHandle, ItemWatch, SetItem};

/// A device with its items, as they were when it was asked for.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What the hub says of it.
    pub record: DeviceRecord,
    /// What it can be asked and told.
    pub items: Vec<Item>,
    hub: Hub,
}

impl Device {
    /// Its name; empty when the hub gives none.
    pub fn name(&self) -> &str {
        self.record.name.as_deref().unwrap_or_default()
    }

    /// The item of that name, such as `switch`.
    pub fn item(&self, name: &str) -> Result<ItemHandle, Error> {
        let names = || self.items.iter().filter_map(|item| item.name.as_deref().map(str::to_owned)).collect();
        let found = self.items.iter().find(|item| item.name.as_deref() == Some(name));
        let item = found.ok_or_else(|| Error::NotFound { what: "item", name: name.into(), known: names() })?;
        Ok(ItemHandle::new(self.hub.clone(), item.clone()))
    }
}

impl Hub {
    /// All devices with their items, from the model.
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        self.synced().await?;
        let model = self.snapshot();
        let device = |(id, record): (&DeviceId, &DeviceRecord)| Device {
            id: id.clone(),
            record: record.clone(),
            items: model.items_of(id).cloned().collect(),
            hub: self.clone(),
        };
        Ok(model.devices.iter().map(device).collect())
    }

    /// The device of that name; the first where several have it.
    pub async fn device(&self, name: &str) -> Result<Device, Error> {
        let devices = self.devices().await?;
        let known = || devices.iter().map(|device| device.name().to_owned()).collect();
        let found = devices.iter().find(|device| device.name() == name).cloned();
        found.ok_or_else(|| Error::NotFound { what: "device", name: name.into(), known: known() })
    }

    /// Watches an item's value.
    pub fn watch(&self, item: &ItemId) -> ItemWatch {
        ItemWatch::new(self.clone(), item.clone())
    }

    /// Sets an item and waits until the hub reports the new value.
    pub async fn set(&self, item: &ItemId, value: Value) -> Result<Item, Error> {
        SetItem::new(self.clone(), item.clone(), value).send_and_confirm().await
    }
}
