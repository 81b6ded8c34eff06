//! Items: the capabilities of devices and their values.

use serde_json::{Number, Value};

use super::catalogue::{Scale, ValueType};
use super::{DeviceId, ItemId};
use crate::wire::{Extra, Field};

wire! {
    /// An item: a capability of a device, with its value.
    Item {
        /// Id of the item.
        id: ItemId = "_id",
        /// Device of the item.
        device_id: Field<DeviceId> = "deviceId",
        /// Name of the capability, such as `switch`; unique within a device.
        name: Field<String> = "name",
        /// `true` if the item has a getter.
        has_getter: Field<bool> = "hasGetter",
        /// `true` if the item has a setter.
        has_setter: Field<bool> = "hasSetter",
        /// `true` if a user interface displays the item.
        show: Field<bool> = "show",
        /// Type of the value.
        value_type: Field<ValueType> = "valueType",
        /// Value; null while it is unknown. The shape depends on the type.
        value: Field<Value> = "value",
        /// Value as text; absent on RTOS firmware.
        value_formatted: Field<String> = "valueFormatted",
        /// Unit, for types with a unit.
        scale: Field<Scale> = "scale",
        /// Allowed tokens.
        tokens: Field<Vec<String>> = "enum",
        /// Minimum.
        min_value: Field<Number> = "minValue",
        /// Maximum.
        max_value: Field<Number> = "maxValue",
        /// Minimum, as spelled in the vendor's guide of 2020.
        value_min: Field<Value> = "valueMin",
        /// Maximum, as spelled in the vendor's guide of 2020.
        value_max: Field<Value> = "valueMax",
        /// Type of the elements of a dictionary or array.
        element_type: Field<String> = "elementType",
        /// Maximum number of elements.
        elements_max_number: Field<i64> = "elementsMaxNumber",
        /// Regular expression for texts.
        string_restriction: Field<String> = "stringRestriction",
        /// Regular expression for user codes.
        user_code_restriction: Field<String> = "userCodeRestriction",
        /// Allowed modes of user codes.
        user_code_modes: Field<Vec<String>> = "userCodeModes",
        /// Minimum distance to another item, `{item, minIndent}`.
        value_indent: Field<Value> = "valueIndent",
        /// Name of the device, in `hub.item.added` only.
        device_name: Field<String> = "deviceName",
        /// `true` if the device is armed, in `hub.item.added` only.
        device_armed: Field<bool> = "deviceArmed",
        /// Details of the protocol, such as `zwave.references`; newer Linux firmware.
        info: Field<Value> = "info",
        /// Status; EzloPi.
        status: Field<String> = "status",
    }
}

impl Item {
    /// Returns the minimum, from `minValue` or the older `valueMin`.
    pub fn minimum(&self) -> Option<f64> {
        bound(&self.min_value, &self.value_min)
    }

    /// Returns the maximum, from `maxValue` or the older `valueMax`.
    pub fn maximum(&self) -> Option<f64> {
        bound(&self.max_value, &self.value_max)
    }
}

/// Returns a limit. The spelling of the guide contains a bare number or `{value, scale}`.
fn bound(newer: &Field<Number>, guide: &Field<Value>) -> Option<f64> {
    let guide = || guide.get().and_then(|bound| bound.as_f64().or_else(|| bound["value"].as_f64()));
    newer.get().and_then(Number::as_f64).or_else(guide)
}

wire! {
    /// Parameters of `hub.items.list`. A hub may ignore the filter, so a client filters the result too.
    ItemQuery {
        /// Devices of the requested items.
        device_ids: Field<Vec<DeviceId>> = "deviceIds",
    }
}

wire! {
    /// Result of `hub.items.list`.
    ItemList {
        /// Items.
        items: Vec<Item> = "items",
    }
}

wire! {
    /// Parameters of `hub.item.value.set`.
    ///
    /// There are three shapes: one item, several items with one value, and several items with a value each.
    ItemValueSet {
        /// Item of the first shape.
        id: Field<ItemId> = "_id",
        /// Items of the second shape.
        ids: Field<Vec<ItemId>> = "ids",
        /// Value for `_id` or `ids`.
        value: Field<Value> = "value",
        /// Unit of the value (default: the unit of the item).
        scale: Field<Scale> = "scale",
        /// Values of the third shape, `{"<id>": {value, scale?}}`.
        items: Field<Extra> = "items",
        /// Source of the request.
        source: Field<Value> = "source",
    }
}

impl ItemValueSet {
    /// Creates the parameters for one item.
    pub fn one(id: ItemId, value: Value) -> Self {
        Self { id: id.into(), value: value.into(), ..Self::default() }
    }
}

wire! {
    /// An element of a dictionary item.
    Element {
        /// Type of the element. It must equal the `elementType` of the item.
        kind: Field<String> = "type",
        /// Value of the element.
        value: Field<Value> = "value",
    }
}

wire! {
    /// Parameters of the methods `hub.item.dictionary.value.*`. `add` has no key, and `remove` has no element.
    DictionaryChange {
        /// Id of the item.
        id: ItemId = "_id",
        /// Key of the element.
        key: Field<String> = "key",
        /// New element.
        element: Field<Element> = "element",
        /// Source of the request.
        source: Field<Value> = "source",
    }
}

wire! {
    /// Content of `hub.item.updated` and `hub.item.dictionary.updated`.
    ///
    /// The members from `operation` on belong to dictionaries.
    ItemUpdate {
        /// Id of the item.
        id: ItemId = "_id",
        /// Device of the item.
        device_id: Field<DeviceId> = "deviceId",
        /// Name of the device.
        device_name: Field<String> = "deviceName",
        /// Category of the device.
        device_category: Field<String> = "deviceCategory",
        /// Subcategory of the device.
        device_subcategory: Field<String> = "deviceSubcategory",
        /// `true` if the house mode has armed the device.
        device_armed: Field<bool> = "deviceArmed",
        /// Name of the room; empty for none.
        room_name: Field<String> = "roomName",
        /// Name of the capability.
        name: Field<String> = "name",
        /// Users to notify; null for all users, empty for none.
        notifications: Field<Vec<Value>> = "notifications",
        /// `true` if the cloud sends a push message.
        user_notification: Field<bool> = "userNotification",
        /// `true` if the change is forwarded to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
        /// `syncNotification`; newer firmware.
        sync_notification: Field<bool> = "syncNotification",
        /// Value, if it has changed.
        value: Field<Value> = "value",
        /// Value as text.
        value_formatted: Field<String> = "valueFormatted",
        /// Type of the value.
        value_type: Field<ValueType> = "valueType",
        /// Unit of the value.
        scale: Field<Scale> = "scale",
        /// `true` if a user interface displays the item.
        show: Field<bool> = "show",
        /// Time of the change in Unix milliseconds; newer firmware.
        fw_timestamp_ms: Field<i64> = "fwTimestampMs",
        /// Dictionary: `added`, `updated` or `removed`.
        operation: Field<String> = "operation",
        /// Dictionary: element `{"<key>": {"value": …}}`, also for a removed one (captures).
        element: Field<Value> = "element",
        /// Dictionary: type of the elements.
        element_type: Field<String> = "elementType",
        /// Dictionary: maximum number of elements.
        elements_max_number: Field<i64> = "elementsMaxNumber",
        /// Dictionary: regular expression for user codes.
        user_code_restriction: Field<String> = "userCodeRestriction",
    }
}

wire! {
    /// Content of `hub.item.removed`.
    ItemRemoved {
        /// Id of the item.
        id: ItemId = "_id",
    }
}
