//! Items: reading, watching and setting their values.

use std::ops::Deref;
use std::time::Duration;

use ezlo_protocol::hub::ItemId;
use ezlo_protocol::hub::item::{Item, ItemValueSet};
use ezlo_protocol::hub::method::ItemSet;
use ezlo_protocol::hub::value::{Scale, refusal};
use ezlo_protocol::wire::Field;
use ezlo_relay::CallError;
use serde_json::Value;
use tokio::sync::watch;

use crate::error::Error;
use crate::hub::Hub;
use crate::hub_event::{HubEvent, HubEvents};
use crate::model::Change;
use crate::sync::SyncProgress;

/// Default time allowed for the report of a value. A sleeping radio node needs seconds.
const REPORT_TIME: Duration = Duration::from_secs(15);

/// A handle of an item: its state at the time of [`Device::item`](crate::Device::item), and access to the live item.
///
/// Dereferences to that [`Item`], which does not change. [`ItemHandle::now`] reads the current state. The handle holds its
/// [`Hub`] and keeps the session open.
///
/// ```no_run
/// use std::time::Duration;
///
/// use ezlo::prelude::*;
///
/// # async fn example(hub: &Hub) -> Result<(), Error> {
/// let setpoint = hub.device("Thermostat").await?.item("thermostat_setpoint")?;
/// println!("{:?}", setpoint.value.get());
/// let set = setpoint.set(70.0).unit(Scale::Fahrenheit).timeout(Duration::from_secs(30));
/// match set.send_and_confirm().await {
///     Ok(item) => println!("reported: {:?}", item.value.get()),
///     // The call had no effect: a retry is safe.
///     Err(Error::NotApplied { .. }) => println!("not applied"),
///     // The call may have taken effect: read the state before a retry.
///     Err(Error::OutcomeUnknown { .. }) => println!("unknown"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ItemHandle {
    hub: Hub,
    item: Item,
}

impl Deref for ItemHandle {
    type Target = Item;

    fn deref(&self) -> &Item {
        &self.item
    }
}

impl ItemHandle {
    pub(crate) const fn new(hub: Hub, item: Item) -> Self {
        Self { hub, item }
    }

    /// Returns the current state of the item, or `None` if it was removed.
    ///
    /// Reads the local model; no network traffic. While disconnected, this is the last known state.
    pub fn now(&self) -> Option<Item> {
        self.hub.snapshot().items.get(&self.item.id).cloned()
    }

    /// Watches the value of the item. Follows the local model; no network traffic.
    pub fn watch(&self) -> ItemWatch {
        self.hub.watch(&self.item.id)
    }

    /// Prepares a new value for the item. Nothing is sent until [`SetItem::send`] or [`SetItem::send_and_confirm`] is awaited.
    pub fn set(&self, value: impl Into<Value>) -> SetItem {
        SetItem {
            hub: self.hub.clone(),
            id: self.item.id.clone(),
            value: value.into(),
            scale: None,
            limit: REPORT_TIME,
        }
    }
}

/// A new value for an item, not sent yet. Made by [`ItemHandle::set`].
#[derive(Debug, Clone)]
#[must_use = "await send() or send_and_confirm()"]
pub struct SetItem {
    hub: Hub,
    id: ItemId,
    value: Value,
    scale: Option<Scale>,
    limit: Duration,
}

impl SetItem {
    pub(crate) fn new(hub: Hub, id: ItemId, value: Value) -> Self {
        Self { hub, id, value, scale: None, limit: REPORT_TIME }
    }

    /// Sets the unit of the value (default: the unit of the item).
    pub fn unit(mut self, scale: Scale) -> Self {
        self.scale = Some(scale);
        self
    }

    /// Sets the time allowed for the report of the new value (default: 15 s).
    ///
    /// It does not limit the call itself (default: 20 s, `SessionConfig::call_timeout`).
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sends the value and waits until the hub accepts the call. This does not mean that the device has the value.
    ///
    /// Sends one `hub.item.value.set` call (default timeout: 20 s).
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidValue`] if the value does not fit the item in the model; nothing was sent.
    /// - [`Error::Call`] if the call is refused, cannot be sent or times out, or with [`CallError::OutcomeUnknown`] if the
    ///   connection is lost.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the value may be set even if the future is dropped.
    pub async fn send(self) -> Result<(), Error> {
        self.check()?;
        self.send_call().await.map_err(Error::from)
    }

    /// Sends the value and waits until the hub reports it. Returns the reported item.
    ///
    /// Sends one `hub.item.value.set` call (default timeout: 20 s), then waits for the report (default: 15 s). An item
    /// without a getter counts as confirmed when the hub accepts the call. The model changes only when the hub reports the
    /// value.
    ///
    /// If the connection is lost or the call times out, the model is read again and the state decides. The read and the wait
    /// for a late report have the timeout of the report each.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidValue`] if the value does not fit the item in the model; nothing was sent.
    /// - [`Error::Call`] if the call is refused or cannot be sent.
    /// - [`Error::ConfirmationTimeout`] if the hub accepts the call but does not report the value in time.
    /// - [`Error::NotApplied`] if the connection was lost and the hub still reports the old value.
    /// - [`Error::OutcomeUnknown`] if the state does not prove the outcome, or if the session is closed.
    /// - [`Error::Removed`] if the item was removed.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the value may be set even if the future is dropped.
    pub async fn send_and_confirm(self) -> Result<Item, Error> {
        self.check()?;
        let in_sync = self.hub.progress().borrow().in_sync;
        // A value from a model that is out of sync proves nothing.
        let before = self.current().filter(|_| in_sync);
        let mut events = self.hub.events();
        match self.send_call().await {
            Ok(()) => self.reported(&mut events).await,
            Err(CallError::OutcomeUnknown { .. }) => self.reconciled(&mut events, before.as_ref(), true).await,
            // The hub may still execute the call.
            Err(CallError::TimedOut { .. }) => self.reconciled(&mut events, before.as_ref(), false).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Applies the rule of the hub locally, before anything is sent. An item that is not in the model is not checked.
    fn check(&self) -> Result<(), Error> {
        let model = self.hub.snapshot();
        let Some(item) = model.items.get(&self.id) else { return Ok(()) };
        let wanted =
            self.in_items_scale(item).map_err(|error| Error::InvalidValue { item: self.id.to_string(), error })?;
        item.check(&wanted)
            .map_err(|error| Error::InvalidValue { item: self.id.to_string(), error: refusal(item, error) })
    }

    fn in_items_scale(&self, item: &Item) -> Result<Value, ezlo_protocol::rpc::RpcError> {
        let (Some(from), Some(to)) = (&self.scale, item.scale.get()) else { return Ok(self.value.clone()) };
        let number = self.value.as_f64().and_then(|number| from.convert(number, to));
        number.map(Value::from).ok_or_else(|| refusal(item, ezlo_protocol::hub::value::ValueError::Scale))
    }

    async fn send_call(&self) -> Result<(), CallError> {
        let request = ItemValueSet {
            scale: self.scale.clone().map_or(Field::Absent, Field::Value),
            ..ItemValueSet::one(self.id.clone(), self.value.clone())
        };
        self.hub.session().call(ItemSet, request).await.map(drop)
    }

    fn current(&self) -> Option<Item> {
        self.hub.snapshot().items.get(&self.id).cloned()
    }

    /// Returns true if the item has the value. An item without a getter never reports it, so the reply of the hub counts.
    fn has_value(&self, item: &Item) -> bool {
        let wanted = self.in_items_scale(item).unwrap_or_else(|_| self.value.clone());
        item.has_getter.get() == Some(&false) || item.value.get().is_some_and(|value| same(value, &wanted))
    }

    /// Waits for the report. Another client can overwrite the value at once, so one event with the value is enough.
    async fn reported(&self, events: &mut HubEvents) -> Result<Item, Error> {
        let mut progress = self.hub.progress();
        let waiting = async {
            loop {
                // A model that is out of sync can show the state before the gap.
                let in_sync = progress.borrow_and_update().in_sync;
                if in_sync {
                    match self.current() {
                        Some(item) if self.has_value(&item) => return Ok(item),
                        None => return Err(Error::Removed(self.id.to_string())),
                        Some(_) => {}
                    }
                }
                // Events are published before the model counts as in sync, so one of the two always shows the change.
                let event = tokio::select! {
                    event = events.next() => event,
                    changed = progress.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => None,
                    },
                };
                match event {
                    Some(HubEvent::Changed(change)) => {
                        if let Some(item) = self.passed_by(&change) {
                            return Ok(item);
                        }
                    }
                    Some(HubEvent::Closed(_)) | None => {
                        return Err(Error::OutcomeUnknown { what: format!("setting {}", self.id) });
                    }
                    Some(_) => {}
                }
            }
        };
        let late = |_| Error::ConfirmationTimeout { what: format!("the value of {}", self.id), limit: self.limit };
        tokio::time::timeout(self.limit, waiting).await.map_err(late)?
    }

    /// Returns the item as the change shows it, if it had the value then.
    fn passed_by(&self, change: &Change) -> Option<Item> {
        let Change::ItemChanged { id, after, .. } = change else { return None };
        let mut item = self.current().filter(|_| *id == self.id)?;
        item.value = Field::Value(after.clone());
        self.has_value(&item).then_some(item)
    }

    /// Decides the outcome of a call by the state that is read after the gap. The value proves success only if the item did not
    /// have it before. The old value proves failure only if the connection was lost and the value stays unchanged.
    async fn reconciled(&self, events: &mut HubEvents, before: Option<&Item>, link_lost: bool) -> Result<Item, Error> {
        let unknown = || Error::OutcomeUnknown { what: format!("setting {}", self.id) };
        let mut progress = self.hub.progress();
        let request = self.hub.resync();
        let is_read = async {
            let read =
                progress.wait_for(|progress| progress.closed || progress.in_sync && progress.answered >= request);
            read.await.is_ok_and(|progress| !progress.closed)
        };
        if !tokio::time::timeout(self.limit, is_read).await.unwrap_or(false) {
            return Err(unknown());
        }
        let Some(before) = before else { return Err(unknown()) };
        let Some(item) = self.current() else { return Err(Error::Removed(self.id.to_string())) };
        match (self.has_value(&item), self.has_value(before)) {
            (true, false) => return Ok(item),
            (true, true) => return Err(unknown()),
            (false, _) => {}
        }
        // The device or the hub can be slow: the report may still arrive within its timeout.
        match self.reported(events).await {
            Ok(item) => Ok(item),
            Err(Error::ConfirmationTimeout { .. })
                if link_lost && self.current().is_some_and(|now| now.value == before.value) =>
            {
                Err(Error::NotApplied { what: format!("setting {}", self.id) })
            }
            Err(Error::ConfirmationTimeout { .. }) => Err(unknown()),
            Err(error) => Err(error),
        }
    }
}

/// Compares values as readings: hubs round numbers, and devices report parts of a colour that were not set.
fn same(shown: &Value, wanted: &Value) -> bool {
    if let (Some(shown), Some(wanted)) = (shown.as_object(), wanted.as_object()) {
        return wanted.iter().all(|(name, part)| shown.get(name).is_some_and(|value| same(value, part)));
    }
    match (shown.as_f64(), wanted.as_f64()) {
        (Some(shown), Some(wanted)) => (shown - wanted).abs() <= 1e-4 * shown.abs().max(wanted.abs()).max(1.0),
        _ => shown == wanted,
    }
}

/// A watch of the value of an item. Made by [`ItemHandle::watch`] or [`Hub::watch`].
///
/// Only the newest value counts: values in between can be skipped, and no value is returned twice in a row. The watch holds its
/// [`Hub`] and keeps the session open.
#[derive(Debug)]
pub struct ItemWatch {
    hub: Hub,
    id: ItemId,
    progress: watch::Receiver<SyncProgress>,
    seen: Option<Value>,
}

impl ItemWatch {
    pub(crate) fn new(hub: Hub, id: ItemId) -> Self {
        let progress = hub.progress();
        Self { hub, id, progress, seen: None }
    }

    /// Returns the current value, or `None` if it is not known or the item was removed.
    ///
    /// Reads the local model; no network traffic.
    pub fn value(&self) -> Option<Value> {
        self.hub.snapshot().items.get(&self.id)?.value.get().cloned()
    }

    /// Waits for a value that differs from the last one returned here. The first call returns the current value, if it is
    /// known.
    ///
    /// Follows the local model; no network traffic. Waits without a limit, also while disconnected and after the item was
    /// removed. Returns `None` when the session is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no value is lost.
    pub async fn changed(&mut self) -> Option<Value> {
        loop {
            self.progress.mark_unchanged();
            let now = self.value();
            if now.is_some() && now != self.seen {
                self.seen.clone_from(&now);
                return now;
            }
            if self.progress.borrow().closed || self.progress.changed().await.is_err() {
                return None;
            }
        }
    }
}
