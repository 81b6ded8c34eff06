//! World files: who and what there is when a simulated cloud starts.

use std::collections::BTreeSet;
use std::path::Path;

use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::secret::{Passkey, Password};
use ezlo_protocol::serial::Serial;
use serde::Deserialize;
use serde_json::Value;

use super::template;
use crate::config::ConfigError;

/// Worlds that come with the program.
const SHIPPED: &[(&str, &str)] =
    &[("demo", include_str!("../../worlds/demo.toml")), ("bare", include_str!("../../worlds/bare.toml"))];

/// Longest world file that is read, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A world file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WorldFile {
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
    #[serde(default)]
    pub(crate) rooms: Vec<String>,
    #[serde(default)]
    pub(crate) devices: Vec<DeviceFile>,
    #[serde(default)]
    pub(crate) scenes: Vec<SceneFile>,
}

/// Firmware family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HubKind {
    /// Ezlo firmware on Linux.
    Linux,
    /// Native Vera firmware, behind the legacy HTTP relay.
    Vera,
}

impl HubKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Vera => "vera",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceFile {
    pub(crate) template: String,
    pub(crate) name: String,
    pub(crate) room: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SceneFile {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) then: Vec<ActionFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionFile {
    /// Name of the device.
    pub(crate) device: String,
    /// Name of its item.
    pub(crate) item: String,
    pub(crate) value: Value,
    #[serde(default)]
    pub(crate) delay_seconds: u64,
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

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
            let text = format!("longer than {MAX_BYTES} bytes");
            return Err(ConfigError::Syntax { path: path.to_owned(), text });
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(failed)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let wrong = |text| ConfigError::Syntax { path: path.to_owned(), text };
        let world: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        world.check().map_err(wrong)?;
        Ok(world)
    }

    /// Refuses what hangs in the air: owners, rooms, templates and items that are not there, and anything there twice.
    fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for user in &self.users {
            if !names.insert(user.username.to_lowercase()) {
                return Err(format!("user {:?} is there twice", user.username));
            }
        }
        let mut serials = BTreeSet::new();
        for hub in &self.hubs {
            if !serials.insert(&hub.serial) {
                return Err(format!("hub {} is there twice", hub.serial));
            }
            if let Some(owner) = hub.owner.as_ref().filter(|owner| !names.contains(&owner.to_lowercase())) {
                return Err(format!("hub {}: no user is called {owner:?}", hub.serial));
            }
            hub.check().map_err(|text| format!("hub {}: {text}", hub.serial))?;
        }
        Ok(())
    }
}

impl HubFile {
    fn check(&self) -> Result<(), String> {
        for device in &self.devices {
            if template::find(&device.template).is_none() {
                let known = template::TEMPLATES.iter().map(|template| template.name).collect::<Vec<_>>().join(", ");
                return Err(format!("device {:?}: no template {:?}; there are {known}", device.name, device.template));
            }
            if let Some(room) = device.room.as_ref().filter(|room| !self.rooms.contains(room)) {
                return Err(format!("device {:?}: no room {room:?}", device.name));
            }
        }
        let actions = self.scenes.iter().flat_map(|scene| scene.then.iter().map(move |action| (scene, action)));
        for (scene, action) in actions {
            let device = self.devices.iter().find(|device| device.name == action.device);
            let template = device.and_then(|device| template::find(&device.template));
            if !template.is_some_and(|template| template.items.iter().any(|item| item.name == action.item)) {
                return Err(format!("scene {:?}: no item {:?} on device {:?}", scene.name, action.item, action.device));
            }
        }
        Ok(())
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
