//! Device templates: what a device of a kind is and can do. Items, types and defaults follow the vendor's guide; which
//! items belong to a category is not in it (hub reference, section 15), so the sets are inferred from real devices.

use ezlo_protocol::hub::device::{Category, Device};
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::value::{Scale, ValueType};
use ezlo_protocol::hub::{DeviceId, GatewayId, ItemId, RoomId};
use serde_json::{Value, json};

/// A kind of device.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    category: &'static str,
    subcategory: &'static str,
    kind: &'static str,
    type_id: &'static str,
    battery: bool,
    pub(crate) items: &'static [ItemTemplate],
}

/// An item of a kind of device.
#[derive(Debug)]
pub(crate) struct ItemTemplate {
    pub(crate) name: &'static str,
    value_type: &'static str,
    access: Access,
    /// JSON.
    default: &'static str,
    scale: &'static str,
    tokens: &'static [&'static str],
    range: Option<(i64, i64)>,
    element_type: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    ReadWrite,
    Write,
}

use Access::{Read, ReadWrite, Write};

const fn item(name: &'static str, value_type: &'static str, access: Access, default: &'static str) -> ItemTemplate {
    ItemTemplate { name, value_type, access, default, scale: "", tokens: &[], range: None, element_type: "" }
}

const fn token(
    name: &'static str,
    access: Access,
    default: &'static str,
    tokens: &'static [&'static str],
) -> ItemTemplate {
    ItemTemplate { tokens, ..item(name, "token", access, default) }
}

const fn scaled(
    name: &'static str,
    value_type: &'static str,
    default: &'static str,
    scale: &'static str,
) -> ItemTemplate {
    ItemTemplate { scale, ..item(name, value_type, Read, default) }
}

const fn percent(name: &'static str, access: Access, default: &'static str) -> ItemTemplate {
    ItemTemplate { range: Some((0, 100)), ..item(name, "int", access, default) }
}

const fn setpoint(name: &'static str, default: &'static str) -> ItemTemplate {
    ItemTemplate { scale: "celsius", range: Some((5, 35)), ..item(name, "temperature", ReadWrite, default) }
}

const BATTERY: ItemTemplate = percent("battery", Read, "100");
const SWITCH: ItemTemplate = item("switch", "bool", ReadWrite, "false");
const TEMPERATURE: ItemTemplate = scaled("temp", "temperature", "21.5", "celsius");
const THREAT: ItemTemplate = item("security_threat", "bool", Read, "false");
const TAMPER: ItemTemplate = token(
    "tampering_cover_alarm",
    Read,
    "\"no_tampering_cover\"",
    &["no_tampering_cover", "tampering_cover", "unknown"],
);
const SIREN: ItemTemplate =
    token("siren_alarm", ReadWrite, "\"siren_inactive\"", &["siren_inactive", "siren_active", "unknown"]);

/// A plug of the vendor's inclusion transcript: six items (guide20:p8).
const METERED: &[ItemTemplate] = &[
    SWITCH,
    item("electric_meter_kwh", "float", Read, "0.0"),
    item("electric_meter_watt", "float", Read, "0.0"),
    item("electric_meter_volt", "float", Read, "230.0"),
    item("electric_meter_amper", "float", Read, "0.0"),
    item("meter_reset", "int", Write, "0"),
];

macro_rules! templates {
    ($( $name:literal: $category:literal / $subcategory:literal, $kind:literal, $type_id:literal, $battery:literal, $items:expr; )*) => {
        /// Every kind of device.
        pub(crate) static TEMPLATES: &[Template] = &[$( Template {
            name: $name, category: $category, subcategory: $subcategory, kind: $kind, type_id: $type_id, battery: $battery,
            items: $items,
        } ),*];
    };
}

templates! {
    "metered_plug": "switch"/"interior_plugin", "switch.outlet", "134_259_75", false, METERED;
    "switch": "switch"/"in_wall", "switch.inwall", "134_3_18", false, &[SWITCH];
    "dimmer": "dimmable_light"/"dimmable_in_wall", "dimmer.inwall", "134_3_19", false, &[
        SWITCH,
        percent("dimmer", ReadWrite, "0"),
        item("dimmer_up", "int", Write, "0"),
        item("dimmer_down", "int", Write, "0"),
        item("dimmer_stop", "int", Write, "0"),
    ];
    "color_bulb": "dimmable_light"/"dimmable_colored", "light.bulb", "881_3_2", false, &[
        SWITCH,
        percent("dimmer", ReadWrite, "0"),
        item("rgbcolor", "rgb", ReadWrite, r#"{"wwhite":0,"cwhite":0,"red":0,"green":0,"blue":0}"#),
    ];
    "door_sensor": "security_sensor"/"door", "sensor", "271_1793_4096", true, &[
        token("dw_state", Read, "\"dw_is_closed\"", &["dw_is_opened", "dw_is_closed", "unknown"]),
        THREAT, TAMPER, BATTERY,
    ];
    "motion_sensor": "security_sensor"/"motion", "sensor.motion", "134_2_100", true, &[
        item("motion", "bool", Read, "false"),
        THREAT, TEMPERATURE,
        scaled("lux", "illuminance", "120", "lux"),
        BATTERY,
    ];
    "leak_sensor": "security_sensor"/"leak", "sensor", "134_2_122", true, &[
        token("water_leak_alarm", Read, "\"no_water_leak\"", &["no_water_leak", "water_leak_detected", "unknown"]),
        THREAT, BATTERY,
    ];
    "smoke_sensor": "security_sensor"/"smoke", "sensor", "271_3074_4098", true, &[
        token("smoke_alarm", Read, "\"no_smoke\"", &["no_smoke", "smoke_detected", "unknown"]),
        token("test_state", Read, "\"no_test\"", &["no_test", "test_ok", "test_failed", "test_in_porgress", "unknown"]),
        THREAT, BATTERY,
    ];
    "door_lock": "door_lock"/"", "doorlock", "59_25409_20548", true, &[
        token("door_lock", ReadWrite, "\"secured\"", &["unsecured", "secured", "unknown"]),
        token("lock_operation", Read, "\"unknown\"", &["manual_lock_operation", "manual_unlock_operation", "rf_lock_operation", "rf_unlock_operation", "keypad_lock_operation", "keypad_unlock_operation", "lock_jammed", "unknown"]),
        ItemTemplate { element_type: "userCode", ..item("user_codes", "dictionary", Read, "{}") },
        BATTERY,
    ];
    "thermostat": "hvac"/"hvac", "thermostat", "57_17_1", false, &[
        token("thermostat_mode", ReadWrite, "\"heat\"", &["off", "heat", "cool", "auto"]),
        token("thermostat_fan_mode", ReadWrite, "\"fanmode_on_auto\"", &["fanmode_on_auto", "fanmode_on"]),
        token("thermostat_operating_state", Read, "\"idle\"", &["idle", "heating", "cooling", "fan_only"]),
        setpoint("thermostat_setpoint", "21.0"),
        TEMPERATURE,
        scaled("humidity", "humidity", "45", "percent"),
    ];
    "temperature_sensor": "temperature"/"", "sensor", "134_2_4", true, &[TEMPERATURE, BATTERY];
    "humidity_sensor": "humidity"/"", "sensor", "134_2_5", true, &[scaled("humidity", "humidity", "45", "percent"), BATTERY];
    "light_sensor": "light_sensor"/"", "sensor", "134_2_6", true, &[scaled("lux", "illuminance", "120", "lux"), BATTERY];
    "shutter": "window_cov"/"window_cov", "shutter.roller", "345_3_1", false, &[
        percent("dimmer", ReadWrite, "100"),
        item("dimmer_stop", "int", Write, "0"),
        token("shutter_command", Write, "\"off\"", &["off", "store", "learn_upper", "learn_lower", "learn_favorite", "change_roll_direction"]),
        token("shutter_state", Read, "\"idle\"", &["idle", "learn_upper", "learn_lower", "learn_favorite", "change_roll_direction", "unknown"]),
    ];
    "garage_door": "garage_door"/"", "shutter.garage", "335_18244_12336", false, &[
        token("barrier", Write, "\"barrier_closed\"", &["barrier_closed", "barrier_opened"]),
        token("barrier_state", Read, "\"barrier_closed\"", &["barrier_closed", "operating_closing", "operating_unknown", "operating_opening", "barrier_opened"]),
    ];
    "siren": "siren"/"", "siren", "e550_siren", false, &[SIREN];
    "power_meter": "power_meter"/"", "meter.power", "134_2_95", false, &[
        item("electric_meter_kwh", "float", Read, "1234.5"),
        item("electric_meter_watt", "float", Read, "310.0"),
    ];
    "scene_controller": "scene_controller"/"", "controller.portable", "134_1_88", true, &[
        ItemTemplate {
            tokens: &["idle", "press_1_time", "released", "held_down", "press_2_times", "press_3_times"],
            ..item("button_state", "button_state", Read, r#"{"button_number":1,"button_state":"released"}"#)
        },
        BATTERY,
    ];
    "doorbell": "doorbell"/"", "doorbell", "881_32_1", true, &[
        ItemTemplate {
            tokens: &["idle", "press_1_time", "released"],
            ..item("button_state", "button_state", Read, r#"{"button_number":1,"button_state":"released"}"#)
        },
        BATTERY,
    ];
    "valve": "switch"/"valve", "shutter.valve", "345_5_1", false, &[
        SWITCH,
        token("water_valve_state", Read, "\"valve_is_closed\"", &["valve_is_opened", "valve_is_closed", "unknown"]),
    ];
    "weather_station": "weather"/"", "sensor.multisensor", "377_1_1", false, &[
        TEMPERATURE,
        scaled("barometric_pressure", "pressure", "101.3", "kilo_pascal"),
        scaled("velocity", "velocity", "2.5", "meter_per_second"),
        scaled("rain_rate", "precipitation", "0", "milli_meter_per_hour"),
    ];
}

/// The template of that name.
pub(crate) fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

impl Template {
    /// A device of this kind.
    pub(crate) fn device(&self, id: DeviceId, name: &str, room: RoomId, gateway: GatewayId, node: u64) -> Device {
        let mut ids = self.type_id.split('_');
        let manufacturer = ids.next().unwrap_or_default();
        Device {
            object_id: id.into(),
            parent_device_id: DeviceId::default().into(),
            category: Category::from(self.category).into(),
            subcategory: self.subcategory.into(),
            device_type_id: self.type_id.into(),
            gateway_id: gateway.into(),
            name: name.into(),
            kind: self.kind.into(),
            battery_powered: self.battery.into(),
            reachable: true.into(),
            armed: if self.category == "security_sensor" { false.into() } else { None.into() },
            room_id: room.into(),
            persistent: false.into(),
            info: json!({
                "firmware.stack": "3.42",
                "hardware": "1",
                "manufacturer": manufacturer,
                "model": self.name,
                "protocol": "zwave",
                "zwave.node": node.to_string(),
                "zwave.smartstart": "no",
            })
            .into(),
            service_notification: false.into(),
            security: "no".into(),
            ready: true.into(),
            status: "idle".into(),
            ..Device::default()
        }
    }
}

impl ItemTemplate {
    /// An item of this kind.
    pub(crate) fn item(&self, id: ItemId, device: DeviceId) -> Item {
        let value_type = ValueType::from(self.value_type);
        let value: Value = serde_json::from_str(self.default).unwrap_or(Value::Null);
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Item {
            id,
            device_id: device.into(),
            name: self.name.into(),
            has_getter: (self.access != Write).into(),
            has_setter: (self.access != Read).into(),
            show: true.into(),
            value_formatted: value_type.format(&value).into(),
            value_type: value_type.into(),
            value: value.into(),
            scale: text(self.scale).map(|scale| Scale::from(scale.as_str())).into(),
            tokens: (!self.tokens.is_empty())
                .then(|| self.tokens.iter().map(|token| (*token).to_owned()).collect())
                .into(),
            min_value: self.range.map(|(low, _)| low.into()).into(),
            max_value: self.range.map(|(_, high)| high.into()).into(),
            element_type: text(self.element_type).into(),
            elements_max_number: (self.name == "user_codes").then_some(30).into(),
            user_code_restriction: (self.name == "user_codes").then(|| r"^\d{4,10}$".to_owned()).into(),
            ..Item::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_made_of_known_words_and_good_defaults() {
        for template in TEMPLATES {
            assert!(Category::from(template.category).is_known(), "{}", template.name);
            for spec in template.items {
                let mut item = spec.item("i".into(), "d".into());
                assert!(item.value_type.get().unwrap().is_known(), "{}", spec.name);
                assert!(item.scale.get().is_none_or(Scale::is_known), "{}", spec.name);
                let value = item.value.get().unwrap().clone();
                item.has_setter = true.into();
                assert_eq!(item.check(&value), Ok(()), "{} of {}", spec.name, template.name);
            }
        }
    }
}
