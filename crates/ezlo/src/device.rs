//! Devices of a hub, and access to their items.

use ezlo_protocol::hub::device::Device as DeviceRecord;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::{DeviceId, ItemId};
use serde_json::Value;

use crate::error::Error;
use crate::hub::Hub;
use crate::item::{ItemHandle, ItemWatch, SetItem};

/// A device with its items, as the model showed them when [`Hub::devices`] or [`Hub::device`] was called.
///
/// The fields are a copy and do not follow later changes. [`ItemHandle::now`] and [`ItemHandle::watch`] do.
/// A `Device` holds its [`Hub`] and keeps the session open.
///
/// ```no_run
/// use ezlo::prelude::*;
///
/// # async fn example(hub: &Hub) -> Result<(), Error> {
/// let lamp = hub.device("Kitchen light").await?;
/// for item in &lamp.items {
///     println!("{} = {:?}", item.name.as_deref().unwrap_or("?"), item.value.get());
/// }
/// lamp.item("switch")?.set(true).send_and_confirm().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Device {
    /// The id of the device on its hub.
    pub id: DeviceId,
    /// The record of the device as the hub reports it, such as name, category and room.
    pub record: DeviceRecord,
    /// The items of the device, in the hub's order.
    pub items: Vec<Item>,
    hub: Hub,
}

impl Device {
    /// Returns the name of the device, or an empty string if the hub reports none.
    pub fn name(&self) -> &str {
        self.record.name.as_deref().unwrap_or_default()
    }

    /// Returns a handle of the item with the given name, such as `switch`.
    ///
    /// Reads [`Device::items`]; no network traffic.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the device has no item with this name.
    pub fn item(&self, name: &str) -> Result<ItemHandle, Error> {
        let names = || self.items.iter().filter_map(|item| item.name.as_deref().map(str::to_owned)).collect();
        let found = self.items.iter().find(|item| item.name.as_deref() == Some(name));
        let item = found.ok_or_else(|| Error::NotFound { what: "item", name: name.into(), known: names() })?;
        Ok(ItemHandle::new(self.hub.clone(), item.clone()))
    }
}

impl Hub {
    /// Returns all devices with their items, in the hub's order.
    ///
    /// Reads the local model; no network traffic. Waits up to 60 s until the model is in sync.
    ///
    /// # Errors
    ///
    /// - [`Error::SessionClosed`] if the session is closed.
    /// - [`Error::ConfirmationTimeout`] if the model is not in sync after 60 s.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: only the wait is dropped.
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

    /// Returns the device with the given name, or the first one if several have it.
    ///
    /// Reads the local model; no network traffic. Waits up to 60 s until the model is in sync.
    ///
    /// # Errors
    ///
    /// - [`Error::NotFound`] if no device has this name.
    /// - The errors of [`Hub::devices`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: only the wait is dropped.
    pub async fn device(&self, name: &str) -> Result<Device, Error> {
        let devices = self.devices().await?;
        let known = || devices.iter().map(|device| device.name().to_owned()).collect();
        let found = devices.iter().find(|device| device.name() == name).cloned();
        found.ok_or_else(|| Error::NotFound { what: "device", name: name.into(), known: known() })
    }

    /// Watches the value of an item.
    ///
    /// Follows the local model; no network traffic. The watch holds the hub and keeps the session open.
    pub fn watch(&self, item: &ItemId) -> ItemWatch {
        ItemWatch::new(self.clone(), item.clone())
    }

    /// Sets an item and waits until the hub reports the new value (default timeout of the report: 15 s).
    ///
    /// The same as [`SetItem::send_and_confirm`] with the defaults. The value is in the unit of the item.
    /// Sends one `hub.item.value.set` call. If its outcome is unknown, the model is read again.
    ///
    /// # Errors
    ///
    /// The errors of [`SetItem::send_and_confirm`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the value may be set even if the future is dropped.
    pub async fn set(&self, item: &ItemId, value: Value) -> Result<Item, Error> {
        SetItem::new(self.clone(), item.clone(), value).send_and_confirm().await
    }
}
