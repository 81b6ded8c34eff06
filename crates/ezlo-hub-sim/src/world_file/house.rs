//! The part of a world file that describes a house: devices, items, scenes and behaviours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A device, from a template or described by its own members.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceFile {
    /// Name of the template that supplies category, items and settings. Without a template, `category` is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Name of the device, unique in the hub.
    pub name: String,
    /// Name of the room; `None` for a device in no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Name of the device that this one is a part of. It must come earlier in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Category. Ignored with a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Subcategory (default: empty). Ignored with a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcategory: Option<String>,
    /// Device type, the key `type` (default: `device`). Ignored with a template.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Numbers of manufacturer, product type and product, such as `134_3_11` (default: empty). Ignored with a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type_id: Option<String>,
    /// Battery-powered (default: false). Ignored with a template.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub battery_powered: bool,
    /// Armed at the start (default: as in the template).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub armed: Option<bool>,
    /// Reachable by the hub at the start (default: true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// Status at the start, such as `broken` (default: `idle`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The device cannot be removed by force (default: false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<bool>,
    /// Security level: `no`, `low`, `middle` or `high` (default: as in the template, else `no`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<String>,
    /// Member `info` of the device (default: as in the template).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
    /// Name of a gateway of the hub (default: the Z-Wave radio).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The lock does not disclose its codes: the hub reports stars (default: false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masks_codes: bool,
    /// The lock refuses every new code, some time after the hub has accepted it (default: false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejects_codes: bool,
    /// The device receives settings and lock codes only when it wakes up (default: false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asleep: bool,
    /// Items in addition to those of the template, or other properties for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemFile>,
}

/// An item. The name suffices for an item of the template; members that are set override the template.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ItemFile {
    /// Name of the item, such as `switch`, unique in the device.
    pub name: String,
    /// Value type, such as `bool` or `temperature`. Required if the template has no such item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_type: Option<String>,
    /// Value at the start. Must fit the type, tokens and range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The value is null: it is not known (default: false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub null_value: bool,
    /// Scale, such as `celsius`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    /// The item can be read (default: true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_getter: Option<bool>,
    /// The item can be set (default: false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_setter: Option<bool>,
    /// Apps show the item (default: true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show: Option<bool>,
    /// Allowed tokens of an item of type `token`, the key `enum`.
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<String>>,
    /// Type of the elements of an array or dictionary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element_type: Option<String>,
    /// Maximum number of elements of an array or dictionary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements_max_number: Option<i64>,
    /// Regular expression for lock codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_code_restriction: Option<String>,
    /// Allowed modes of lock codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_code_modes: Option<Vec<String>>,
    /// Member `info` of the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
    /// Least value, a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_value: Option<Value>,
    /// Greatest value, a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_value: Option<Value>,
}

/// A scene.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SceneFile {
    /// Name of the scene, unique in the hub.
    pub name: String,
    /// Enabled at the start (default: true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Name of the room of the scene.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Ids of the house modes in which the scene runs; all modes if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<String>,
    /// Handling of failed actions: `check_result` or `ignore_result` (default: `ignore_result`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_policy: Option<String>,
    /// Conditions that start the scene.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<ConditionFile>,
    /// Conditions during which the scene does not start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ConditionFile>,
    /// Actions of the scene.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<ActionFile>,
    /// Actions for the end of the condition, the key `else`.
    #[serde(rename = "else", default, skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<ActionFile>,
    /// Groups of actions by id, which the action `runScene` of a block runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub then_groups: BTreeMap<String, Vec<ActionFile>>,
    /// Groups of actions by id, for the end of the condition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub else_groups: BTreeMap<String, Vec<ActionFile>>,
}

/// Declares an enumeration whose variants are distinguished by one member. An error then names the invalid member instead of
/// "data did not match any variant".
macro_rules! told_by_member {
    ($(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $variant:ident ($file:ident) by $member:literal; )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize, Serialize)]
        #[serde(try_from = "Value", untagged)]
        pub enum $name { $( $(#[$doc])* $variant($file), )* }

        impl TryFrom<Value> for $name {
            type Error = String;

            fn try_from(value: Value) -> Result<Self, String> {
                $( if value.get($member).is_some() {
                    let read = serde_json::from_value(value).map(Self::$variant);
                    return read.map_err(|error| format!("entry with {:?}: {error}", $member));
                } )*
                Err(format!("expected one of the keys {}", [$($member),*].join(", ")))
            }
        }
    };
}

/// Declares the contents of the variants.
macro_rules! members {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$field_meta:meta])* $field:ident : $type:ty, )* } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $type, )* }
    )* };
}

told_by_member! {
    /// A condition of a scene, distinguished by the key in the description of each variant.
    ConditionFile {
        /// Holds while a comparison with a number holds (key `comparator`).
        Compares(ComparesFile) by "comparator";
        /// A button has entered a state (key `button`).
        Button(ButtonFile) by "button";
        /// A time of day, on all days or on some days of the week (key `at`).
        At(AtFile) by "at";
        /// A fixed interval (key `every`).
        Every(EveryFile) by "every";
        /// Sunrise or sunset, with an offset (key `sun`).
        Sun(SunFile) by "sun";
        /// The house has changed to a mode (key `mode`).
        Mode(ModeFile) by "mode";
        /// All conditions of a list hold (key `all`).
        All(AllFile) by "all";
        /// At least one condition of a list holds (key `any`).
        Any(AnyFile) by "any";
        /// A condition does not hold (key `not`).
        Not(NotFile) by "not";
        /// A condition block as hubs send it (key `block`).
        Raw(RawFile) by "block";
        /// An item has a value (key `value`).
        Is(IsFile) by "value";
        /// The value of an item has changed (key `item`).
        Changed(ChangedFile) by "item";
    }
}

told_by_member! {
    /// An action of a scene, distinguished by the key in the description of each variant.
    ActionFile {
        /// Arms or disarms a device (key `armed`).
        Arm(ArmFile) by "armed";
        /// Switches the house mode (key `mode`).
        Mode(SwitchFile) by "mode";
        /// Sends an HTTP GET request (key `http_get`).
        Get(GetFile) by "http_get";
        /// An action block as hubs send it (key `block`).
        Raw(RawFile) by "block";
        /// Sets the value of an item (key `item`).
        Set(SetFile) by "item";
    }
}

members! {
    /// Condition: an item compares with a number.
    ComparesFile {
        /// Name of the device.
        device: String,
        /// Name of the item.
        item: String,
        /// Comparator, such as `<` or `>=`.
        comparator: String,
        /// Number to compare with.
        value: f64,
    }
    /// Condition: a button has entered a state.
    ButtonFile {
        /// Name of the device, which has an item `button_state`.
        device: String,
        /// State of the button, such as `press_1_time`.
        button: String,
    }
    /// Condition: a time of day.
    AtFile {
        /// Local time, such as `07:30`.
        at: String,
        /// Days of the week, 1 = Monday (default: all days).
        #[serde(default)]
        weekdays: Vec<u8>,
    }
    /// Condition: a fixed interval.
    EveryFile {
        /// Interval, such as `5m`.
        every: String,
    }
    /// Condition: sunrise or sunset.
    SunFile {
        /// `sunrise` or `sunset`.
        sun: String,
        /// Offset in seconds; negative before the event (default: 0).
        #[serde(default)]
        offset: i64,
    }
    /// Condition: the house has changed to a mode.
    ModeFile {
        /// Id of the house mode, `1` to `4`.
        mode: String,
    }
    /// Condition: all conditions hold.
    AllFile {
        /// Conditions that must all hold.
        all: Vec<ConditionFile>,
    }
    /// Condition: at least one condition holds.
    AnyFile {
        /// Conditions of which at least one must hold.
        any: Vec<ConditionFile>,
    }
    /// Condition: a condition does not hold.
    NotFile {
        /// Condition that must not hold.
        not: Box<ConditionFile>,
    }
    /// A condition or action as a block in the format of hubs.
    RawFile {
        /// The block. The texts `@device/item`, `@device` and `@scene name` are replaced by the ids of these objects.
        block: Value,
    }
    /// Condition: an item has a value.
    IsFile {
        /// Name of the device.
        device: String,
        /// Name of the item.
        item: String,
        /// Value that the item must have.
        value: Value,
    }
    /// Condition: the value of an item has changed.
    ChangedFile {
        /// Name of the device.
        device: String,
        /// Name of the item.
        item: String,
    }
    /// Action: arms or disarms a device.
    ArmFile {
        /// Name of the device.
        device: String,
        /// Arms the device if true, disarms it if false.
        armed: bool,
        /// Delay in seconds (default: 0).
        #[serde(default)]
        delay_seconds: u64,
    }
    /// Action: switches the house mode.
    SwitchFile {
        /// Id of the house mode, `1` to `4`.
        mode: String,
        /// Delay in seconds (default: 0).
        #[serde(default)]
        delay_seconds: u64,
    }
    /// Action: sends an HTTP GET request.
    GetFile {
        /// URL of the request.
        http_get: String,
        /// Delay in seconds (default: 0).
        #[serde(default)]
        delay_seconds: u64,
    }
    /// Action: sets the value of an item.
    SetFile {
        /// Name of the device.
        device: String,
        /// Name of the item.
        item: String,
        /// Value to set.
        value: Value,
        /// Delay in seconds (default: 0).
        #[serde(default)]
        delay_seconds: u64,
    }
}

/// A behaviour: simulated activity of a device, driven by time and seed.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum BehaviourFile {
    /// The temperature drifts towards the outside temperature, and rises or falls while a thermostat heats or cools.
    Climate {
        /// Name of the device, which has an item `temp`.
        device: String,
        /// Outside temperature in °C.
        outside: f64,
        /// Name of the thermostat (default: the device itself).
        heater: Option<String>,
    },
    /// A motion sensor detects motion at random times.
    Motion {
        /// Name of the device, which has an item `motion`.
        device: String,
        /// Local hours in which motion occurs, 0 to 23 (default: all hours).
        #[serde(default)]
        hours: Vec<u8>,
        /// Mean number of events per hour.
        per_hour: f64,
        /// Duration of each event in seconds (default: 60).
        #[serde(default = "minute")]
        seconds: u32,
    },
    /// A door opens at random times.
    Door {
        /// Name of the device, which has an item `dw_state`.
        device: String,
        /// Local hours in which the door opens, 0 to 23 (default: all hours).
        #[serde(default)]
        hours: Vec<u8>,
        /// Mean number of events per hour.
        per_hour: f64,
        /// Time that the door stays open, in seconds (default: 60).
        #[serde(default = "minute")]
        seconds: u32,
    },
    /// A metered device consumes power while it is on.
    Power {
        /// Name of the device, which has the items `electric_meter_watt` and `electric_meter_kwh`.
        device: String,
        /// Power while the device is on, in watts.
        watts: f64,
    },
    /// A battery discharges.
    Battery {
        /// Name of the device, which has an item `battery`.
        device: String,
        /// Discharge in percent per day.
        percent_per_day: f64,
    },
    /// A device becomes unreachable at random times.
    Outage {
        /// Name of the device.
        device: String,
        /// Mean number of outages per day.
        per_day: f64,
        /// Duration of each outage in seconds.
        seconds: u32,
    },
    /// A button is pressed every day.
    Button {
        /// Name of the device, which has an item `button_state`.
        device: String,
        /// Local times, such as `07:30`.
        times: Vec<String>,
    },
}

const fn minute() -> u32 {
    60
}

impl BehaviourFile {
    /// Returns the name of the device.
    pub fn device(&self) -> &str {
        match self {
            Self::Climate { device, .. }
            | Self::Motion { device, .. }
            | Self::Door { device, .. }
            | Self::Power { device, .. }
            | Self::Battery { device, .. }
            | Self::Outage { device, .. }
            | Self::Button { device, .. } => device,
        }
    }
}
