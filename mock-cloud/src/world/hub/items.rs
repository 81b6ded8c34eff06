//! Items: reading and setting values.

use ezlo_protocol::error::code;
use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::item::{DictionaryChange, Element, Item, ItemList, ItemQuery, ItemUpdate, ItemValueSet};
use ezlo_protocol::hub::value::{Scale, ValueError, ValueType};
use ezlo_protocol::hub::{Empty, ItemId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use serde_json::{Map, Value, json};

use super::dispatch::{Answer, done, missing, not_found};
use super::{Context, Hub};

/// The hub's internal bus takes no longer value (hub reference, section 6), in bytes of JSON.
const BUS_LIMIT: usize = 100 * 1024;

impl Hub {
    /// Items of all devices, or of those that are named. An unknown device has none; that is no error.
    pub(super) fn items_list(&self, query: ItemQuery, _: &Context<'_>) -> Answer<ItemList> {
        let wanted = |item: &&Item| {
            let device = item.device_id.get();
            query.device_ids.get().is_none_or(|devices| device.is_some_and(|device| devices.contains(device)))
        };
        Ok(ItemList { items: self.items.values().filter(wanted).cloned().collect(), ..ItemList::default() })
    }

    /// All values are checked before the first is set, so a refusal changes nothing.
    pub(super) fn item_set(&mut self, wish: ItemValueSet, context: &mut Context<'_>) -> Answer<Empty> {
        let mut wishes = wishes(&wish)?;
        for (id, value, _) in &mut wishes {
            self.soften(id, value);
        }
        for (id, value, scale) in &wishes {
            self.check_item(id, value, scale.as_ref())?;
        }
        for (id, value, _) in wishes {
            self.set_value(&id, value, context);
        }
        done()
    }

    /// A bool item takes 0 and 1 too (users, over HTTP).
    fn soften(&self, id: &ItemId, value: &mut Value) {
        let is_bool = self.items.get(id).is_some_and(|item| item.value_type.get() == Some(&ValueType::Bool));
        if let Some(number @ (0 | 1)) = value.as_u64().filter(|_| is_bool) {
            *value = (number == 1).into();
        }
    }

    fn check_item(&self, id: &ItemId, value: &Value, scale: Option<&Scale>) -> Answer<()> {
        let item = self.items.get(id).ok_or_else(|| not_found("generic.object.not.found"))?;
        if value.to_string().len() > BUS_LIMIT {
            return Err(RpcError::new(code::INVALID_PARAMS, "rpc.params.invalid", "Bus message is too long"));
        }
        if scale.is_some_and(|scale| item.scale.get() != Some(scale)) {
            return Err(RpcError::known("rpc.params.scale.invalid"));
        }
        item.check(value).map_err(|error| value_refusal(item, error))
    }

    /// Sets a value and tells everybody. Used by calls, scenes and behaviours alike.
    pub(super) fn set_value(&mut self, id: &ItemId, value: Value, context: &mut Context<'_>) {
        let Some(item) = self.items.get_mut(id) else { return };
        let formatted = item.value_type.get().map(|kind| kind.format(&value)).unwrap_or_default();
        item.value = value.into();
        item.value_formatted = formatted.into();
        self.tell_item(id, context);
        self.follow(id, context);
    }

    fn tell_item(&self, id: &ItemId, context: &mut Context<'_>) {
        let Some(item) = self.items.get(id) else { return };
        let mut update = self.update_of(item);
        // Value, text and type go together: a public client overwrites all three with whatever is there.
        update.value = item.value.clone();
        context.broadcast("hub.item.updated", &update);
    }

    fn update_of(&self, item: &Item) -> ItemUpdate {
        let device = item.device_id.get().and_then(|device| self.devices.get(device));
        let text = |pick: fn(&Device) -> Option<&str>| Field::from(device.and_then(pick).unwrap_or_default());
        ItemUpdate {
            id: item.id.clone(),
            device_id: item.device_id.clone(),
            device_name: text(|device| device.name.as_deref()),
            device_category: text(|device| device.category.get().map(|category| category.as_str())),
            device_subcategory: text(|device| device.subcategory.as_deref()),
            device_armed: device.map_or(Field::Absent, |device| device.armed),
            room_name: self.room_name(device.and_then(Device::room)).into(),
            name: item.name.clone(),
            notifications: Vec::new().into(),
            user_notification: false.into(),
            service_notification: false.into(),
            sync_notification: false.into(),
            value_formatted: item.value_formatted.clone(),
            value_type: item.value_type.clone(),
            scale: item.scale.clone(),
            ..ItemUpdate::default()
        }
    }

    /// Items that follow another in the same device: a light that is on burns at its level, a lock reports who worked it.
    fn follow(&mut self, id: &ItemId, context: &mut Context<'_>) {
        let Some(item) = self.items.get(id) else { return };
        let (name, value) = (item.name.as_deref().unwrap_or_default(), item.value.get().unwrap_or(&Value::Null));
        let (target, follower) = match (name, value) {
            ("door_lock", Value::String(state)) => match state.as_str() {
                "secured" => ("lock_operation", json!("rf_lock_operation")),
                _ => ("lock_operation", json!("rf_unlock_operation")),
            },
            ("barrier", state) => ("barrier_state", state.clone()),
            ("switch", Value::Bool(on)) => match self.sibling(id, "water_valve_state") {
                Some(_) => ("water_valve_state", json!(if *on { "valve_is_opened" } else { "valve_is_closed" })),
                None => ("electric_meter_watt", json!(if *on { 60.0 } else { 0.0 })),
            },
            _ => return,
        };
        if let Some(sibling) = self.sibling(id, target).filter(|sibling| sibling.value.get() != Some(&follower)) {
            let sibling = sibling.id.clone();
            self.set_value(&sibling, follower, context);
        }
    }

    /// Another item of the same device.
    pub(super) fn sibling(&self, id: &ItemId, name: &str) -> Option<&Item> {
        let device = self.items.get(id)?.device_id.get()?;
        self.items_of(device).find(|item| item.name.as_deref() == Some(name))
    }

    /// The hub makes the key: the least number that is free.
    pub(super) fn dictionary_add(&mut self, wish: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let element = wish.element.into_option().ok_or_else(|| missing("element"))?;
        let item = self.dictionary(&wish.id)?;
        check_element(item, &element)?;
        let elements = item.value.get().and_then(Value::as_object).cloned().unwrap_or_default();
        let most = item.elements_max_number.get().and_then(|most| usize::try_from(*most).ok()).unwrap_or(usize::MAX);
        if elements.len() >= most {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let key = (1..).map(|key: usize| key.to_string()).find(|key| !elements.contains_key(key)).unwrap_or_default();
        self.dictionary_put(&wish.id, key, element, "added", context);
        done()
    }

    pub(super) fn dictionary_set(&mut self, wish: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let key = wish.key.into_option().ok_or_else(|| missing("key"))?;
        let element = wish.element.into_option().ok_or_else(|| missing("element"))?;
        let item = self.dictionary(&wish.id)?;
        check_element(item, &element)?;
        if item.value.get().is_none_or(|elements| elements.get(&key).is_none()) {
            return Err(not_found("generic.object.not.found"));
        }
        self.dictionary_put(&wish.id, key, element, "updated", context);
        done()
    }

    pub(super) fn dictionary_remove(&mut self, wish: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let key = wish.key.into_option().ok_or_else(|| missing("key"))?;
        self.dictionary(&wish.id)?;
        let elements =
            self.items.get_mut(&wish.id).and_then(|item| item.value.get_mut()).and_then(Value::as_object_mut);
        let gone = elements.and_then(|elements| elements.shift_remove(&key));
        let gone = gone.ok_or_else(|| not_found("generic.object.not.found"))?;
        self.tell_dictionary(&wish.id, "removed", &key, &gone, context);
        done()
    }

    fn dictionary(&self, id: &ItemId) -> Answer<&Item> {
        let item = self.items.get(id).ok_or_else(|| not_found("generic.object.not.found"))?;
        let is_dictionary = item.value.get().is_some_and(Value::is_object) && !item.element_type.is_absent();
        if is_dictionary { Ok(item) } else { Err(RpcError::known("rpc.params.invalid")) }
    }

    fn dictionary_put(
        &mut self,
        id: &ItemId,
        key: String,
        element: Element,
        operation: &str,
        context: &mut Context<'_>,
    ) {
        let value = element.value.into_option().unwrap_or(Value::Null);
        if let Some(Value::Object(elements)) = self.items.get_mut(id).and_then(|item| item.value.get_mut()) {
            elements.insert(key.clone(), value.clone());
        }
        self.tell_dictionary(id, operation, &key, &value, context);
    }

    /// Sent in place of `hub.item.updated`; still holds the element when it was removed.
    fn tell_dictionary(&self, id: &ItemId, operation: &str, key: &str, element: &Value, context: &mut Context<'_>) {
        let Some(item) = self.items.get(id) else { return };
        let mut update = self.update_of(item);
        update.operation = operation.into();
        update.element = Value::Object(Map::from_iter([(key.to_owned(), json!({"value": element}))])).into();
        update.element_type = item.element_type.clone();
        context.broadcast("hub.item.dictionary.updated", &update);
    }
}

type Wish = (ItemId, Value, Option<Scale>);

/// The three shapes of `hub.item.value.set` as one list.
fn wishes(wish: &ItemValueSet) -> Answer<Vec<Wish>> {
    if let Some(items) = wish.items.get() {
        let one = |(id, entry): (&String, &Value)| {
            let value = entry.get("value").cloned().ok_or_else(|| missing("value"))?;
            Ok((ItemId::from(id.as_str()), value, entry["scale"].as_str().map(Scale::from)))
        };
        return items.iter().map(one).collect();
    }
    let ids = match (wish.id.get(), wish.ids.get()) {
        (Some(id), _) => vec![id.clone()],
        (None, Some(ids)) => ids.clone(),
        (None, None) => return Err(missing("_id")),
    };
    let value = match &wish.value {
        Field::Absent => return Err(missing("value")),
        Field::Null => Value::Null,
        Field::Value(value) => value.clone(),
    };
    Ok(ids.into_iter().map(|id| (id, value.clone(), wish.scale.get().cloned())).collect())
}

/// The code for a bad id or value is not known (hub reference, section 15); these are the nearest the lists have.
fn value_refusal(item: &Item, error: ValueError) -> RpcError {
    match error {
        ValueError::OutOfRange => {
            let data = format!("rpc.params.range.invalid.{}", item.name.as_deref().unwrap_or_default());
            RpcError::new(code::INVALID_PARAMS, &data, "Value is not in valid range")
        }
        _ => RpcError::known("rpc.params.invalid"),
    }
}

fn check_element(item: &Item, element: &Element) -> Answer<()> {
    let same_type = element.kind.as_deref() == item.element_type.as_deref();
    let good = match (item.element_type.as_deref(), element.value.get()) {
        (Some("userCode"), Some(code)) => code["code"].as_str().is_some_and(is_user_code) && code["name"].is_string(),
        (_, Some(value)) => !value.is_null(),
        (_, None) => false,
    };
    if same_type && good { Ok(()) } else { Err(RpcError::known("rpc.params.invalid")) }
}

/// `^\d{4,10}$`, the pattern of a real lock.
fn is_user_code(code: &str) -> bool {
    (4..=10).contains(&code.len()) && code.bytes().all(|digit| digit.is_ascii_digit())
}
