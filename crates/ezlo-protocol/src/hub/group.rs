//! Groups of devices and items, for the conditions and actions of scenes (d22, d23, pi).

use serde_json::Value;

use crate::hub::DeviceId;
use crate::wire::Field;

wire! {
    /// Parameters of `hub.device.groups.list` and `hub.item.groups.list`.
    GroupQuery {
        /// Version of the list that the client has: a number in 2022, the text of a SHA-1 since 2023.
        version: Field<Value> = "version",
        /// Groups to return (default: all).
        ids: Field<Vec<String>> = "ids",
    }
}

wire! {
    /// Result of `hub.device.groups.list`. It has no groups if the version of the client is current.
    DeviceGroupList {
        /// Groups.
        groups: Field<Vec<DeviceGroup>> = "deviceGroups",
        /// Version of the list.
        version: Field<Value> = "version",
    }
}

wire! {
    /// A group of devices. It is also the parameters of `hub.device.group.create`.
    DeviceGroup {
        /// Id of the group; absent in `create`.
        id: Field<String> = "_id",
        /// Name of the group, at most 128 characters.
        name: Field<String> = "name",
        /// Categories in the group, `[{category?, subcategories?, exceptions?}]`.
        categories: Field<Value> = "categories",
        /// Devices that are in the group regardless of their category.
        devices: Field<Vec<DeviceId>> = "devices",
        /// Devices that are not in the group regardless of their category.
        exceptions: Field<Vec<DeviceId>> = "exceptions",
        /// `true` if the group can be deleted only with `force`.
        persistent: Field<bool> = "persistent",
        /// `true` if the name has changed, in `hub.device.group.updated`.
        sync: Field<bool> = "sync",
    }
}

wire! {
    /// Parameters of the `get` methods of groups.
    GroupRef {
        /// Id of the group, without underscore.
        id: String = "id",
    }
}

wire! {
    /// Parameters of the `delete` methods of groups.
    GroupDelete {
        /// Id of the group, without underscore.
        id: String = "id",
        /// `true` to delete a persistent group.
        force: Field<bool> = "force",
    }
}

wire! {
    /// Content of the `deleted` broadcasts of groups.
    GroupDeleted {
        /// Id of the group.
        id: String = "_id",
    }
}

wire! {
    /// Parameters of `hub.device.group.update`: the id and the members to change.
    DeviceGroupUpdate {
        /// Id of the group, without underscore.
        id: String = "id",
        /// New name.
        name: Field<String> = "name",
        /// New categories.
        categories: Field<Value> = "categories",
        /// New list of devices.
        devices: Field<Vec<DeviceId>> = "devices",
        /// New list of exceptions.
        exceptions: Field<Vec<DeviceId>> = "exceptions",
        /// New flag.
        persistent: Field<bool> = "persistent",
    }
}

wire! {
    /// Parameters of `hub.device.group.find`. All given members have to match.
    DeviceGroupSearch {
        /// Category that the group includes.
        category: Field<String> = "category",
        /// Subcategory that the group includes.
        subcategory: Field<String> = "subcategory",
        /// Device that the group includes.
        device_id: Field<DeviceId> = "deviceId",
        /// Groups to search.
        ids: Field<Vec<String>> = "deviceGroupIds",
        /// Group to search.
        id: Field<String> = "deviceGroupId",
    }
}

wire! {
    /// Result of `hub.device.group.find`: groups with the members `_id` and `name`.
    DeviceGroupsFound {
        /// Groups.
        groups: Vec<DeviceGroup> = "deviceGroups",
    }
}

wire! {
    /// Result of `hub.item.groups.list`. It has no groups if the version of the client is current.
    ItemGroupList {
        /// Groups.
        groups: Field<Vec<ItemGroup>> = "itemGroups",
        /// Groups, as the vendor's EzloPi firmware spells the member (pi).
        group: Field<Vec<ItemGroup>> = "itemGroup",
        /// Version of the list.
        version: Field<Value> = "version",
    }
}

wire! {
    /// A group of items by name. It is also the parameters of `hub.item.group.create`.
    ItemGroup {
        /// Id of the group; absent in `create`.
        id: Field<String> = "_id",
        /// Name of the group, at most 128 characters.
        name: Field<String> = "name",
        /// Names of the items, not empty.
        item_names: Field<Vec<String>> = "itemNames",
        /// Required getter of the items.
        has_getter: Field<bool> = "hasGetter",
        /// Required setter of the items.
        has_setter: Field<bool> = "hasSetter",
        /// `true` if the group can be deleted only with `force`.
        persistent: Field<bool> = "persistent",
        /// Type of the values.
        value_type: Field<String> = "valueType",
        /// Allowed tokens, for the type `token`.
        tokens: Field<Value> = "enum",
        /// Family of types, such as `numeric`; required without a value type.
        family: Field<String> = "valueTypeFamily",
        /// `true` if the name has changed, in `hub.item.group.updated`.
        sync: Field<bool> = "sync",
    }
}

wire! {
    /// Parameters of `hub.item.group.update`: the id and the members to change.
    ItemGroupUpdate {
        /// Id of the group, without underscore.
        id: String = "id",
        /// New name.
        name: Field<String> = "name",
        /// New names of items.
        item_names: Field<Vec<String>> = "itemNames",
        /// New flag.
        has_getter: Field<bool> = "hasGetter",
        /// New flag.
        has_setter: Field<bool> = "hasSetter",
        /// New flag.
        persistent: Field<bool> = "persistent",
        /// New type of the values.
        value_type: Field<String> = "valueType",
        /// New tokens.
        tokens: Field<Value> = "enum",
        /// New family of types.
        family: Field<String> = "valueTypeFamily",
    }
}

wire! {
    /// Parameters of `hub.device.item.group.expand`.
    GroupExpand {
        /// Id of the group of devices.
        device_group_id: String = "deviceGroupId",
        /// `true` to return the items of each device.
        show_items: Field<bool> = "showItems",
        /// Group of items to which the result is limited.
        item_group_id: Field<String> = "itemGroupId",
        /// Version of the result that the client has.
        version: Field<Value> = "version",
    }
}

wire! {
    /// Result of `hub.device.item.group.expand`. It has no devices if the version of the client is current.
    GroupExpanded {
        /// Devices with their items.
        devices: Field<Vec<ExpandedDevice>> = "devices",
        /// Version of the result.
        version: Field<Value> = "version",
    }
}

wire! {
    /// A device of an expanded group.
    ExpandedDevice {
        /// Id of the device.
        device_id: DeviceId = "deviceId",
        /// Items with the members `itemId` and `name`.
        items: Field<Vec<ExpandedItem>> = "items",
    }
}

wire! {
    /// An item of an expanded group.
    ExpandedItem {
        /// Id of the item.
        item_id: crate::hub::ItemId = "itemId",
        /// Name of the item.
        name: String = "name",
    }
}
