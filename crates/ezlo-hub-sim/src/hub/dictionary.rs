//! Dictionary items: user codes, schedules and lists of sounds.

use ezlo_protocol::hub::item::{DictionaryChange, Element, Item};
use ezlo_protocol::hub::value::refusal;
use ezlo_protocol::hub::{Empty, ItemId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Opaque;
use serde_json::{Map, Value};

use super::item_broadcast::ElementChange;
use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::device_traits::PendingCode;
use crate::state::scene_events::Event;

/// Maximum number of elements of a dictionary; an item may set a lower limit.
const MAX_ELEMENTS: usize = 1000;

impl Hub {
    /// Adds an element. The hub chooses the key: the lowest free number.
    pub(crate) fn dictionary_add(&mut self, request: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let element = request.element.into_option().ok_or_else(|| missing("element"))?;
        let item = self.dictionary(&request.id)?;
        check_element(item, &element)?;
        self.check_answers(&request.id)?;
        let elements = item.value.get().and_then(Value::as_object).cloned().unwrap_or_default();
        let most = item
            .elements_max_number
            .get()
            .and_then(|most| usize::try_from(*most).ok())
            .map_or(MAX_ELEMENTS, |most| most.min(MAX_ELEMENTS));
        if elements.len() >= most {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let key = (1..).map(|key: usize| key.to_string()).find(|key| !elements.contains_key(key)).unwrap_or_default();
        self.dictionary_put(&request.id, key, element, "added", context);
        done()
    }

    pub(crate) fn dictionary_set(&mut self, request: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let key = request.key.into_option().ok_or_else(|| missing("key"))?;
        let element = request.element.into_option().ok_or_else(|| missing("element"))?;
        let item = self.dictionary(&request.id)?;
        check_element(item, &element)?;
        self.check_answers(&request.id)?;
        if item.value.get().is_none_or(|elements| elements.get(&key).is_none()) {
            return Err(not_found("generic.object.not.found"));
        }
        self.dictionary_put(&request.id, key, element, "updated", context);
        done()
    }

    pub(crate) fn dictionary_remove(&mut self, request: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let key = request.key.into_option().ok_or_else(|| missing("key"))?;
        let item = self.dictionary(&request.id)?;
        let element = item.value.get().and_then(|elements| elements.get(&key)).cloned();
        let element = element.ok_or_else(|| not_found("generic.object.not.found"))?;
        self.check_answers(&request.id)?;
        self.remove_element(&request.id, &key, context);
        let before = Some(Opaque::from(element));
        self.send_code(PendingCode { item: request.id, key, before }, context);
        done()
    }

    /// Refuses a change of a device that does not answer.
    pub(crate) fn check_answers(&self, id: &ItemId) -> Answer<()> {
        let device = self.items.get(id).and_then(|item| item.device_id.get());
        let answers = device.is_none_or(|device| self.answers(device));
        if answers { Ok(()) } else { Err(RpcError::known("ezlo.gateway.send.error")) }
    }

    /// Removes an element and broadcasts it.
    pub(crate) fn remove_element(&mut self, id: &ItemId, key: &str, context: &mut Context<'_>) {
        let elements = self.items.get_mut(id).and_then(|item| item.value.get_mut()).and_then(Value::as_object_mut);
        let before = elements.as_deref().cloned();
        let Some(gone) = elements.and_then(|elements| elements.shift_remove(key)) else { return };
        self.dictionary_changed(id, before.unwrap_or_default(), context);
        self.broadcast_dictionary(id, "removed", key, &gone, context);
    }

    /// Returns whether an item is a dictionary.
    pub(crate) fn is_dictionary(&self, id: &ItemId) -> bool {
        self.dictionary(id).is_ok()
    }

    /// Sets elements by `hub.item.value.set`. All are checked before the first is set (hub reference 5.5).
    pub(crate) fn dictionary_from(
        &mut self,
        id: &ItemId,
        elements: Map<String, Value>,
        context: &mut Context<'_>,
    ) -> Answer<Empty> {
        let item = self.dictionary(id)?;
        let now = item.value.get().and_then(Value::as_object).cloned().unwrap_or_default();
        let most = item.elements_max_number.get().and_then(|most| usize::try_from(*most).ok());
        let new = elements.keys().filter(|key| !now.contains_key(*key)).count();
        if now.len() + new > most.map_or(MAX_ELEMENTS, |most| most.min(MAX_ELEMENTS)) {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.check_answers(id)?;
        for value in elements.values() {
            item.holds_element(value).map_err(|error| refusal(item, error))?;
        }
        for (key, value) in elements {
            let operation = if now.contains_key(&key) { "updated" } else { "added" };
            self.dictionary_put(id, key, Element { value: value.into(), ..Element::default() }, operation, context);
        }
        done()
    }

    fn dictionary(&self, id: &ItemId) -> Answer<&Item> {
        let item = self.items.get(id).ok_or_else(|| not_found("generic.object.not.found"))?;
        let is_dictionary = item.value.get().is_some_and(Value::is_object) && !item.element_type.is_absent();
        if is_dictionary { Ok(item) } else { Err(RpcError::known("rpc.params.invalid")) }
    }

    /// Stores an element that a client sent. A lock receives a code later.
    fn dictionary_put(
        &mut self,
        id: &ItemId,
        key: String,
        element: Element,
        operation: &str,
        context: &mut Context<'_>,
    ) {
        let value = element.value.into_option().unwrap_or(Value::Null);
        let before = self.items.get(id).and_then(|item| item.value.get()?.get(&key).cloned()).map(Opaque::from);
        self.put_element(id, &key, value, operation, context);
        self.send_code(PendingCode { item: id.clone(), key, before }, context);
    }

    /// Stores an element and broadcasts it.
    pub(crate) fn put_element(
        &mut self,
        id: &ItemId,
        key: &str,
        value: Value,
        operation: &str,
        context: &mut Context<'_>,
    ) {
        if let Some(Value::Object(elements)) = self.items.get_mut(id).and_then(|item| item.value.get_mut()) {
            let before = elements.clone();
            elements.insert(key.to_owned(), value.clone());
            self.dictionary_changed(id, before, context);
        }
        self.broadcast_dictionary(id, operation, key, &value, context);
    }

    /// Queues the event that scenes with a condition on the dictionary need.
    fn dictionary_changed(&mut self, id: &ItemId, before: Map<String, Value>, context: &mut Context<'_>) {
        let after = self.items.get(id).and_then(|item| item.value.get()).cloned().unwrap_or(Value::Null);
        let before = Value::from(before);
        self.report_change(id, &before, &after, context);
        self.events.push_back(Event::Item { item: id.clone(), before, after });
    }

    /// Broadcasts `hub.item.dictionary.updated` instead of `hub.item.updated`. A removed element is included.
    fn broadcast_dictionary(
        &self,
        id: &ItemId,
        operation: &str,
        key: &str,
        element: &Value,
        context: &mut Context<'_>,
    ) {
        let Some(item) = self.items.get(id) else { return };
        let change = ElementChange { operation, key, element };
        context.broadcast_raw("hub.item.dictionary.updated", self.item_update_element(item, change));
    }
}

/// Refuses an element with the wrong type or value.
fn check_element(item: &Item, element: &Element) -> Answer<()> {
    let value = element.value.get().ok_or_else(|| missing("value"))?;
    if element.kind.as_deref() != item.element_type.as_deref() {
        return Err(RpcError::known("rpc.params.invalid"));
    }
    item.holds_element(value).map_err(|error| refusal(item, error))
}
