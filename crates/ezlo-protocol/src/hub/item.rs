//! Items: what a device can be asked and told.

use serde_json::{Number, Value};

use super::catalogue::{Scale, ValueType};
use super::{DeviceId, ItemId};
use crate::wire::{Extra, Field};

wire! {
    /// An item: one capability of a device, with its value.
    Item {
        /// Its id.
        id: ItemId = "_id",
        /// The device it belongs to.
        device_id: Field<DeviceId> = "deviceId",
        /// The capability, such as `switch`; unique inside a device.
        name: Field<String> = "name",
        /// Whether it can be read.
        has_getter: Field<bool> = "hasGetter",
        /// Whether it can be set.
        has_setter: Field<bool> = "hasSetter",
        /// Whether a user interface shows it.
        show: Field<bool> = "show",
        /// Type of the value.
        value_type: Field<ValueType> = "valueType",
        /// The value; null while unknown. Its shape depends on the type.
        value: Field<Value> = "value",
        /// The value as text; absent on RTOS firmware.
        value_formatted: Field<String> = "valueFormatted",
        /// The unit, for types that have one.
        scale: Field<Scale> = "scale",
        /// Allowed tokens.
        tokens: Field<Vec<String>> = "enum",
        /// Least value.
        min_value: Field<Number> = "minValue",
        /// Greatest value.
        max_value: Field<Number> = "maxValue",
        /// Least value, as the vendor's guide of 2020 spells it.
        value_min: Field<Value> = "valueMin",
        /// Greatest value, as the vendor's guide of 2020 spells it.
        value_max: Field<Value> = "valueMax",
        /// Type of the elements of a dictionary or array.
        element_type: Field<String> = "elementType",
        /// Greatest number of elements.
        elements_max_number: Field<i64> = "elementsMaxNumber",
        /// Pattern for texts: a regular expression.
        string_restriction: Field<String> = "stringRestriction",
        /// Pattern for user codes: a regular expression.
        user_code_restriction: Field<String> = "userCodeRestriction",
        /// Modes a user code can have.
        user_code_modes: Field<Vec<String>> = "userCodeModes",
        /// `{item, minIndent}`: least distance to another item.
        value_indent: Field<Value> = "valueIndent",
        /// In `hub.item.added` only.
        device_name: Field<String> = "deviceName",
        /// In `hub.item.added` only.
        device_armed: Field<bool> = "deviceArmed",
        /// EzloPi.
        status: Field<String> = "status",
    }
}

impl Item {
    /// The least value, under whichever name it came.
    pub fn minimum(&self) -> Option<f64> {
        bound(&self.min_value, &self.value_min)
    }

    /// The greatest value, under whichever name it came.
    pub fn maximum(&self) -> Option<f64> {
        bound(&self.max_value, &self.value_max)
    }
}

/// The guide's spelling may hold a bare number or `{value, scale}`.
fn bound(newer: &Field<Number>, guide: &Field<Value>) -> Option<f64> {
    let guide = || guide.get().and_then(|bound| bound.as_f64().or_else(|| bound["value"].as_f64()));
    newer.get().and_then(Number::as_f64).or_else(guide)
}

wire! {
    /// Parameters of `hub.items.list`. A hub may ignore them, so filter again.
    ItemQuery {
        /// Only these devices' items.
        device_ids: Field<Vec<DeviceId>> = "deviceIds",
    }
}

wire! {
    /// Result of `hub.items.list`.
    ItemList {
        /// The items.
        items: Vec<Item> = "items",
    }
}

wire! {
    /// Parameters of `hub.item.value.set`, in one of three shapes: one item, several with one value, several with one each.
    ItemValueSet {
        /// One item.
        id: Field<ItemId> = "_id",
        /// Several items.
        ids: Field<Vec<ItemId>> = "ids",
        /// The value for `_id` or `ids`.
        value: Field<Value> = "value",
        /// The unit the value is in; the hub's own when absent.
        scale: Field<Scale> = "scale",
        /// Several items with a value each: `{"<id>": {value, scale?}}`.
        items: Field<Extra> = "items",
        /// Who asks.
        source: Field<Value> = "source",
    }
}

impl ItemValueSet {
    /// Sets one item.
    pub fn one(id: ItemId, value: Value) -> Self {
        Self { id: id.into(), value: value.into(), ..Self::default() }
    }
}

wire! {
    /// An element of a dictionary item.
    Element {
        /// Its type; must equal the item's `elementType`.
        kind: Field<String> = "type",
        /// Its value.
        value: Field<Value> = "value",
    }
}

wire! {
    /// Parameters of the `hub.item.dictionary.value.*` methods: `add` takes no key, `remove` no element.
    DictionaryChange {
        /// The item.
        id: ItemId = "_id",
        /// The element's key.
        key: Field<String> = "key",
        /// The element.
        element: Field<Element> = "element",
        /// Who asks.
        source: Field<Value> = "source",
    }
}

wire! {
    /// Content of `hub.item.updated` and, with the last three members, of `hub.item.dictionary.updated`.
    ItemUpdate {
        /// The item.
        id: ItemId = "_id",
        /// Its device.
        device_id: Field<DeviceId> = "deviceId",
        /// The device's name.
        device_name: Field<String> = "deviceName",
        /// The device's category.
        device_category: Field<String> = "deviceCategory",
        /// The device's subcategory.
        device_subcategory: Field<String> = "deviceSubcategory",
        /// Whether the house mode has armed the device.
        device_armed: Field<bool> = "deviceArmed",
        /// The room's name; empty for none.
        room_name: Field<String> = "roomName",
        /// The capability.
        name: Field<String> = "name",
        /// Users to be told: null = all, empty = none.
        notifications: Field<Vec<Value>> = "notifications",
        /// Whether the cloud makes a push message of it.
        user_notification: Field<bool> = "userNotification",
        /// Whether the change goes to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
        /// Newer firmware.
        sync_notification: Field<bool> = "syncNotification",
        /// The value, if it changed.
        value: Field<Value> = "value",
        /// The value as text.
        value_formatted: Field<String> = "valueFormatted",
        /// Type of the value.
        value_type: Field<ValueType> = "valueType",
        /// The unit.
        scale: Field<Scale> = "scale",
        /// Whether a user interface shows it.
        show: Field<bool> = "show",
        /// Newer firmware: Unix milliseconds.
        fw_timestamp_ms: Field<i64> = "fwTimestampMs",
        /// Dictionary: `added`, `updated` or `removed`.
        operation: Field<String> = "operation",
        /// Dictionary: `{"<key>": {"value": …}}`; still holds the element when it was removed.
        element: Field<Value> = "element",
        /// Dictionary: type of the elements.
        element_type: Field<String> = "elementType",
        /// Dictionary: greatest number of elements.
        elements_max_number: Field<i64> = "elementsMaxNumber",
        /// Dictionary: pattern for user codes.
        user_code_restriction: Field<String> = "userCodeRestriction",
    }
}

wire! {
    /// Content of `hub.item.removed`.
    ItemRemoved {
        /// The item.
        id: ItemId = "_id",
    }
}
