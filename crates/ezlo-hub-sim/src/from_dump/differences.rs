//! The differences between the replies of a real hub and those of the simulated hub that was made from them.

use serde::Serialize;
use serde_json::Value;

use super::known::is_info_member;
use super::pseudonymize::is_member;

/// Maximum number of differences that are reported. A dump of a large house has a few thousand.
const MAX_DIFFERENCES: usize = 100_000;

/// The fate of a member of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// An invented value took its place, because the value is or can be personal.
    Replaced,
    /// The simulated hub does not have it.
    Dropped,
    /// The simulated hub has another value for another reason.
    Changed,
}

/// A member of a reply that the simulated hub does not send as the real hub did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Path of the member, such as `hub.devices.list devices[3].name`. A name that can be personal is `*`.
    pub path: String,
    /// Fate of the member.
    pub fate: Fate,
    /// Reason, as text.
    pub reason: &'static str,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fate = match self.fate {
            Fate::Replaced => "replaced",
            Fate::Dropped => "dropped",
            Fate::Changed => "changed",
        };
        write!(f, "{fate} {}: {}", self.path, self.reason)
    }
}

/// Members whose values are replaced, with the reason. The first entry whose name equals the member applies.
const REPLACED: &[(&str, &str)] = &[
    ("_id", "ids are invented; references are kept"),
    ("id", "ids are invented; references are kept"),
    ("deviceId", "ids are invented; references are kept"),
    ("gatewayId", "ids are invented; references are kept"),
    ("parentDeviceId", "ids are invented; references are kept"),
    ("roomId", "ids are invented; references are kept"),
    ("parent_id", "ids are invented; references are kept"),
    ("deviceTypeId", "the text is not a known type id"),
    ("pluginId", "names of plugins can be personal"),
    ("setItemValueCommand", "names of plugins can be personal"),
    ("name", "names are personal"),
    ("label", "names are personal"),
    ("code", "codes are secrets"),
    ("value", "the value can be personal"),
    ("valueFormatted", "the value can be personal"),
    ("enum", "tokens that are not known can be personal"),
    ("serial", "the serial is personal"),
    ("uuid", "the UUID is personal"),
    ("latitude", "the location is personal"),
    ("longitude", "the location is personal"),
    ("timezone", "the text is not a known time zone"),
    ("user_notifications", "users are personal"),
    ("notifications", "users are personal"),
    ("category", "the text is not a known category"),
    ("subcategory", "the text is not a known subcategory"),
    ("type", "the text is not a known type"),
    ("elementType", "the text is not a known type"),
    ("model", "the text can be personal"),
];

/// Members that the simulated hub makes itself, with the reason.
const OWN: &[(&str, &str)] = &[
    ("architecture", "the family of the hub decides it"),
    ("hardware", "the family of the hub decides it"),
    ("kernel", "the family of the hub decides it"),
    ("build", "the family of the hub decides it"),
    ("localtime", "the simulated hub counts its own time"),
    ("uptime", "the simulated hub counts its own time"),
    ("state", "the state of the location is that of a new hub"),
    ("version", "the simulated hub counts its own versions"),
    ("timeIsLeftToSwitch", "a pending switch is not retained"),
    ("switchTo", "a pending switch is not retained"),
    ("switchToDelay", "a pending switch is not retained"),
    ("alarmed", "an alarm is not retained"),
];

const DROPPED: &str = "a world file does not describe it";
const CHANGED: &str = "the simulated hub has another value";

/// Members below which names of members come from users or plugins, such as the keys of a dictionary.
const FREE: &[&str] =
    &["value", "valueFormatted", "info", "meta", "blockMeta", "thenGroups", "elseGroups", "args", "options"];

/// Returns whether the name of a member may be part of a path. Any other name can be personal.
fn is_shown(name: &str, is_free: bool) -> bool {
    let is_word = |name: &str| name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if is_free { is_member(name) || is_info_member(name) } else { is_word(name) }
}

/// Collects the differences of two replies.
#[derive(Default)]
pub(super) struct Differences {
    pub(super) found: Vec<Difference>,
}

impl Differences {
    /// Compares a value of the dump with that of the simulated hub. Members that only the simulated hub has are ignored.
    pub(super) fn compare(&mut self, path: &str, dump: &Value, now: Option<&Value>) {
        self.compare_below(path, dump, now, false);
    }

    /// Compares below a member. `is_free` is true below a member whose names of members come from users or plugins.
    fn compare_below(&mut self, path: &str, dump: &Value, now: Option<&Value>, is_free: bool) {
        let Some(now) = now else {
            self.add(path, Fate::Dropped);
            return;
        };
        match (dump, now) {
            (Value::Object(dump), Value::Object(now)) => {
                for (name, value) in dump {
                    let shown = if is_shown(name, is_free) { name.as_str() } else { "*" };
                    let is_free = is_free || FREE.contains(&name.as_str());
                    self.compare_below(&format!("{path}.{shown}"), value, now.get(name), is_free);
                }
            }
            (Value::Array(dump), Value::Array(now)) => {
                for (at, value) in dump.iter().enumerate() {
                    self.compare_below(&format!("{path}[{at}]"), value, now.get(at), is_free);
                }
            }
            (dump, now) if is_equal(dump, now) => {}
            _ => self.add(path, Fate::Changed),
        }
    }

    fn add(&mut self, path: &str, fate: Fate) {
        if self.found.len() >= MAX_DIFFERENCES {
            return;
        }
        let members: Vec<&str> = path.split(['.', ' ', '[']).collect();
        let of = |table: &[(&str, &'static str)]| {
            // The innermost member with an entry decides, such as `code` in `value.1.code`.
            let known = members.iter().rev().find_map(|member| table.iter().find(|(name, _)| name == member));
            known.map(|(_, reason)| *reason)
        };
        let (fate, reason) = match (fate, of(REPLACED), of(OWN)) {
            (Fate::Changed, Some(reason), _) => (Fate::Replaced, reason),
            (Fate::Changed, None, own) => (Fate::Changed, own.unwrap_or(CHANGED)),
            (fate, _, Some(reason)) => (fate, reason),
            (fate, Some(reason), None) if reason.starts_with("users") => (fate, reason),
            (fate, ..) => (fate, DROPPED),
        };
        self.found.push(Difference { path: path.to_owned(), fate, reason });
    }
}

/// Returns whether two values are equal. Numbers are compared by value: a world file writes 1.0 as 1.
fn is_equal(dump: &Value, now: &Value) -> bool {
    dump == now || dump.as_f64().is_some_and(|number| now.as_f64() == Some(number))
}
