//! World files: who and what there is when a simulated cloud starts.

use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::secret::{Passkey, Password};
use ezlo_protocol::serial::Serial;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::encoding::hex;
use crate::state::setup_fault::SetupFault;

mod house;
mod validate;

pub use house::{ActionFile, BehaviourFile, ConditionFile, DeviceFile, Finders, ItemFile, RawFile, SceneFile};

/// Worlds that come with the program.
const BUNDLED: &[(&str, &str)] = &[
    ("demo", include_str!("../worlds/demo.toml")),
    ("bare", include_str!("../worlds/bare.toml")),
    ("villa", include_str!("../worlds/villa.toml")),
    ("block", include_str!("../worlds/block.toml")),
    ("hostile", include_str!("../worlds/hostile.toml")),
];

/// Longest world file, in bytes. Readers must check it before they read a file.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A world file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorldFile {
    /// Of its text: a state goes on from this one only.
    #[serde(skip)]
    pub digest: String,
    pub users: Vec<UserFile>,
    pub wifi: Vec<WifiFile>,
    pub hubs: Vec<HubFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFile {
    pub username: String,
    pub password: Password,
    pub email: String,
    /// `PK_Account`; users with the same one share the account.
    pub account: u64,
    /// `PK_User`.
    pub user: u64,
    /// How many of them there are; account and user number count up, `{n}` in name and address becomes the number.
    pub copies: Option<u32>,
}

/// A network that the hubs' access points see.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WifiFile {
    pub ssid: String,
    /// Absent for an open network.
    pub passkey: Option<Passkey>,
    /// Whether the key is told in the ready line; others are there to fail with.
    #[serde(default)]
    pub published: bool,
    /// dBm.
    pub rssi: i64,
    pub encryption: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubFile {
    pub serial: Serial,
    pub mac: MacAddress,
    pub kind: HubKind,
    pub model: String,
    /// Name of the user whose account owns it.
    pub owner: Option<String>,
    /// Whether it is connected to the relay at the start.
    #[serde(default)]
    pub online: bool,
    /// How many of it there are; serial and address count up, `{n}` in the owner's name becomes the number.
    pub copies: Option<u32>,
    /// Whether categories and value types that no list knows are meant.
    #[serde(default)]
    pub unknown_words: bool,
    /// Whether the local ports are open on families that have them only in newer hardware.
    pub local: Option<bool>,
    #[serde(default)]
    pub anonymous_access: bool,
    #[serde(default)]
    pub insecure_access: bool,
    pub location: Option<LocationFile>,
    /// Id of the house mode it is in; Home when absent.
    pub mode: Option<String>,
    /// What goes wrong while it is set up.
    pub setup_fault: Option<SetupFault>,
    #[serde(default)]
    pub rooms: Vec<String>,
    #[serde(default)]
    pub devices: Vec<DeviceFile>,
    #[serde(default)]
    pub scenes: Vec<SceneFile>,
    #[serde(default)]
    pub behaviours: Vec<BehaviourFile>,
    /// Templates of devices that press their button when an inclusion waits, in this order.
    #[serde(default)]
    pub zwave: Vec<String>,
}

/// Where a hub is.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LocationFile {
    pub latitude: f64,
    pub longitude: f64,
    /// Name in the time-zone database.
    pub timezone: String,
}

/// Firmware family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HubKind {
    /// Ezlo firmware on Linux.
    Linux,
    /// Atom and PlugHub.
    Rtos,
    /// The open firmware for ESP32 boards.
    Ezlopi,
    /// Native Vera firmware, behind the legacy HTTP relay.
    Vera,
}

impl HubKind {
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
    /// Line, key or hub, and reason.
    pub text: String,
}

impl WorldFile {
    /// Returns a bundled world; `None` if no world has that name.
    pub fn bundled(name: &str) -> Option<Self> {
        let (_, text) = BUNDLED.iter().find(|(bundled, _)| *bundled == name)?;
        // A test parses all of them.
        Self::parse(name, text).ok()
    }

    /// Returns the names of the bundled worlds.
    pub fn bundled_names() -> impl Iterator<Item = &'static str> {
        BUNDLED.iter().map(|(name, _)| *name)
    }

    /// Parses a world file. The name is used in errors only.
    ///
    /// # Errors
    ///
    /// Returns an error with line, key and reason if the text is not TOML, or is not a valid world.
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

/// The fault with the line it is about: that of the last thing it names, looked for from one thing it names to the next.
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
    fn the_shipped_worlds_are_good() {
        for (name, _) in BUNDLED {
            WorldFile::bundled(name).unwrap();
        }
    }

    #[test]
    fn errors_say_what_and_where() {
        assert!(error("[[users]]\nusernam = 1\n").contains("line 2"));
        let hub = "[[hubs]]\nserial = \"90000001\"\nmac = \"AA:BB:CC:00:00:01\"\nkind = \"linux\"\nmodel = \"h2.1\"\n";
        assert!(error(&format!("{hub}owner = \"x\"\n")).contains("hub 90000001: no user is called \"x\""));
        assert!(error(&format!("{hub}{hub}")).contains("twice"));
        let device = "[[hubs.devices]]\ntemplate = \"toaster\"\nname = \"T\"\n";
        assert!(error(&format!("{hub}{device}")).contains("no template \"toaster\""));
        assert!(WorldFile::bundled("nowhere").is_none());
    }
}
