//! Groups of devices and items (d22, d23, pi).

use std::collections::HashSet;

use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::group::{
    DeviceGroup, DeviceGroupList, DeviceGroupSearch, DeviceGroupUpdate, DeviceGroupsFound, ExpandedDevice,
    ExpandedItem, GroupDelete, GroupDeleted, GroupExpand, GroupExpanded, GroupQuery, GroupRef, ItemGroup,
    ItemGroupList, ItemGroupUpdate,
};
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::{DeviceId, Empty, ItemId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{self, Field};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::answer::{Answer, done, missing};
use crate::context::Context;
use crate::encoding::hex;
use crate::hub::Hub;
use crate::state::newer::{NameFilter, check_size};
use ezlo_protocol::wire::encoded_len;

/// Maximum length of the name of a group, in characters (d22).
const MAX_NAME: usize = 128;
/// Maximum number of groups of each kind.
const MAX_GROUPS: usize = 200;
/// Maximum number of names or devices in a group.
const MAX_MEMBERS: usize = 1_000;

/// Device groups of every hub (names and categories inferred).
const GROUPS: &[(&str, &[&str])] = &[
    ("Lights", &["dimmable_light"]),
    ("Switches", &["switch"]),
    ("Security sensors", &["security_sensor"]),
    ("Locks", &["door_lock", "garage_door"]),
    ("Climate", &["hvac", "temperature", "humidity"]),
];

fn unknown_group() -> RpcError {
    RpcError::new(-32602, "rpc.params.invalid", "Record with the key does not exist")
}

fn check_name(name: Option<&str>) -> Answer<()> {
    match name {
        None => Err(missing("name")),
        Some("") => Err(RpcError::known("rpc.params.empty.name")),
        Some(name) if name.chars().count() > MAX_NAME => {
            Err(RpcError::new(-32600, "rpc.params.invalid", "Value is too long"))
        }
        Some(_) => Ok(()),
    }
}

/// Returns the version of a list: the SHA-1 of its content.
fn version_of(content: &impl serde::Serialize) -> Value {
    hex(&Sha1::digest(wire::to_bytes(content))).into()
}

/// Replaces a member that an update names.
fn set<T>(stored: &mut Field<T>, new: Field<T>) {
    if !new.is_absent() {
        *stored = new;
    }
}

impl Hub {
    /// Adds the groups of every hub, once.
    pub(crate) fn add_usual_groups(&mut self) {
        if std::mem::replace(&mut self.newer.has_groups, true) {
            return;
        }
        for (at, (name, categories)) in GROUPS.iter().enumerate() {
            let id = self.derived_id(&format!("group {at}"));
            let group = DeviceGroup {
                id: id.clone().into(),
                name: (*name).into(),
                categories: categories.iter().map(|name| json!({"category": name})).collect::<Value>().into(),
                devices: Vec::new().into(),
                exceptions: Vec::new().into(),
                persistent: true.into(),
                ..DeviceGroup::default()
            };
            self.newer.device_groups.insert(id, group);
        }
    }

    pub(crate) fn device_groups_list(&self, query: GroupQuery, _: &Context<'_>) -> Answer<DeviceGroupList> {
        let all: Vec<&DeviceGroup> = self.newer.device_groups.values().collect();
        let version = version_of(&all);
        let is_current = query.version.get() == Some(&version);
        let ids = NameFilter::new(&query.ids);
        let groups = self.newer.device_groups.iter().filter(|(id, _)| ids.includes(id)).map(|(_, group)| group.clone());
        let groups = (!is_current).then(|| groups.collect::<Vec<_>>());
        Ok(DeviceGroupList { groups: groups.into(), version: version.into(), ..DeviceGroupList::default() })
    }

    pub(crate) fn device_group_create(&mut self, request: DeviceGroup, context: &mut Context<'_>) -> Answer<Empty> {
        check_name(request.name.as_deref())?;
        check_size(&request)?;
        let devices = request.devices.get().map_or(&[][..], Vec::as_slice);
        if devices.iter().any(|device| !self.devices.contains_key(device)) {
            return Err(RpcError::new(-32500, "ezlo.device.notfound", "No device found!"));
        }
        if self.newer.device_groups.len() >= MAX_GROUPS || devices.len() > MAX_MEMBERS {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let id = self.new_id();
        let group = DeviceGroup {
            id: id.clone().into(),
            persistent: request.persistent.get().copied().unwrap_or_default().into(),
            ..request
        };
        context.broadcast("hub.device.group.created", &group);
        self.newer.device_groups.insert(id, group);
        done()
    }

    pub(crate) fn device_group_get(&self, request: GroupRef, _: &Context<'_>) -> Answer<DeviceGroup> {
        self.newer.device_groups.get(&request.id).cloned().ok_or_else(unknown_group)
    }

    pub(crate) fn device_group_update(
        &mut self,
        request: DeviceGroupUpdate,
        context: &mut Context<'_>,
    ) -> Answer<Empty> {
        if !request.name.is_absent() {
            check_name(request.name.as_deref())?;
        }
        let stored = self.newer.device_groups.get_mut(&request.id).ok_or_else(unknown_group)?;
        let mut group = stored.clone();
        set(&mut group.name, request.name);
        set(&mut group.categories, request.categories);
        set(&mut group.devices, request.devices);
        set(&mut group.exceptions, request.exceptions);
        set(&mut group.persistent, request.persistent);
        check_size(&group)?;
        let sync = (group.name != stored.name).into();
        context.broadcast("hub.device.group.updated", &DeviceGroup { sync, ..group.clone() });
        *stored = group;
        done()
    }

    pub(crate) fn device_group_delete(&mut self, request: GroupDelete, context: &mut Context<'_>) -> Answer<Empty> {
        let group = self.newer.device_groups.get(&request.id).ok_or_else(unknown_group)?;
        refuse_persistent(&group.persistent, &request.force)?;
        self.newer.device_groups.shift_remove(&request.id);
        context.broadcast("hub.device.group.deleted", &GroupDeleted { id: request.id, ..GroupDeleted::default() });
        done()
    }

    pub(crate) fn device_group_find(&self, request: DeviceGroupSearch, _: &Context<'_>) -> Answer<DeviceGroupsFound> {
        let ids = NameFilter::new(&request.ids);
        let named = |id: &str| ids.includes(id) && request.id.get().is_none_or(|wanted| wanted == id);
        let has = |group: &DeviceGroup| {
            let rules = group.categories.get().and_then(Value::as_array);
            let mut rules = rules.into_iter().flatten();
            let category = request.category.as_deref();
            let subcategory = request.subcategory.as_deref();
            let by_category = category.is_none() && subcategory.is_none()
                || rules.any(|rule| rule_concerns(rule, category, subcategory));
            let device = request.device_id.get();
            by_category && device.is_none_or(|device| self.in_group(group, device))
        };
        let found = self.newer.device_groups.iter().filter(|(id, group)| named(id) && has(group));
        let brief = |(id, group): (&String, &DeviceGroup)| DeviceGroup {
            id: id.clone().into(),
            name: group.name.clone(),
            ..DeviceGroup::default()
        };
        Ok(DeviceGroupsFound { groups: found.map(brief).collect(), ..DeviceGroupsFound::default() })
    }

    /// Returns whether a group includes a device, by name or by category.
    pub(crate) fn in_group(&self, group: &DeviceGroup, id: &DeviceId) -> bool {
        let lists = |list: &Field<Vec<DeviceId>>| list.get().is_some_and(|devices| devices.contains(id));
        if lists(&group.exceptions) {
            return false;
        }
        let by_category = |device: &Device| {
            let category = device.category.get().map(|category| category.as_str());
            let subcategory = device.subcategory.get().map(|subcategory| subcategory.as_str());
            let rules = group.categories.get().and_then(Value::as_array);
            rules.into_iter().flatten().any(|rule| rule_includes(rule, category, subcategory))
        };
        lists(&group.devices) || self.devices.get(id).is_some_and(by_category)
    }

    /// Returns the devices of a group; none if there is no such group.
    pub(crate) fn devices_of_group(&self, group: &str) -> Vec<DeviceId> {
        let Some(group) = self.newer.device_groups.get(group) else { return Vec::new() };
        self.devices.keys().filter(|id| self.in_group(group, id)).cloned().collect()
    }

    /// Returns the work of comparing all devices with a group, in actions of a scene (one action costs about 10 us).
    pub(crate) fn scan_work(&self, group: &str) -> usize {
        let bytes = self.newer.device_groups.get(group).map_or(0, encoded_len);
        self.devices.len() * (1 + bytes / 1024) / 100
    }

    /// Returns the items of a group of items on the devices of a group.
    pub(crate) fn items_of_groups(&self, devices: &str, items: &str) -> Vec<ItemId> {
        let Some(names) = self.newer.item_groups.get(items).and_then(|group| group.item_names.get()) else {
            return Vec::new();
        };
        let devices = self.devices_of_group(devices);
        let items = devices.iter().flat_map(|device| self.items_of(device));
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let has_name = |item: &&Item| item.name.as_deref().is_some_and(|name| names.contains(name));
        items.filter(has_name).map(|item| item.id.clone()).collect()
    }

    pub(crate) fn item_groups_list(&self, query: GroupQuery, _: &Context<'_>) -> Answer<ItemGroupList> {
        let all: Vec<&ItemGroup> = self.newer.item_groups.values().collect();
        let version = version_of(&all);
        let is_current = query.version.get() == Some(&version);
        let ids = NameFilter::new(&query.ids);
        let groups = self.newer.item_groups.iter().filter(|(id, _)| ids.includes(id)).map(|(_, group)| group.clone());
        let groups: Field<Vec<ItemGroup>> = (!is_current).then(|| groups.collect::<Vec<_>>()).into();
        let list = ItemGroupList { version: version.into(), ..ItemGroupList::default() };
        // EzloPi spells the member without `s` (pi).
        Ok(if self.family.item_group_member {
            ItemGroupList { group: groups, ..list }
        } else {
            ItemGroupList { groups, ..list }
        })
    }

    pub(crate) fn item_group_create(&mut self, request: ItemGroup, context: &mut Context<'_>) -> Answer<Empty> {
        check_name(request.name.as_deref())?;
        check_item_group(&request)?;
        if self.newer.item_groups.len() >= MAX_GROUPS {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let id = self.new_id();
        let group = ItemGroup {
            id: id.clone().into(),
            persistent: request.persistent.get().copied().unwrap_or_default().into(),
            ..request
        };
        context.broadcast("hub.item.group.created", &group);
        self.newer.item_groups.insert(id, group);
        done()
    }

    pub(crate) fn item_group_get(&self, request: GroupRef, _: &Context<'_>) -> Answer<ItemGroup> {
        self.newer.item_groups.get(&request.id).cloned().ok_or_else(unknown_group)
    }

    pub(crate) fn item_group_update(&mut self, request: ItemGroupUpdate, context: &mut Context<'_>) -> Answer<Empty> {
        if !request.name.is_absent() {
            check_name(request.name.as_deref())?;
        }
        let stored = self.newer.item_groups.get_mut(&request.id).ok_or_else(unknown_group)?;
        let mut group = stored.clone();
        set(&mut group.name, request.name);
        set(&mut group.item_names, request.item_names);
        set(&mut group.has_getter, request.has_getter);
        set(&mut group.has_setter, request.has_setter);
        set(&mut group.persistent, request.persistent);
        set(&mut group.value_type, request.value_type);
        set(&mut group.tokens, request.tokens);
        set(&mut group.family, request.family);
        check_item_group(&group)?;
        let sync = (group.name != stored.name).into();
        context.broadcast("hub.item.group.updated", &ItemGroup { sync, ..group.clone() });
        *stored = group;
        done()
    }

    pub(crate) fn item_group_delete(&mut self, request: GroupDelete, context: &mut Context<'_>) -> Answer<Empty> {
        let group = self.newer.item_groups.get(&request.id).ok_or_else(unknown_group)?;
        refuse_persistent(&group.persistent, &request.force)?;
        self.newer.item_groups.shift_remove(&request.id);
        context.broadcast("hub.item.group.deleted", &GroupDeleted { id: request.id, ..GroupDeleted::default() });
        done()
    }

    /// Returns the devices of a group, with their items of a group of items.
    pub(crate) fn group_expand(&self, request: GroupExpand, _: &Context<'_>) -> Answer<GroupExpanded> {
        let group = self.newer.device_groups.get(&request.device_group_id).ok_or_else(unknown_group)?;
        let names = match request.item_group_id.get() {
            Some(id) => Some(self.newer.item_groups.get(id).ok_or_else(unknown_group)?),
            None => None,
        };
        let wanted: Option<HashSet<&str>> =
            names.map(|group| group.item_names.get().into_iter().flatten().map(String::as_str).collect());
        let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
        let mut devices = Vec::new();
        for id in self.devices.keys().filter(|id| self.in_group(group, id)) {
            let items: Vec<ExpandedItem> = self
                .items_of(id)
                .filter_map(|item| {
                    let name = item.name.as_deref().filter(|name| is_wanted(name))?.to_owned();
                    Some(ExpandedItem { item_id: item.id.clone(), name, ..ExpandedItem::default() })
                })
                .collect();
            if names.is_some() && items.is_empty() {
                continue;
            }
            let items: Field<_> = (request.show_items.get() == Some(&true)).then_some(items).into();
            devices.push(ExpandedDevice { device_id: id.clone(), items, ..ExpandedDevice::default() });
        }
        let version = version_of(&devices);
        let is_current = request.version.get() == Some(&version);
        let devices: Field<_> = (!is_current).then_some(devices).into();
        Ok(GroupExpanded { devices, version: version.into(), ..GroupExpanded::default() })
    }
}

fn refuse_persistent(persistent: &Field<bool>, force: &Field<bool>) -> Answer<()> {
    if persistent.get() == Some(&true) && force.get() != Some(&true) {
        return Err(RpcError::new(-32602, "rpc.params.invalid", "A persistent group is deleted only with force"));
    }
    Ok(())
}

fn check_item_group(group: &ItemGroup) -> Answer<()> {
    check_size(group)?;
    let names = group.item_names.get().ok_or_else(|| missing("itemNames"))?;
    if names.is_empty() || names.len() > MAX_MEMBERS {
        return Err(RpcError::known("rpc.params.invalid"));
    }
    if group.value_type.get().is_none() && group.family.get().is_none() {
        return Err(missing("valueTypeFamily"));
    }
    let is_token = group.value_type.as_deref() == Some("token");
    if !is_token && group.tokens.get().is_some() {
        return Err(RpcError::known("rpc.params.invalid"));
    }
    Ok(())
}

/// Returns whether a rule `{category?, subcategories?, exceptions?}` includes a device with this category and subcategory.
fn rule_includes(rule: &Value, category: Option<&str>, subcategory: Option<&str>) -> bool {
    let list = |member: &str| rule[member].as_array().map_or(&[][..], Vec::as_slice);
    let contains = |list: &[Value]| subcategory.is_some_and(|name| list.iter().any(|entry| *entry == *name));
    let subcategories = list("subcategories");
    rule["category"].as_str().is_none_or(|wanted| Some(wanted) == category)
        && (subcategories.is_empty() || contains(subcategories))
        && !contains(list("exceptions"))
}

/// Returns whether a rule is about a category and a subcategory. A name that is absent matches every rule.
fn rule_concerns(rule: &Value, category: Option<&str>, subcategory: Option<&str>) -> bool {
    let is_category = category.is_none() || rule["category"].as_str().is_none_or(|wanted| Some(wanted) == category);
    let subcategories = rule["subcategories"].as_array().filter(|list| !list.is_empty());
    let is_subcategory = subcategory.is_none_or(|name| {
        subcategories.is_none_or(|list| list.iter().any(|entry| *entry == *name))
            && !rule["exceptions"].as_array().is_some_and(|list| list.iter().any(|entry| *entry == *name))
    });
    is_category && is_subcategory
}
