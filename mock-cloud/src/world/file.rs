//! World files: who and what there is when a simulated cloud starts.

use std::path::Path;

use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::secret::{Passkey, Password};
use ezlo_protocol::serial::Serial;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::ConfigError;
use crate::random::hex;
use crate::world::SetupFault;

mod check;
mod house;

pub(crate) use house::{ActionFile, BehaviourFile, ConditionFile, DeviceFile, Finders, ItemFile, RawFile, SceneFile};

/// Worlds that come with the program.
const SHIPPED: &[(&str, &str)] = &[
    ("demo", include_str!("../../worlds/demo.toml")),
    ("bare", include_str!("../../worlds/bare.toml")),
    ("villa", include_str!("../../worlds/villa.toml")),
    ("block", include_str!("../../worlds/block.toml")),
    ("hostile", include_str!("../../worlds/hostile.toml")),
];

/// Longest world file that is read, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A world file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WorldFile {
    /// Of its text: a state goes on from this one only.
    #[serde(skip)]
    pub(crate) digest: String,
    pub(crate) users: Vec<UserFile>,
    pub(crate) wifi: Vec<WifiFile>,
    pub(crate) hubs: Vec<HubFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserFile {
    pub(crate) username: String,
    pub(crate) password: Password,
    pub(crate) email: String,
    /// `PK_Account`; users with the same one share the account.
    pub(crate) account: u64,
    /// `PK_User`.
    pub(crate) user: u64,
    /// How many of them there are; account and user number count up, `{n}` in name and address becomes the number.
    pub(crate) copies: Option<u32>,
}

/// A network that the hubs' access points see.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WifiFile {
    pub(crate) ssid: String,
    /// Absent for an open network.
    pub(crate) passkey: Option<Passkey>,
    /// Whether the key is told in the ready line; others are there to fail with.
    #[serde(default)]
    pub(crate) published: bool,
    /// dBm.
    pub(crate) rssi: i64,
    pub(crate) encryption: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HubFile {
    pub(crate) serial: Serial,
    pub(crate) mac: MacAddress,
    pub(crate) kind: HubKind,
    pub(crate) model: String,
    /// Name of the user whose account owns it.
    pub(crate) owner: Option<String>,
    /// Whether it is connected to the relay at the start.
    #[serde(default)]
    pub(crate) online: bool,
    /// How many of it there are; serial and address count up, `{n}` in the owner's name becomes the number.
    pub(crate) copies: Option<u32>,
    /// Whether categories and value types that no list knows are meant.
    #[serde(default)]
    pub(crate) unknown_words: bool,
    /// Whether the local ports are open on families that have them only in newer hardware.
    pub(crate) local: Option<bool>,
    #[serde(default)]
    pub(crate) anonymous_access: bool,
    #[serde(default)]
    pub(crate) insecure_access: bool,
    pub(crate) location: Option<LocationFile>,
    /// Id of the house mode it is in; Home when absent.
    pub(crate) mode: Option<String>,
    /// What goes wrong while it is set up.
    pub(crate) setup_fault: Option<SetupFault>,
    #[serde(default)]
    pub(crate) rooms: Vec<String>,
    #[serde(default)]
    pub(crate) devices: Vec<DeviceFile>,
    #[serde(default)]
    pub(crate) scenes: Vec<SceneFile>,
    #[serde(default)]
    pub(crate) behaviours: Vec<BehaviourFile>,
    /// Templates of devices that press their button when an inclusion waits, in this order.
    #[serde(default)]
    pub(crate) zwave: Vec<String>,
}

/// Where a hub is.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocationFile {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    /// Name in the time-zone database.
    pub(crate) timezone: String,
}

/// Firmware family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HubKind {
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
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Rtos => "rtos",
            Self::Ezlopi => "ezlopi",
            Self::Vera => "vera",
        }
    }
}

impl WorldFile {
    /// A shipped world by name, or a world file by path.
    pub(crate) fn named_or_read(name: &str) -> Result<Self, ConfigError> {
        let path = Path::new(name);
        match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((_, text)) => Self::parse(path, text),
            None if path.is_file() => Self::read(path),
            None => {
                let shipped = SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                Err(ConfigError::NoWorld { name: name.to_owned(), shipped })
            }
        }
    }

    pub(crate) fn shipped() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
            let text = format!("longer than {MAX_BYTES} bytes");
            return Err(ConfigError::Syntax { path: path.to_owned(), text });
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(failed)?)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let wrong = |text| ConfigError::Syntax { path: path.to_owned(), text };
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
        WorldFile::parse(Path::new("w.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_worlds_are_good() {
        for (name, _) in SHIPPED {
            WorldFile::named_or_read(name).unwrap();
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
        assert!(matches!(WorldFile::named_or_read("nowhere"), Err(ConfigError::NoWorld { .. })));
    }
}
