//! Items in the hand: read, watched, set.

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
use crate::model::Change;
use crate::sync::{HubEvent, HubEvents, SyncProgress};

/// How long a value may take to be reported. A sleeping radio node needs seconds.
const REPORT_TIME: Duration = Duration::from_secs(15);

/// An item as it was when it was asked for, and the way to it. Reads as the [`Item`] it holds.
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

    /// The item as it is now; `None` when it is gone.
    pub fn now(&self) -> Option<Item> {
        self.hub.snapshot().items.get(&self.item.id).cloned()
    }

    /// Watches its value.
    pub fn watch(&self) -> ItemWatch {
        self.hub.watch(&self.item.id)
    }

    /// A wish for another value. Nothing is sent before it is awaited.
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

/// A wish for another value of an item.
#[derive(Debug, Clone)]
#[must_use = "await sent() or confirmed()"]
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

    /// The value is in that unit.
    pub fn unit(mut self, scale: Scale) -> Self {
        self.scale = Some(scale);
        self
    }

    /// How long the report of the new value may take; 15 seconds when not said.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sends it and waits for the hub's acknowledgement, which says nothing about the device.
    pub async fn send(self) -> Result<(), Error> {
        self.check()?;
        self.send_call().await.map_err(Error::from)
    }

    /// Sends it and waits until the hub reports the new value. The model is not touched before that. When the link was lost
    /// in between, the state after it decides: [`Error::NotApplied`] and [`Error::CannotTell`] say what it says.
    pub async fn send_and_confirm(self) -> Result<Item, Error> {
        self.check()?;
        let in_step = self.hub.progress().borrow().in_sync;
        // What an old model shows proves nothing.
        let before = self.current().filter(|_| in_step);
        let mut events = self.hub.events();
        match self.send_call().await {
            Ok(()) => self.reported(&mut events).await,
            Err(CallError::OutcomeUnknown { .. }) => self.reconciled(&mut events, before.as_ref(), true).await,
            // It may still be waiting at the hub.
            Err(CallError::TimedOut { .. }) => self.reconciled(&mut events, before.as_ref(), false).await,
            Err(error) => Err(error.into()),
        }
    }

    /// The hub's own rule, applied here before anything is sent.
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
        let wish = ItemValueSet {
            scale: self.scale.clone().map_or(Field::Absent, Field::Value),
            ..ItemValueSet::one(self.id.clone(), self.value.clone())
        };
        self.hub.session().call(ItemSet, wish).await.map(drop)
    }

    fn current(&self) -> Option<Item> {
        self.hub.snapshot().items.get(&self.id).cloned()
    }

    /// Whether the item has the value now. Items that cannot be read never show it; the acknowledgement must do.
    fn has_value(&self, item: &Item) -> bool {
        let wanted = self.in_items_scale(item).unwrap_or_else(|_| self.value.clone());
        item.has_getter.get() == Some(&false) || item.value.get().is_some_and(|value| same(value, &wanted))
    }

    /// Waits for the report. The value may be another one again when somebody else writes too: it is enough that it was seen
    /// passing by.
    async fn reported(&self, events: &mut HubEvents) -> Result<Item, Error> {
        let mut progress = self.hub.progress();
        let waiting = async {
            loop {
                // A model that is out of step may show what was before the gap.
                let in_step = progress.borrow_and_update().in_sync;
                if in_step {
                    match self.current() {
                        Some(item) if self.has_value(&item) => return Ok(item),
                        None => return Err(Error::Removed(self.id.to_string())),
                        Some(_) => {}
                    }
                }
                // Events are told before the model counts as in step: what they led to is seen by either.
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

    /// The item as it was when that change was told, when it had the value then.
    fn passed_by(&self, change: &Change) -> Option<Item> {
        let Change::ItemChanged { id, after, .. } = change else { return None };
        let mut item = self.current().filter(|_| *id == self.id)?;
        item.value = Field::Value(after.clone());
        self.has_value(&item).then_some(item)
    }

    /// What the state after the gap says, read after the gap: it has the value and had not before, it has the value of before
    /// and keeps it, or neither.
    async fn reconciled(&self, events: &mut HubEvents, before: Option<&Item>, link_lost: bool) -> Result<Item, Error> {
        let unknown = || Error::OutcomeUnknown { what: format!("setting {}", self.id) };
        let mut progress = self.hub.progress();
        let wish = self.hub.resync();
        let is_read = async {
            let read = progress.wait_for(|progress| progress.closed || progress.in_sync && progress.answered >= wish);
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
        // A device may be slow, and the hub too: as long as a report may take, this one may still come.
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

/// Equal as readings go: hubs round, and devices report the parts of a colour too that were not asked for.
fn same(shown: &Value, wanted: &Value) -> bool {
    if let (Some(shown), Some(wanted)) = (shown.as_object(), wanted.as_object()) {
        return wanted.iter().all(|(name, part)| shown.get(name).is_some_and(|value| same(value, part)));
    }
    match (shown.as_f64(), wanted.as_f64()) {
        (Some(shown), Some(wanted)) => (shown - wanted).abs() <= 1e-4 * shown.abs().max(wanted.abs()).max(1.0),
        _ => shown == wanted,
    }
}

/// The value of an item as it changes. Only the newest counts: values in between may be missed, none is shown twice.
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

    /// The value now; `None` while it is not known, or when the item is gone.
    pub fn value(&self) -> Option<Value> {
        self.hub.snapshot().items.get(&self.id)?.value.get().cloned()
    }

    /// Waits for a value other than the last one that was returned here; the first call returns the value as it is. `None`
    /// when the session is over.
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
