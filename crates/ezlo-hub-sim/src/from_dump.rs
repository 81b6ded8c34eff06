//! Conversion of the replies of a real hub into a world file with pseudonyms.
//!
//! Kinds and capabilities of devices, readings, known tokens and the structure of scenes are retained. Names, serial,
//! hardware address, location, codes, texts and network addresses are replaced. The same input produces the same pseudonyms.

use std::collections::HashMap;

use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::gateway::Gateway;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::mode::ModesState;
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::Scene;
use ezlo_protocol::wire;
use serde::Serialize;
use serde_json::Value;

use self::parts::Names;
use self::pseudonymize::Pseudonyms;
use crate::world_file::{DeviceFile, GatewayFile, HouseModesFile, LocationFile, SceneFile, WorldFile, WorldFileError};

mod differences;
mod known;
mod parts;
mod pseudonymize;
mod round_trip;
mod scene_blocks;

pub use differences::{Difference, Fate};

/// Serial and hardware address of the hub in the result; both are invented.
const SERIAL: &str = "90000001";
const MAC: &str = "AA:BB:CC:00:00:01";

/// A dump cannot be converted into a world file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// A document is not JSON, or a list in it cannot be decoded.
    #[error("{name}: {reason}")]
    Content {
        /// Name of the document.
        name: String,
        /// Reason, as text.
        reason: String,
    },
    /// No document contains devices.
    #[error("no reply of hub.devices.list found; save the replies as <method>.json, such as hub.devices.list.json")]
    NoDevices,
    /// The result cannot be serialised as TOML.
    #[error("cannot serialise the world file: {0}")]
    Write(String),
    /// The result is not a valid world file, because the replies contradict each other.
    #[error("the resulting world file is not valid")]
    World(#[from] WorldFileError),
}

/// A converted dump.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversion {
    /// Text of the world file.
    pub world: String,
    /// Members of the replies that the simulated hub does not send as the real hub did.
    pub differences: Vec<Difference>,
}

/// The decoded replies of a hub, and those that are compared as a whole.
#[derive(Default)]
struct Dump {
    info: Value,
    devices: Vec<Device>,
    items: Vec<Item>,
    rooms: Vec<Room>,
    scenes: Vec<Scene>,
    modes: Value,
    gateways: Value,
    room_list: Value,
    scene_list: Value,
}

/// Converts the replies of a real hub into the text of a world file, with pseudonyms for everything personal.
///
/// Each document is a name, used in errors only, and the JSON of a whole reply or of its member `result`. It is recognised by
/// its content. Used are the replies to `hub.info.get`, `hub.devices.list`, `hub.items.list`, `hub.room.list`,
/// `hub.scenes.list`, `hub.modes.get` and `hub.gateways.list`; only the devices are required.
///
/// ```
/// use ezlo_hub_sim::from_dump;
/// use ezlo_hub_sim::world_file::WorldFile;
///
/// let devices = r#"{"result": {"devices": [{"_id": "d1", "name": "Lamp of Anna", "category": "dimmable_light"}]}}"#;
/// let conversion = from_dump([("hub.devices.list.json", devices.as_bytes())])?;
/// assert!(!conversion.world.contains("Anna"));
/// assert!(conversion.differences.iter().any(|difference| difference.path.ends_with("devices[0].name")));
///
/// let world = WorldFile::parse("converted.toml", &conversion.world)?;
/// assert_eq!(world.hubs[0].devices[0].name, "Dimmable light 1");
/// # Ok::<(), ezlo_hub_sim::DumpError>(())
/// ```
///
/// # Errors
///
/// Returns [`DumpError::Content`] if a document is not JSON or cannot be decoded, [`DumpError::NoDevices`] if no document
/// contains devices, [`DumpError::Write`] if the result cannot be serialised, and [`DumpError::World`] if it is not a valid
/// world file.
pub fn from_dump<'a>(documents: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Conversion, DumpError> {
    let mut dump = Dump::default();
    for (name, text) in documents {
        dump.take(name, text)?;
    }
    if dump.devices.is_empty() {
        return Err(DumpError::NoDevices);
    }
    let (world, devices) = dump.world()?;
    let file = WorldFile::parse("(converted replies)", &world)?;
    let differences = round_trip::differences(&dump, &file, &devices);
    Ok(Conversion { world, differences })
}

impl Dump {
    fn take(&mut self, name: &str, text: &[u8]) -> Result<(), DumpError> {
        let wrong = |reason: String| DumpError::Content { name: name.to_owned(), reason };
        let document: Value = serde_json::from_slice(text).map_err(|error| wrong(format!("not JSON: {error}")))?;
        let result = document.get("result").unwrap_or(&document);
        let typed = |error: wire::DecodeError| wrong(error.to_string());
        if let Some(devices) = list(result, "devices", &["category"]) {
            self.devices = wire::from_value(devices).map_err(typed)?;
        }
        if let Some(items) = list(result, "items", &["valueType"]) {
            self.items = wire::from_value(items).map_err(typed)?;
        }
        if let Some(scenes) = list(result, "scenes", &["when"]) {
            self.scenes = wire::from_value(scenes).map_err(typed)?;
            self.scene_list = result.clone();
        }
        if result.is_array() && result[0]["_id"].is_string() && result[0]["name"].is_string() {
            self.rooms = wire::from_value(result).map_err(typed)?;
            self.room_list = result.clone();
        }
        if result["current"].is_string() && result["modes"].is_array() {
            wire::from_value::<ModesState>(result).map_err(typed)?;
            self.modes = result.clone();
        }
        if list(result, "gateways", &["name"]).is_some() {
            wire::from_value::<Vec<Gateway>>(&result["gateways"]).map_err(typed)?;
            self.gateways = result.clone();
        }
        if result.get("serial").is_some() && result.get("model").is_some() {
            self.info = result.clone();
        }
        Ok(())
    }

    /// Returns the text of the world file, and the pseudonyms of the devices by their ids.
    fn world(&self) -> Result<(String, HashMap<String, String>), DumpError> {
        let mut pseudonyms = Pseudonyms::default();
        let gateways: Vec<Gateway> = wire::from_value(&self.gateways["gateways"]).unwrap_or_default();
        let modes: Option<ModesState> = wire::from_value(&self.modes).ok();
        let mut names = Names::default();
        for room in &self.rooms {
            names.rooms.insert(room.id.as_str(), pseudonyms.of("Room", room.id.as_str()));
        }
        let mut order: Vec<&str> = self.rooms.iter().map(|room| room.id.as_str()).collect();
        order.dedup();
        for device in &self.devices {
            if let Some(id) = device.id() {
                let known = device.category.get().filter(|category| category.is_known());
                let kind = known.map_or("device", |category| category.as_str());
                names.devices.insert(id.as_str(), pseudonyms.of(&spoken(kind), id.as_str()));
            }
        }
        let gateways = parts::gateways(&gateways, &mut names, &mut pseudonyms);
        let mut files: Vec<DeviceFile> = Vec::new();
        // A world file lists a parent before its parts.
        let is_part = |device: &&Device| {
            device.parent_device_id.get().is_some_and(|parent| names.devices.contains_key(parent.as_str()))
        };
        let (children, wholes): (Vec<&Device>, Vec<&Device>) = self.devices.iter().partition(is_part);
        for device in wholes.into_iter().chain(children) {
            files.extend(parts::device(device, &self.items, &names, &mut pseudonyms));
        }
        let text = |member: &str| self.info[member].as_str().unwrap_or_default();
        let timezone = self.info["location"]["timezone"].as_str().and_then(known::timezone);
        let mode = modes.as_ref().map(|modes| modes.current.as_str().to_owned());
        let hub = HubOut {
            serial: SERIAL,
            mac: MAC,
            kind: family(&self.info),
            model: plain_model(text("model")),
            firmware: known::version(text("firmware")),
            owner: "demo.user",
            online: true,
            insecure_access: self.info["offlineInsecureAccess"] == true,
            anonymous_access: self.info["offlineAnonymousAccess"] == true,
            mode: mode.filter(|mode| matches!(mode.as_str(), "2" | "3" | "4")),
            rooms: order.iter().filter_map(|id| names.rooms.get(id)).map(String::as_str).collect(),
            location: timezone.map(|timezone| LocationFile { latitude: 0.0, longitude: 0.0, timezone }),
            house_modes: modes.map(|modes| parts::house_modes(&modes, &names)),
            gateways,
            devices: files,
            scenes: self.scenes.iter().map(|scene| parts::scene(scene, &self.items, &names, &mut pseudonyms)).collect(),
        };
        let world = WorldOut { users: [USER], hubs: [hub] };
        let text = toml::to_string_pretty(&world).map_err(|error| DumpError::Write(error.to_string()))?;
        Ok((text, names.devices.into_iter().map(|(id, name)| (id.to_owned(), name)).collect()))
    }
}

/// Returns the list with this name if its first element has the given members: `hub.modes.get` also has a list `devices`, of
/// ids.
fn list<'v>(result: &'v Value, name: &str, members: &[&str]) -> Option<&'v Value> {
    let found = result.get(name).filter(|list| list.is_array())?;
    let first = found.get(0)?;
    members.iter().all(|member| first.get(member).is_some()).then_some(found)
}

/// Returns a category as text for users: `door_lock` as `Door lock`.
fn spoken(category: &str) -> String {
    let words = category.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn family(info: &Value) -> &'static str {
    let architecture = info["architecture"].as_str().unwrap_or_default();
    let model = info["model"].as_str().unwrap_or_default();
    match (architecture, model) {
        (_, model) if model.to_ascii_uppercase().starts_with("ATOM") || is_plug(model) => "rtos",
        (architecture, _) if architecture.starts_with("xtensa") => "ezlopi",
        _ => "linux",
    }
}

/// Returns whether the model is a PlugHub, which runs the firmware of the Atom.
fn is_plug(model: &str) -> bool {
    model.to_ascii_lowercase().replace([' ', '_', '-'], "").contains("plughub")
}

/// Returns the model if it looks like a model name, else `h2.1`. Other texts can be personal.
fn plain_model(model: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !model.is_empty() && model.len() <= 32 && model.chars().all(plain) { model } else { "h2.1" }
}

#[derive(Serialize)]
struct WorldOut<'a> {
    users: [UserOut; 1],
    hubs: [HubOut<'a>; 1],
}

#[derive(Serialize)]
struct UserOut {
    username: &'static str,
    password: &'static str,
    email: &'static str,
    account: u64,
    user: u64,
}

/// The user of the bundled world `demo`, so that the same credentials work in the result.
const USER: UserOut = UserOut {
    username: "demo.user",
    password: "demo-password",
    email: "demo.user@example.com",
    account: 1_200_001,
    user: 2_800_001,
};

#[derive(Serialize)]
struct HubOut<'a> {
    serial: &'static str,
    mac: &'static str,
    kind: &'static str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<String>,
    owner: &'static str,
    online: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    insecure_access: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    anonymous_access: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    rooms: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<LocationFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    house_modes: Option<HouseModesFile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gateways: Vec<GatewayFile>,
    devices: Vec<DeviceFile>,
    scenes: Vec<SceneFile>,
}
