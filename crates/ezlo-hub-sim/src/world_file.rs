//! World files: users, Wi-Fi networks and hubs of a simulated cloud at its start, in TOML.

use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::secret::{Passkey, Password};
use ezlo_protocol::serial::Serial;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::encoding::hex;
use crate::state::setup_fault::SetupFault;

mod house;
mod house_modes;
mod resolve;
mod validate;

pub use house::{ActionFile, BehaviourFile, ConditionFile, DeviceFile, ItemFile, RawFile, SceneFile};
pub use house_modes::{EntryDelayFile, HouseModeFile, HouseModesFile};
pub use resolve::Finders;
pub(crate) use resolve::resolved_groups;

/// Names and texts of the bundled worlds.
const BUNDLED: &[(&str, &str)] = &[
    ("demo", include_str!("../worlds/demo.toml")),
    ("bare", include_str!("../worlds/bare.toml")),
    ("villa", include_str!("../worlds/villa.toml")),
    ("block", include_str!("../worlds/block.toml")),
    ("hostile", include_str!("../worlds/hostile.toml")),
];

/// Maximum size of a world file in bytes (16 MiB). Callers must check it before they read a file.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A parsed and checked world file.
///
/// ```
/// use ezlo_hub_sim::world_file::{HubKind, WorldFile};
///
/// let text = r#"
///     [[hubs]]
///     serial = "90000001"
///     mac = "AA:BB:CC:00:00:01"
///     kind = "linux"
///     model = "h2.1"
///     rooms = ["Hall"]
///     devices = [{ template = "door_sensor", name = "Front door", room = "Hall" }]
/// "#;
/// let world = WorldFile::parse("house.toml", text)?;
/// assert_eq!(world.hubs[0].kind, HubKind::Linux);
///
/// let error = WorldFile::parse("house.toml", &text.replace("door_sensor", "toaster")).unwrap_err();
/// assert!(error.to_string().contains("toaster"));
/// assert!(WorldFile::bundled("demo").is_some());
/// # Ok::<(), ezlo_hub_sim::world_file::WorldFileError>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorldFile {
    /// SHA-256 of the text in hexadecimal. Persisted state is resumed only with the same world file.
    #[serde(skip)]
    pub digest: String,
    /// Users, with copies expanded.
    pub users: Vec<UserFile>,
    /// Wi-Fi networks in range of all hubs, in the order of scan results.
    pub wifi: Vec<WifiFile>,
    /// Hubs. An entry with copies stands for several hubs.
    pub hubs: Vec<HubFile>,
}

/// A user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFile {
    /// Login name, unique without regard to case.
    pub username: String,
    /// Password.
    pub password: Password,
    /// E-mail address.
    pub email: String,
    /// `PK_Account`. Users with the same number share the account.
    pub account: u64,
    /// `PK_User`, unique.
    pub user: u64,
    /// `PK_Oem`, the brand of the account: 1 for Vera and Ezlo, 73 for Springs Window Fashions (default: 1). The first user of an
    /// account decides.
    #[serde(default = "own_brand")]
    pub oem: i64,
    /// Serials of hubs of the account that the user's list of local keys lacks (default: none).
    #[serde(default)]
    pub missing_keys: Vec<Serial>,
    /// Number of users that the entry stands for (default: 1). Account and user number count up, and `{n}` in name and e-mail
    /// address becomes the number of the copy, from 1 on. `None` after parsing.
    pub copies: Option<u32>,
}

/// `PK_Oem` of Vera and Ezlo.
const fn own_brand() -> i64 {
    1
}

/// A Wi-Fi network in range of the hubs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WifiFile {
    /// Name of the network.
    pub ssid: String,
    /// Key of the network. A network without a key accepts every key.
    pub passkey: Option<Passkey>,
    /// The ready line of `mock-cloud` lists the network and its key (default: false). Other networks are for failure tests.
    #[serde(default)]
    pub published: bool,
    /// Signal strength in dBm.
    pub rssi: i64,
    /// Encryption as reported by the hub, such as `wpa2-psk`, `wep` or `open`.
    pub encryption: String,
}

/// A hub and its house, or several equal ones.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubFile {
    /// Serial of the hub, or of the first copy.
    pub serial: Serial,
    /// Hardware address of the hub, or of the first copy.
    pub mac: MacAddress,
    /// Firmware family.
    pub kind: HubKind,
    /// Model name, such as `h2.1`.
    pub model: String,
    /// Name of the user whose account owns the hub; `None` for an unclaimed hub.
    pub owner: Option<String>,
    /// Connected to its network and to the relay at the start (default: false).
    #[serde(default)]
    pub online: bool,
    /// Number of hubs that the entry stands for (default: 1). Serial and hardware address count up, and `{n}` in the name of
    /// the owner becomes the number of the copy, from 1 on.
    pub copies: Option<u32>,
    /// Categories and value types that are not in the catalogue are allowed (default: false).
    #[serde(default)]
    pub unknown_words: bool,
    /// `true` opens the local ports of a family that has none, `false` closes them (default: as in the family).
    pub local: Option<bool>,
    /// Local calls need no login (default: false).
    #[serde(default)]
    pub anonymous_access: bool,
    /// The local ports also accept clear text (default: false).
    #[serde(default)]
    pub insecure_access: bool,
    /// Location of the hub (default: latitude 0, longitude 0, `Etc/UTC`).
    pub location: Option<LocationFile>,
    /// Id of the house mode at the start, `1` to `4` (default: `1`, Home).
    pub mode: Option<String>,
    /// Settings of the house modes (default: those of a new hub).
    pub house_modes: Option<HouseModesFile>,
    /// Fault of the first set-up that is active from the start.
    pub setup_fault: Option<SetupFault>,
    /// Firmware version (default: as in the family).
    pub firmware: Option<String>,
    /// Gateways of plugins, with unique names.
    #[serde(default)]
    pub gateways: Vec<GatewayFile>,
    /// Names of the rooms, unique.
    #[serde(default)]
    pub rooms: Vec<String>,
    /// Devices, with unique names.
    #[serde(default)]
    pub devices: Vec<DeviceFile>,
    /// Scenes, with unique names.
    #[serde(default)]
    pub scenes: Vec<SceneFile>,
    /// Behaviours of devices. They run only with the assumption `simulate_behaviours`.
    #[serde(default)]
    pub behaviours: Vec<BehaviourFile>,
    /// Templates of devices that answer an inclusion automatically, in this order. After the last one, `metered_plug`
    /// answers.
    #[serde(default)]
    pub zwave: Vec<String>,
}

/// A gateway of a plugin.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayFile {
    /// Name of the gateway, unique in the hub.
    pub name: String,
    /// Label for users (default: the name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Id of the plugin (default: the name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
}

/// The location of a hub.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LocationFile {
    /// Latitude in degrees, -90 to 90.
    pub latitude: f64,
    /// Longitude in degrees, -180 to 180.
    pub longitude: f64,
    /// Name in the time-zone database, such as `Europe/Berlin`.
    pub timezone: String,
}

/// The firmware family of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HubKind {
    /// Ezlo firmware for Linux.
    Linux,
    /// RTOS firmware of Atom and PlugHub.
    Rtos,
    /// EzloPi, the open-source firmware for ESP32 boards.
    Ezlopi,
    /// Native Vera firmware, reachable through the legacy HTTP relay only.
    Vera,
}

impl HubKind {
    /// Returns the name in world files: `linux`, `rtos`, `ezlopi` or `vera`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Rtos => "rtos",
            Self::Ezlopi => "ezlopi",
            Self::Vera => "vera",
        }
    }
}

/// A world file is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {text}")]
pub struct WorldFileError {
    /// Name or path of the world file.
    pub name: String,
    /// Line if it is known, key or hub, and reason.
    pub text: String,
}

impl WorldFile {
    /// Returns a bundled world, or `None` if no bundled world has this name.
    pub fn bundled(name: &str) -> Option<Self> {
        let (_, text) = BUNDLED.iter().find(|(bundled, _)| *bundled == name)?;
        // A test ensures that all bundled worlds are valid.
        Self::parse(name, text).ok()
    }

    /// Returns the names of the bundled worlds.
    pub fn bundled_names() -> impl Iterator<Item = &'static str> {
        BUNDLED.iter().map(|(name, _)| *name)
    }

    /// Parses and checks a world file. `name` is used in errors only.
    ///
    /// # Errors
    ///
    /// Returns an error with line, key and reason if the text is not TOML, has unknown keys, refers to names that do not
    /// exist, repeats a unique name, or contains values outside their limits.
    pub fn parse(name: &str, text: &str) -> Result<Self, WorldFileError> {
        let wrong = |text| WorldFileError { name: name.to_owned(), text };
        let mut world: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        world.digest = hex(&Sha256::digest(text));
        let located = |fault: String| wrong(with_line(text, &fault));
        let world = world.with_copies().map_err(located)?;
        world.check().map_err(located)?;
        Ok(world)
    }
}

/// Prefixes an error text with its line number, if it can be found.
///
/// The text names hub, device and so on from outer to inner. Each name is searched from the previous one on; the line is that
/// of the last name found.
fn with_line(text: &str, fault: &str) -> String {
    let mut from = 0;
    let mut found = None;
    let hub = fault.strip_prefix("hub ").and_then(|rest| rest.split([' ', ':']).next());
    let quoted = fault.split('"').skip(1).step_by(2);
    for name in hub.into_iter().chain(quoted) {
        let here = [format!("\"{name}\""), name.to_owned()].iter().find_map(|form| text[from..].find(form.as_str()));
        if let Some(at) = here.filter(|_| !name.is_empty()) {
            from += at;
            found = Some(from);
        }
    }
    match found {
        Some(at) => {
            format!("line {}: {fault}", text[..at].lines().count().max(1) + usize::from(text[..at].ends_with('\n')))
        }
        None => fault.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        WorldFile::parse("w.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn bundled_worlds_are_valid() {
        for (name, _) in BUNDLED {
            WorldFile::bundled(name).unwrap();
        }
    }

    #[test]
    fn errors_name_the_line_and_the_reason() {
        assert!(error("[[users]]\nusernam = 1\n").contains("line 2"));
        let hub = "[[hubs]]\nserial = \"90000001\"\nmac = \"AA:BB:CC:00:00:01\"\nkind = \"linux\"\nmodel = \"h2.1\"\n";
        assert!(error(&format!("{hub}owner = \"x\"\n")).contains("hub 90000001: no user is called \"x\""));
        assert!(error(&format!("{hub}{hub}")).contains("twice"));
        let device = "[[hubs.devices]]\ntemplate = \"toaster\"\nname = \"T\"\n";
        assert!(error(&format!("{hub}{device}")).contains("no template \"toaster\""));
        assert!(WorldFile::bundled("nowhere").is_none());
    }
}
