//! Conversion of the replies of a real hub into a world file with pseudonyms.
//!
//! Kinds and capabilities of devices, readings, known tokens and the structure of scenes are retained. Names, serial,
//! hardware address, location, codes, texts and network addresses are replaced. The same input produces the same pseudonyms.

use std::collections::HashMap;

use ezlo_protocol::hub::catalogue::{ItemName, Subcategory};
use ezlo_protocol::hub::device::Device;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::{Block, Scene};
use ezlo_protocol::wire;
use serde::Serialize;
use serde_json::{Value, json};

use self::pseudonymize::{Pseudonyms, has_codes, is_pattern, is_type_id, is_type_path, plain_token, scrub};
use self::scene_blocks::Blocks;
use crate::templates;
use crate::world_file::{
    ActionFile, ConditionFile, DeviceFile, ItemFile, RawFile, SceneFile, WorldFile, WorldFileError,
};

mod pseudonymize;
mod scene_blocks;

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

/// The decoded replies of a hub.
#[derive(Default)]
struct Dump {
    info: Value,
    devices: Vec<Device>,
    items: Vec<Item>,
    rooms: Vec<Room>,
    scenes: Vec<Scene>,
    mode: Option<String>,
}

/// Converts the replies of a real hub into the text of a world file, with pseudonyms for everything personal.
///
/// Each document is a name, used in errors only, and the JSON of a whole reply or of its member `result`. It is recognised by
/// its content. Used are the replies to `hub.info.get`, `hub.devices.list`, `hub.items.list`, `hub.room.list`,
/// `hub.scenes.list` and `hub.modes.get`; only the devices are required.
///
/// ```
/// use ezlo_hub_sim::from_dump;
/// use ezlo_hub_sim::world_file::WorldFile;
///
/// let devices = r#"{"result": {"devices": [{"_id": "d1", "name": "Lamp of Anna", "category": "dimmable_light"}]}}"#;
/// let text = from_dump([("hub.devices.list.json", devices.as_bytes())])?;
/// assert!(!text.contains("Anna"));
///
/// let world = WorldFile::parse("converted.toml", &text)?;
/// assert_eq!(world.hubs[0].devices[0].name, "Dimmable light 1");
/// # Ok::<(), ezlo_hub_sim::DumpError>(())
/// ```
///
/// # Errors
///
/// Returns [`DumpError::Content`] if a document is not JSON or cannot be decoded, [`DumpError::NoDevices`] if no document
/// contains devices, [`DumpError::Write`] if the result cannot be serialised, and [`DumpError::World`] if it is not a valid
/// world file.
pub fn from_dump<'a>(documents: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<String, DumpError> {
    let mut dump = Dump::default();
    for (name, text) in documents {
        dump.take(name, text)?;
    }
    if dump.devices.is_empty() {
        return Err(DumpError::NoDevices);
    }
    let text = dump.world()?;
    WorldFile::parse("(converted replies)", &text)?;
    Ok(text)
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
        }
        if result.is_array() && result[0]["_id"].is_string() && result[0]["name"].is_string() {
            self.rooms = wire::from_value(result).map_err(typed)?;
        }
        if let (Some(mode), true) = (result["current"].as_str(), result["modes"].is_array()) {
            self.mode = Some(mode.to_owned());
        }
        if result.get("serial").is_some() && result.get("model").is_some() {
            self.info = result.clone();
        }
        Ok(())
    }

    fn world(&self) -> Result<String, DumpError> {
        let mut names = Pseudonyms::default();
        let rooms: HashMap<&str, String> =
            self.rooms.iter().map(|room| (room.id.as_str(), names.of("Room", room.id.as_str()))).collect();
        let mut order: Vec<&str> = self.rooms.iter().map(|room| room.id.as_str()).collect();
        order.dedup();
        let mut devices: HashMap<&str, String> = HashMap::new();
        for device in &self.devices {
            if let Some(id) = device.id() {
                let known = device.category.get().filter(|category| category.is_known());
                let kind = known.map_or("device", |category| category.as_str());
                devices.insert(id.as_str(), names.of(&spoken(kind), id.as_str()));
            }
        }
        let mut files: Vec<DeviceFile> = Vec::new();
        // A world file lists a parent before its parts.
        let is_part = |device: &&Device| {
            device.parent_device_id.get().is_some_and(|parent| devices.contains_key(parent.as_str()))
        };
        let (parts, wholes): (Vec<&Device>, Vec<&Device>) = self.devices.iter().partition(is_part);
        for device in wholes.into_iter().chain(parts) {
            files.extend(self.device(device, &devices, &rooms, &mut names));
        }
        let text = |member: &str| self.info[member].as_str().unwrap_or_default();
        let hub = HubOut {
            serial: SERIAL,
            mac: MAC,
            kind: family(&self.info),
            model: plain_model(text("model")),
            owner: "demo.user",
            online: true,
            mode: self.mode.as_deref().filter(|mode| *mode != "1"),
            rooms: order.iter().filter_map(|id| rooms.get(id)).map(String::as_str).collect(),
            devices: files,
            scenes: self.scenes.iter().map(|scene| self.scene(scene, &devices, &rooms, &mut names)).collect(),
        };
        let world = WorldOut { users: [USER], hubs: [hub] };
        toml::to_string_pretty(&world).map_err(|error| DumpError::Write(error.to_string()))
    }

    fn device(
        &self,
        device: &Device,
        names: &HashMap<&str, String>,
        rooms: &HashMap<&str, String>,
        pseudonyms: &mut Pseudonyms,
    ) -> Option<DeviceFile> {
        let id = device.id()?;
        let items = self.items.iter().filter(|item| item.device_id.get() == Some(id));
        Some(DeviceFile {
            template: None,
            name: names.get(id.as_str())?.clone(),
            room: device.room().and_then(|room| rooms.get(room.as_str())).cloned(),
            parent: device.parent_device_id.get().and_then(|parent| names.get(parent.as_str())).cloned(),
            category: device
                .category
                .get()
                .filter(|category| category.is_known())
                .map(|category| category.as_str().to_owned())
                .or_else(|| Some("unknown".into())),
            subcategory: device.subcategory.get().filter(|kind| Subcategory::from(kind.as_str()).is_known()).cloned(),
            kind: device.kind.get().filter(|kind| is_device_type(kind)).cloned(),
            device_type_id: device.device_type_id.get().filter(|id| is_type_id(id)).cloned(),
            battery_powered: device.battery_powered.get() == Some(&true),
            armed: device.armed.get().copied(),
            reachable: device.reachable.get().copied().filter(|reachable| !reachable),
            items: items.filter_map(|item| describe(item, pseudonyms)).collect(),
        })
    }

    fn scene(
        &self,
        scene: &Scene,
        devices: &HashMap<&str, String>,
        rooms: &HashMap<&str, String>,
        names: &mut Pseudonyms,
    ) -> SceneFile {
        let language = Blocks { items: &self.items, devices };
        let mut referring = |blocks: Option<&Vec<Block>>| -> Vec<Value> {
            blocks.into_iter().flatten().filter_map(|block| language.anonymous(block, names)).collect()
        };
        let when = referring(scene.when.get()).into_iter().map(|block| ConditionFile::Raw(RawFile { block })).collect();
        let raw = |block| ActionFile::Raw(RawFile { block });
        let then = referring(scene.then.get()).into_iter().map(raw).collect();
        let otherwise = referring(scene.otherwise.get()).into_iter().map(raw).collect();
        let modes = scene.house_modes.get().filter(|modes| modes.len() < 4);
        SceneFile {
            name: names.of("Scene", scene.id.get().map_or("", |id| id.as_str())),
            enabled: scene.enabled.get().copied(),
            room: scene.parent_id.get().and_then(|room| rooms.get(room.as_str())).cloned(),
            modes: modes.into_iter().flatten().map(|mode| mode.as_str().to_owned()).collect(),
            when,
            then,
            otherwise,
        }
    }
}

/// Returns the list with this name if its first element has the given members: `hub.modes.get` also has a list `devices`, of
/// ids.
fn list<'v>(result: &'v Value, name: &str, members: &[&str]) -> Option<&'v Value> {
    let found = result.get(name).filter(|list| list.is_array())?;
    let first = found.get(0)?;
    members.iter().all(|member| first.get(member).is_some()).then_some(found)
}

fn describe(item: &Item, names: &mut Pseudonyms) -> Option<ItemFile> {
    let kind = item.value_type.get()?;
    let number = |bound: Option<f64>| bound.map(Value::from);
    let name = item.name.get()?;
    let value = match item.value.get() {
        // Lock codes are secrets regardless of their type.
        Some(value) if has_codes(item) && value.is_number() => Some(json!(0)),
        Some(value) => Some(scrub(kind, item.element_type.as_deref(), value, names)),
        None => None,
    };
    Some(ItemFile {
        name: item_name(name, names),
        value_type: Some(kind.as_str().to_owned()).filter(|_| kind.is_known()).or_else(|| Some("string".into())),
        value: value.filter(|value| !value.is_null() && kind.is_known()),
        scale: item.scale.get().filter(|scale| scale.is_known()).map(|scale| scale.as_str().to_owned()),
        has_getter: item.has_getter.get().copied(),
        has_setter: item.has_setter.get().copied(),
        show: item.show.get().copied().filter(|show| !show),
        tokens: item.tokens.get().map(|tokens| tokens.iter().map(|token| plain_token(token, names)).collect()),
        element_type: item.element_type.get().filter(|kind| is_type_path(kind)).cloned(),
        elements_max_number: item.elements_max_number.get().copied(),
        user_code_restriction: item.user_code_restriction.get().filter(|rule| is_pattern(rule)).cloned(),
        min_value: number(item.minimum()),
        max_value: number(item.maximum()),
    })
}

/// Returns a category as text for users: `door_lock` as `Door lock`.
fn spoken(category: &str) -> String {
    let words = category.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Returns a name of the catalogue as it is. Any other name can be personal and gets a pseudonym.
fn item_name(name: &str, names: &mut Pseudonyms) -> String {
    if ItemName::from(name).is_known() { name.to_owned() } else { names.of("item", name) }
}

const DEVICE_TYPES: &[&str] =
    &["switch", "switch.inwall", "switch.outlet", "dimmer.inwall", "dimmer.outlet", "doorlock", "sensor"];

/// Returns whether a device type is known from a template or a capture. The vendor has not published a list of types.
fn is_device_type(kind: &str) -> bool {
    templates::TEMPLATES.iter().any(|template| template.kind() == kind) || DEVICE_TYPES.contains(&kind)
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
    owner: &'static str,
    online: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    rooms: Vec<&'a str>,
    devices: Vec<DeviceFile>,
    scenes: Vec<SceneFile>,
}
