//! State of a hub that its handlers share. The types do not depend on `Hub`.

use ezlo_protocol::hub::SettingId;
use ezlo_protocol::hub::setting::DeviceSetting;
use indexmap::IndexMap;

pub(crate) mod alarm;
pub(crate) mod behaviours;
pub(crate) mod device_traits;
pub(crate) mod firmware;
pub(crate) mod item_variants;
pub(crate) mod modes;
pub(crate) mod newer;
pub(crate) mod plugin_gateway;
pub(crate) mod scene_events;
pub(crate) mod scene_runs;
pub(crate) mod scene_sources;
pub(crate) mod scene_work;
pub(crate) mod settings;
pub(crate) mod setup_fault;
pub(crate) mod signals;
pub(crate) mod time_conditions;
pub(crate) mod watched_scene;
pub(crate) mod wifi;
pub(crate) mod zwave;

/// Ids of the favourite devices, items and scenes.
pub(crate) type FavoriteLists = [Vec<String>; 3];

/// Settings of all devices.
pub(crate) type DeviceSettings = IndexMap<SettingId, DeviceSetting>;
