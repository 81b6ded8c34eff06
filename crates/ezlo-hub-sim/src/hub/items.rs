//! Methods that list items and set their values.

use ezlo_protocol::error::code;
use ezlo_protocol::hub::item::{Item, ItemList, ItemQuery, ItemValueSet};
use ezlo_protocol::hub::value::{Scale, Shape, ValueError, ValueType, refusal};
use ezlo_protocol::hub::{Empty, ItemId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use serde_json::{Value, json};

use super::alarm::may_alarm;
use super::dictionary::Edit;
use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::{BUS_LIMIT, Hub};
use crate::state::scene_events::Event;

impl Hub {
    /// Lists the items of all devices or of the given ones. An unknown device has no items and is no error.
    pub(crate) fn items_list(&self, query: ItemQuery, _: &Context<'_>) -> Answer<ItemList> {
        let wanted = |item: &&Item| {
            let device = item.device_id.get();
            query.device_ids.get().is_none_or(|devices| device.is_some_and(|device| devices.contains(device)))
        };
        Ok(ItemList { items: self.items.values().filter(wanted).cloned().collect(), ..ItemList::default() })
    }

    /// Sets values. All are checked before the first is set, so a refusal changes nothing.
    pub(crate) fn item_set(&mut self, request: ItemValueSet, context: &mut Context<'_>) -> Answer<Empty> {
        let requested_values = requested_values(request);
        if self.family.never_refuses_values {
            // Values that cannot be set are ignored without an error (EzloPi firmware source).
            for (id, value, scale) in requested_values.unwrap_or_default() {
                let change = self.checked_change(&id, value, scale.as_ref());
                if let Some(change) = change.ok().filter(|change| self.keeps_distance(&id, change)) {
                    self.apply_change(&id, change, context);
                }
            }
            return done();
        }
        let changes = requested_values?.into_iter().map(|(id, value, scale)| {
            let change = self.checked_change(&id, value, scale.as_ref())?;
            Ok((id, change))
        });
        let changes = changes.collect::<Answer<Vec<_>>>()?;
        let together: Vec<(ItemId, Value)> = changes
            .iter()
            .filter_map(|(id, change)| match change {
                Change::Value(value) => Some((id.clone(), value.clone())),
                Change::Elements(_) => None,
            })
            .collect();
        for (id, value) in &together {
            self.check_neighbours(id, value, &together)?;
        }
        for (id, change) in changes {
            self.apply_change(&id, change, context);
        }
        done()
    }

    /// Checks a requested value. Elements of a dictionary are set one by one, the others stay.
    fn checked_change(&self, id: &ItemId, value: Value, scale: Option<&Scale>) -> Answer<Change> {
        match value {
            Value::Object(elements) if self.is_dictionary(id) => {
                self.checked_elements(id, elements).map(Change::Elements)
            }
            value => self.typed(id, value, scale).map(Change::Value),
        }
    }

    fn keeps_distance(&self, id: &ItemId, change: &Change) -> bool {
        match change {
            Change::Value(value) => self.check_neighbours(id, value, &[]).is_ok(),
            Change::Elements(_) => true,
        }
    }

    fn apply_change(&mut self, id: &ItemId, change: Change, context: &mut Context<'_>) {
        match change {
            Change::Value(value) => self.set_value(id, value, context),
            Change::Elements(edits) => self.edit_by_client(id, edits, context),
        }
    }

    /// Returns a value in the form that the item stores, or the hub's refusal. Used by calls and scenes.
    pub(crate) fn accepted(&self, id: &ItemId, value: Value, scale: Option<&Scale>) -> Answer<Value> {
        let value = self.typed(id, value, scale)?;
        self.check_neighbours(id, &value, &[])?;
        Ok(value)
    }

    /// Checks the distance to other items (`valueIndent`) as they will be once all values of the call are set.
    fn check_neighbours(&self, id: &ItemId, value: &Value, together: &[(ItemId, Value)]) -> Answer<()> {
        let Some(item) = self.items.get(id) else { return Ok(()) };
        let other = |id: &str| {
            let new = together.iter().find(|(item, _)| item.as_str() == id).and_then(|(_, value)| value.as_f64());
            let now = self.items.get(id)?.value.get()?.as_f64()?;
            Some((now, new.unwrap_or(now)))
        };
        item.check_indent(value, other).map_err(|error| refusal(item, error))
    }

    /// Converts and checks a value, except for its distance to other items.
    fn typed(&self, id: &ItemId, value: Value, scale: Option<&Scale>) -> Answer<Value> {
        let item = self.items.get(id).ok_or_else(|| not_found("generic.object.not.found"))?;
        let may_be_long = value.is_string() || value.is_array() || value.is_object();
        if may_be_long && value.to_string().len() > BUS_LIMIT {
            return Err(RpcError::new(code::INVALID_PARAMS, "rpc.params.invalid", "Bus message is too long"));
        }
        if let Some(refusal) = text_instead_of_structure(item, &value) {
            return Err(refusal);
        }
        let mut value = whole_color(item, soften(item, value));
        if let Some(scale) = scale.filter(|scale| item.scale.get() != Some(scale)) {
            value = converted(item, &value, scale).ok_or_else(|| refusal(item, ValueError::Scale))?;
        }
        item.check(&value).map_err(|error| refusal(item, error))?;
        if item.device_id.get().is_some_and(|device| !self.answers(device)) {
            return Err(RpcError::known("ezlo.gateway.send.error"));
        }
        Ok(value)
    }

    /// Sets a checked value, broadcasts it and applies its consequences. Used by calls, scenes and behaviours.
    pub(crate) fn set_value(&mut self, id: &ItemId, value: Value, context: &mut Context<'_>) {
        let Some(item) = self.items.get_mut(id) else { return };
        if self.family.formatted_values {
            item.value_formatted = item.value_type.get().map(|kind| kind.format(&value)).unwrap_or_default().into();
        }
        let before = std::mem::replace(&mut item.value, value.clone().into()).into_option().unwrap_or(Value::Null);
        let is_code = item.name.as_deref() == Some("user_lock_operation");
        let name = item.name.as_deref().filter(|name| may_alarm(name));
        let watched = name.and_then(|name| Some((name.to_owned(), item.device_id.get()?.clone())));
        self.report_change(id, &before, &value, context);
        self.broadcast_item(id, context);
        self.send_changed_codes(id, &before, context);
        if !self.scenes.is_empty() {
            self.events.push_back(Event::Item { item: id.clone(), before, after: value.clone() });
        }
        self.follow(id, context);
        if is_code {
            self.notify_of_code(id, &value, context);
        }
        if let Some((name, device)) = watched {
            self.watch_for_alarm(&device, &name, &value, context);
        }
    }

    fn broadcast_item(&self, id: &ItemId, context: &mut Context<'_>) {
        let Some(item) = self.items.get(id) else { return };
        context.broadcast_raw("hub.item.updated", self.item_update_value(item));
    }

    /// Returns the item of the same device with this name.
    pub(crate) fn sibling(&self, id: &ItemId, name: &str) -> Option<&Item> {
        let device = self.items.get(id)?.device_id.get()?;
        self.items_of(device).find(|item| item.name.as_deref() == Some(name))
    }
}

/// A checked change of an item.
enum Change {
    Value(Value),
    /// Elements of a dictionary.
    Elements(Vec<Edit>),
}

/// An item, the requested value and its unit.
type RequestedValue = (ItemId, Value, Option<Scale>);

/// Returns the three forms of `hub.item.value.set` as one list.
fn requested_values(request: ItemValueSet) -> Answer<Vec<RequestedValue>> {
    if let Some(items) = request.items.get() {
        let one = |(id, entry): (&String, &Value)| {
            let value = entry.get("value").cloned().ok_or_else(|| missing("value"))?;
            Ok((ItemId::from(id.as_str()), value, entry["scale"].as_str().map(Scale::from)))
        };
        return items.iter().map(one).collect();
    }
    let value = |value| match value {
        Field::Absent => Err(missing("value")),
        Field::Null => Ok(Value::Null),
        Field::Value(value) => Ok(value),
    };
    let scale = request.scale.into_option();
    match (request.id.into_option(), request.ids.into_option()) {
        (Some(id), _) => Ok(vec![(id, value(request.value)?, scale)]),
        (None, Some(ids)) => {
            let value = value(request.value)?;
            Ok(ids.into_iter().map(|id| (id, value.clone(), scale.clone())).collect())
        }
        (None, None) => Err(missing("_id")),
    }
}

/// Converts values of other types that clients send and hubs accept: 0 and 1 for bool (users, over HTTP), bool for actions of
/// type int (bridge).
fn soften(item: &Item, value: Value) -> Value {
    let shape = item.value_type.get().map_or(Shape::Unknown, ValueType::shape);
    match (shape, &value) {
        (Shape::Bool, Value::Number(number)) if matches!(number.as_u64(), Some(0 | 1)) => {
            json!(number.as_u64() == Some(1))
        }
        (Shape::Integer, Value::Bool(flag)) => json!(i32::from(*flag)),
        _ => value,
    }
}

/// Returns whether an action of a scene can set a value of this type.
pub(crate) fn is_accepted(item: &Item, value: &Value) -> bool {
    text_instead_of_structure(item, value).is_none()
        && item.check(&whole_color(item, soften(item, value.clone()))).is_ok()
}

/// Returns the refusal of a structured value that was sent as JSON text (users, with the answer of a real hub).
fn text_instead_of_structure(item: &Item, value: &Value) -> Option<RpcError> {
    let kind = item.value_type.get().filter(|kind| matches!(kind.shape(), Shape::Object | Shape::Array))?;
    let text = value.as_str()?;
    let mut error = RpcError::known("rpc.params.wrong_field");
    error.reason = format!("Unexpected Json format for value type '{}': {}", kind.as_str(), json!(text)).into();
    Some(error)
}

/// Adds the components of a colour that the request omits; a device does not change them.
fn whole_color(item: &Item, value: Value) -> Value {
    match (item.value_type.get(), &value, item.value.get()) {
        (Some(ValueType::Rgb), Value::Object(named), Some(Value::Object(now))) => {
            Value::Object(now.iter().chain(named).map(|(name, level)| (name.clone(), level.clone())).collect())
        }
        _ => value,
    }
}

/// Converts a number to the item's unit, rounded to six decimal places; `None` if the units do not match.
fn converted(item: &Item, value: &Value, scale: &Scale) -> Option<Value> {
    let number = scale.convert(value.as_f64()?, item.scale.get()?)?;
    Some(json!((number * 1e6).round() / 1e6))
}
