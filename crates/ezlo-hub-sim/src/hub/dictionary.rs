//! Dictionary items: user codes, schedules and lists of sounds.

use ezlo_protocol::hub::item::{DictionaryChange, Element, Item};
use ezlo_protocol::hub::unpublished::DictionaryClear;
use ezlo_protocol::hub::value::refusal;
use ezlo_protocol::hub::{Empty, ItemId};
use ezlo_protocol::rpc::RpcError;
use serde_json::{Map, Value};

use super::item_broadcast::ElementChange;
use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::{BUS_LIMIT, Hub};
use crate::state::scene_events::Event;
use ezlo_protocol::wire::encoded_len;

/// Maximum number of elements of a dictionary; an item may set a lower limit.
const MAX_ELEMENTS: usize = 1000;

/// A change of one element: its key, and its new value or `None` to remove it.
pub(crate) type Edit = (String, Option<Value>);

impl Hub {
    /// Adds an element. The hub chooses the key: the lowest free number.
    pub(crate) fn dictionary_add(&mut self, request: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let element = request.element.into_option().ok_or_else(|| missing("element"))?;
        let item = self.dictionary(&request.id)?;
        check_element(item, &element)?;
        let elements = elements_of(item);
        let key =
            (1..).map(|key: usize| key.to_string()).find(|key| !elements.is_some_and(|all| all.contains_key(key)));
        let edits = vec![(key.unwrap_or_default(), element.value.into_option())];
        self.check_edits(&request.id, &edits)?;
        self.edit_by_client(&request.id, edits, context);
        done()
    }

    pub(crate) fn dictionary_set(&mut self, request: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let key = request.key.into_option().ok_or_else(|| missing("key"))?;
        let element = request.element.into_option().ok_or_else(|| missing("element"))?;
        let item = self.dictionary(&request.id)?;
        check_element(item, &element)?;
        if elements_of(item).is_none_or(|elements| !elements.contains_key(&key)) {
            return Err(not_found("generic.object.not.found"));
        }
        let edits = vec![(key, element.value.into_option())];
        self.check_edits(&request.id, &edits)?;
        self.edit_by_client(&request.id, edits, context);
        done()
    }

    pub(crate) fn dictionary_remove(&mut self, request: DictionaryChange, context: &mut Context<'_>) -> Answer<Empty> {
        let key = request.key.into_option().ok_or_else(|| missing("key"))?;
        if elements_of(self.dictionary(&request.id)?).is_none_or(|elements| !elements.contains_key(&key)) {
            return Err(not_found("generic.object.not.found"));
        }
        self.check_answers(&request.id)?;
        self.edit_by_client(&request.id, vec![(key, None)], context);
        done()
    }

    /// Removes all elements.
    pub(crate) fn dictionary_clear(&mut self, request: DictionaryClear, context: &mut Context<'_>) -> Answer<Empty> {
        let keys: Vec<String> =
            elements_of(self.dictionary(&request.id)?).into_iter().flatten().map(|(key, _)| key.clone()).collect();
        self.check_answers(&request.id)?;
        self.edit_by_client(&request.id, keys.into_iter().map(|key| (key, None)).collect(), context);
        done()
    }

    /// Returns whether an item is a dictionary.
    pub(crate) fn is_dictionary(&self, id: &ItemId) -> bool {
        self.dictionary(id).is_ok()
    }

    /// Checks elements for `hub.item.value.set` and returns them as edits (hub reference 5.5).
    pub(crate) fn checked_elements(&self, id: &ItemId, elements: Map<String, Value>) -> Answer<Vec<Edit>> {
        let item = self.dictionary(id)?;
        for value in elements.values() {
            item.holds_element(value).map_err(|error| refusal(item, error))?;
        }
        let edits: Vec<Edit> = elements.into_iter().map(|(key, value)| (key, Some(value))).collect();
        self.check_edits(id, &edits)?;
        Ok(edits)
    }

    /// Refuses edits that exceed the number of elements or the size of a dictionary, or whose device does not answer.
    fn check_edits(&self, id: &ItemId, edits: &[Edit]) -> Answer<()> {
        let item = self.dictionary(id)?;
        let elements = elements_of(item);
        let most = item.elements_max_number.get().and_then(|most| usize::try_from(*most).ok());
        let is_new = |(key, _): &&Edit| !elements.is_some_and(|elements| elements.contains_key(key));
        let count = elements.map_or(0, Map::len) + edits.iter().filter(is_new).count();
        let bytes = elements.map_or(0, encoded_len) + encoded_len(&edits);
        if count > most.map_or(MAX_ELEMENTS, |most| most.min(MAX_ELEMENTS)) || bytes > BUS_LIMIT {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.check_answers(id)
    }

    /// Refuses a change of a device that does not answer.
    fn check_answers(&self, id: &ItemId) -> Answer<()> {
        let device = self.items.get(id).and_then(|item| item.device_id.get());
        let answers = device.is_none_or(|device| self.answers(device));
        if answers { Ok(()) } else { Err(RpcError::known("ezlo.gateway.send.error")) }
    }

    fn dictionary(&self, id: &ItemId) -> Answer<&Item> {
        let item = self.items.get(id).ok_or_else(|| not_found("generic.object.not.found"))?;
        let is_dictionary = elements_of(item).is_some() && !item.element_type.is_absent();
        if is_dictionary { Ok(item) } else { Err(RpcError::known("rpc.params.invalid")) }
    }

    /// Applies checked edits that a client sent. A lock receives its codes later.
    pub(crate) fn edit_by_client(&mut self, id: &ItemId, edits: Vec<Edit>, context: &mut Context<'_>) {
        let before = self.items.get(id).and_then(|item| item.value.get()).cloned().unwrap_or(Value::Null);
        self.edit_elements(id, edits, context);
        self.send_changed_codes(id, &before, context);
    }

    /// Applies edits: one event for scenes, and one broadcast for each element.
    pub(crate) fn edit_elements(&mut self, id: &ItemId, edits: Vec<Edit>, context: &mut Context<'_>) {
        let Some(item) = self.items.get_mut(id) else { return };
        let Some(Value::Object(elements)) = item.value.get_mut() else { return };
        let before = elements.clone();
        let mut done: Vec<(&'static str, String, Value)> = Vec::new();
        for (key, value) in edits {
            match value {
                Some(value) => {
                    let operation = if elements.contains_key(&key) { "updated" } else { "added" };
                    elements.insert(key.clone(), value.clone());
                    done.push((operation, key, value));
                }
                None => done.extend(elements.shift_remove(&key).map(|gone| ("removed", key, gone))),
            }
        }
        let after = Value::Object(elements.clone());
        if self.family.formatted_values {
            item.value_formatted = item.value_type.get().map(|kind| kind.format(&after)).unwrap_or_default().into();
        }
        let before = Value::Object(before);
        self.report_change(id, &before, &after, context);
        for (operation, key, element) in &done {
            self.broadcast_element(id, ElementChange { operation, key, element }, context);
        }
        if !self.scenes.is_empty() {
            self.events.push_back(Event::Item { item: id.clone(), before, after });
        }
    }

    /// Broadcasts `hub.item.dictionary.updated` instead of `hub.item.updated`. A removed element is included.
    fn broadcast_element(&self, id: &ItemId, change: ElementChange<'_>, context: &mut Context<'_>) {
        let Some(item) = self.items.get(id) else { return };
        context.broadcast_raw("hub.item.dictionary.updated", self.item_update_element(item, change));
    }
}

fn elements_of(item: &Item) -> Option<&Map<String, Value>> {
    item.value.get().and_then(Value::as_object)
}

/// Refuses an element with the wrong type or value.
fn check_element(item: &Item, element: &Element) -> Answer<()> {
    let value = element.value.get().ok_or_else(|| missing("value"))?;
    if element.kind.as_deref() != item.element_type.as_deref() {
        return Err(RpcError::known("rpc.params.invalid"));
    }
    item.holds_element(value).map_err(|error| refusal(item, error))
}
