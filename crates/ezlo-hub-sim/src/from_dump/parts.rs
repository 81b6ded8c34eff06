//! The parts of a world file that describe the house of a dump.

use std::collections::{BTreeMap, HashMap};

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::catalogue::Subcategory;
use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::gateway::Gateway;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::mode::{EntryDelay, Mode, ModesState};
use ezlo_protocol::hub::scene::{Block, Scene};
use ezlo_protocol::wire::{Field, Loose};
use serde_json::{Value, json};

use super::known;
use super::pseudonymize::{Pseudonyms, is_pattern, is_type_id, is_type_path, plain_token, scrub};
use super::scene_blocks::Blocks;
use crate::item_codes::holds_codes;
use crate::world_file::{
    ActionFile, ConditionFile, DeviceFile, EntryDelayFile, GatewayFile, HouseModeFile, HouseModesFile, ItemFile,
    RawFile, SceneFile,
};

/// Pseudonyms of rooms, devices and gateways by their ids.
#[derive(Default)]
pub(super) struct Names<'a> {
    pub(super) rooms: HashMap<&'a str, String>,
    pub(super) devices: HashMap<&'a str, String>,
    pub(super) gateways: HashMap<&'a str, String>,
}

pub(super) fn device(
    device: &Device,
    items: &[Item],
    names: &Names<'_>,
    pseudonyms: &mut Pseudonyms,
) -> Option<DeviceFile> {
    let id = device.id()?;
    let items = items.iter().filter(|item| item.device_id.get() == Some(id));
    let gateway = device.gateway_id.get().and_then(|gateway| names.gateways.get(gateway.as_str()));
    Some(DeviceFile {
        name: names.devices.get(id.as_str())?.clone(),
        room: device.room().and_then(|room| names.rooms.get(room.as_str())).cloned(),
        parent: device.parent_device_id.get().and_then(|parent| names.devices.get(parent.as_str())).cloned(),
        category: device
            .category
            .get()
            .filter(|category| category.is_known())
            .map(|category| category.as_str().to_owned())
            .or_else(|| Some("unknown".into())),
        subcategory: device.subcategory.get().filter(|kind| Subcategory::from(kind.as_str()).is_known()).cloned(),
        kind: device.kind.get().filter(|kind| known::is_device_type(kind)).cloned(),
        device_type_id: device.device_type_id.get().filter(|id| is_type_id(id)).cloned(),
        battery_powered: device.battery_powered.get() == Some(&true),
        armed: device.armed.get().copied(),
        reachable: device.reachable.get().copied().filter(|reachable| !reachable),
        status: known::status(device.status.as_deref()),
        security: known::security(device.security.as_deref()),
        persistent: device.persistent.get().copied(),
        info: device.info.get().and_then(|info| known::device_info(&info.value())),
        gateway: gateway.filter(|name| *name != "zwave").cloned(),
        items: items.filter_map(|item| describe(item, pseudonyms)).collect(),
        ..DeviceFile::default()
    })
}

fn describe(item: &Item, names: &mut Pseudonyms) -> Option<ItemFile> {
    let kind = item.value_type.get()?;
    let number = |bound: Option<f64>| bound.map(Value::from);
    let name = item.name.get()?;
    let value = match item.value.get() {
        // Lock codes are secrets regardless of their type.
        Some(value) if holds_codes(item) && value.is_number() => Some(json!(0)),
        Some(value) => Some(scrub(kind, item.element_type.as_deref(), value, names)),
        None => None,
    };
    Some(ItemFile {
        name: known::item_name(name, names),
        value_type: Some(kind.as_str().to_owned()).filter(|_| kind.is_known()).or_else(|| Some("string".into())),
        value: value.filter(|value| !value.is_null() && kind.is_known()),
        null_value: matches!(item.value, Field::Null | Field::Value(Value::Null)),
        scale: item.scale.get().filter(|scale| scale.is_known()).map(|scale| scale.as_str().to_owned()),
        has_getter: item.has_getter.get().copied(),
        has_setter: item.has_setter.get().copied(),
        show: item.show.get().copied().filter(|show| !show),
        tokens: item.tokens.get().map(|tokens| tokens.iter().map(|token| plain_token(token, names)).collect()),
        element_type: item.element_type.get().filter(|kind| is_type_path(kind)).cloned(),
        elements_max_number: item.elements_max_number.get().copied(),
        user_code_restriction: item.user_code_restriction.get().filter(|rule| is_pattern(rule)).cloned(),
        user_code_modes: item.user_code_modes.get().and_then(|modes| known::code_modes(modes)),
        info: item.info.get().and_then(known::item_info),
        min_value: number(item.minimum()),
        max_value: number(item.maximum()),
    })
}

pub(super) fn scene(scene: &Scene, items: &[Item], names: &Names<'_>, pseudonyms: &mut Pseudonyms) -> SceneFile {
    let language = Blocks { items, devices: &names.devices };
    let mut anonymous = |blocks: Option<&Vec<Block>>| -> Vec<Value> {
        blocks.into_iter().flatten().filter_map(|block| language.anonymous(block, pseudonyms)).collect()
    };
    let raw = |block| ActionFile::Raw(RawFile { block });
    let mut actions =
        |blocks: Option<&Vec<Block>>| -> Vec<ActionFile> { anonymous(blocks).into_iter().map(raw).collect() };
    let then = actions(scene.then.get());
    let otherwise = actions(scene.otherwise.get());
    let mut groups = |groups: &Field<BTreeMap<String, Vec<Block>>>| -> BTreeMap<String, Vec<ActionFile>> {
        let numbered = groups.get().into_iter().flatten().enumerate();
        numbered.map(|(at, (_, blocks))| (format!("group {}", at + 1), actions(Some(blocks)))).collect()
    };
    let (then_groups, else_groups) = (groups(&scene.then_groups), groups(&scene.else_groups));
    let conditions = |blocks: Vec<Value>| -> Vec<ConditionFile> {
        blocks.into_iter().map(|block| ConditionFile::Raw(RawFile { block })).collect()
    };
    let (when, exceptions) = (conditions(anonymous(scene.when.get())), conditions(anonymous(scene.exceptions.get())));
    let modes = scene.house_modes.get().filter(|modes| modes.len() < 4);
    SceneFile {
        name: pseudonyms.of("Scene", scene.id.get().map_or("", |id| id.as_str())),
        enabled: scene.enabled.get().copied(),
        room: scene.parent_id.get().and_then(|room| names.rooms.get(room.as_str())).cloned(),
        modes: modes.into_iter().flatten().map(|mode| mode.as_str().to_owned()).collect(),
        exec_policy: known::exec_policy(scene.exec_policy.as_deref()),
        when,
        exceptions,
        then,
        otherwise,
        then_groups,
        else_groups,
    }
}

/// Returns the gateways of plugins, besides the radio of the hub.
pub(super) fn gateways<'a>(
    gateways: &'a [Gateway],
    names: &mut Names<'a>,
    pseudonyms: &mut Pseudonyms,
) -> Vec<GatewayFile> {
    let mut files = Vec::new();
    for gateway in gateways {
        let (Some(id), Some(name)) = (gateway.id.get(), gateway.name.as_deref()) else { continue };
        let plain = known::gateway_name(name, pseudonyms);
        let plugin = gateway.plugin_id.as_deref().map(|plugin| known::gateway_name(plugin, pseudonyms));
        if plain != "zwave" && !files.iter().any(|file: &GatewayFile| file.name == plain) {
            let plugin = plugin.filter(|plugin| *plugin != plain);
            files.push(GatewayFile { name: plain.clone(), label: None, plugin });
        }
        names.gateways.insert(id.as_str(), plain);
    }
    files
}

/// Returns the settings of the house modes. Users to notify are personal and omitted.
pub(super) fn house_modes(state: &ModesState, names: &Names<'_>) -> HouseModesFile {
    let seconds = |delay: &Field<Loose<i64>>| delay.get().map(|delay| *delay.get());
    let delays = |delay: &EntryDelay| EntryDelayFile {
        normal: seconds(&delay.normal),
        extended: seconds(&delay.extended),
        long_extended: seconds(&delay.long_extended),
        instant: seconds(&delay.instant),
    };
    let devices = |ids: &Field<Vec<DeviceId>>| -> Vec<String> {
        ids.get().into_iter().flatten().filter_map(|id| names.devices.get(id.as_str()).cloned()).collect()
    };
    let mode = |mode: &Mode| HouseModeFile {
        id: mode.id.as_str().to_owned(),
        switch_delay_s: seconds(&mode.switch_to_delay),
        alarm_delay_s: seconds(&mode.alarm_delay),
        disarmed_default: mode.disarmed_default.get().copied(),
        protect: mode.protect.get().copied(),
        disarmed: devices(&mode.disarmed_devices),
        alarms_off: devices(&mode.alarms_off_devices),
        cameras_off: devices(&mode.cameras_off_devices),
        bypass: devices(&mode.bypass_devices),
    };
    let is_standard = |mode: &&Mode| matches!(mode.id.as_str(), "1" | "2" | "3" | "4");
    HouseModesFile {
        entry_delay: state.entry_delay.get().map(delays),
        modes: state.modes.iter().filter(is_standard).map(mode).collect(),
    }
}
