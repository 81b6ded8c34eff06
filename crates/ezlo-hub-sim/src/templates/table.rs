//! The table of device templates.

use super::Access::{Read, ReadWrite, Write};
use super::{Access, ItemTemplate, Secure, SettingTemplate, Template};

const fn item(name: &'static str, value_type: &'static str, access: Access, default: &'static str) -> ItemTemplate {
    ItemTemplate {
        name,
        value_type,
        access: Some(access),
        default,
        scale: "",
        tokens: &[],
        range: None,
        element_type: "",
        apart_from: "",
    }
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

/// An item with all properties from the catalogue in the guide.
const fn known(name: &'static str) -> ItemTemplate {
    ItemTemplate { access: None, ..item(name, "", Read, "") }
}

const fn number_setting(label: &'static str, parameter: u16, default: &'static str, most: i64) -> SettingTemplate {
    SettingTemplate { label, parameter, size: 1, kind: "int", default, range: Some((0, most)), tokens: &[] }
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
    token("siren_alarm", Read, "\"siren_inactive\"", &["siren_inactive", "siren_active", "unknown"]);

/// Items of the plug in the inclusion transcript of the vendor (guide20:p8).
const METERED: &[ItemTemplate] = &[
    SWITCH,
    item("electric_meter_kwh", "float", Read, "0.0"),
    item("electric_meter_watt", "float", Read, "0.0"),
    item("electric_meter_volt", "float", Read, "230.0"),
    item("electric_meter_amper", "float", Read, "0.0"),
    item("meter_reset", "int", Write, "0"),
];

const BUTTON: ItemTemplate = ItemTemplate {
    tokens: &["idle", "press_1_time", "released", "held_down", "press_2_times", "press_3_times"],
    ..item("button_state", "button_state", Read, r#"{"button_number":1,"button_state":"released"}"#)
};

const DIMMER_SETTINGS: &[SettingTemplate] =
    &[number_setting("Fade time", 9, "3", 99), number_setting("Least brightness", 10, "1", 99)];
const MOTION_SETTINGS: &[SettingTemplate] =
    &[number_setting("Seconds until motion is over", 3, "30", 120), number_setting("Sensitivity", 4, "5", 10)];
const LOCK_SETTINGS: &[SettingTemplate] = &[
    SettingTemplate { label: "Beeper", parameter: 1, size: 1, kind: "bool", default: "true", range: None, tokens: &[] },
    SettingTemplate {
        label: "Language",
        parameter: 5,
        size: 1,
        kind: "token",
        default: "\"english\"",
        range: None,
        tokens: &["english", "spanish", "french"],
    },
];

macro_rules! templates {
    ($( $name:literal: $category:literal / $subcategory:literal, $kind:literal, $type_id:literal, $battery:literal,
        $(@secure $secure:ident,)? $(@parts $parts:expr,)? $(@settings $settings:ident,)? $items:expr; )*) => {
        /// All device templates.
        pub static TEMPLATES: &[Template] = &[$( Template {
            name: $name, category: $category, subcategory: $subcategory, kind: $kind, type_id: $type_id, battery: $battery,
            items: $items,
            parts: templates!(@or &[] $(, $parts)?),
            secure: templates!(@or None $(, Some(Secure::$secure))?),
            settings: templates!(@or &[] $(, $settings)?),
        } ),*];
    };
    (@or $default:expr) => { $default };
    (@or $default:expr, $value:expr) => { $value };
}

templates! {
    "metered_plug": "switch"/"interior_plugin", "switch.outlet", "134_259_75", false, METERED;
    "switch": "switch"/"in_wall", "switch.inwall", "134_3_18", false, &[SWITCH];
    "dimmer": "dimmable_light"/"dimmable_in_wall", "dimmer.inwall", "134_3_19", false, @settings DIMMER_SETTINGS, &[
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
    "motion_sensor": "security_sensor"/"motion", "sensor.motion", "134_2_100", true, @settings MOTION_SETTINGS, &[
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
    "door_lock": "door_lock"/"", "doorlock", "59_25409_20548", true, @secure AccessControl, @settings LOCK_SETTINGS, &[
        token("door_lock", ReadWrite, "\"secured\"", &["unsecured", "secured", "unknown"]),
        token("lock_operation", Read, "\"unknown\"", &["manual_lock_operation", "manual_unlock_operation", "rf_lock_operation", "rf_unlock_operation", "keypad_lock_operation", "keypad_unlock_operation", "lock_jammed", "unknown"]),
        known("user_codes"),
        known("weekly_user_code_intervals"), known("daily_user_code_intervals"), known("user_lock_operation"),
        known("user_code_operation"), BATTERY,
    ];
    "thermostat": "hvac"/"hvac", "thermostat", "57_17_1", false, &[
        token("thermostat_mode", ReadWrite, "\"heat\"", &["off", "heat", "cool", "auto"]),
        token("thermostat_fan_mode", ReadWrite, "\"fanmode_on_auto\"", &["fanmode_on_auto", "fanmode_on"]),
        token("thermostat_operating_state", Read, "\"idle\"", &["idle", "heating", "cooling", "fan_only"]),
        setpoint("thermostat_setpoint", "21.0"),
        ItemTemplate { apart_from: "thermostat_setpoint_cooling", ..setpoint("thermostat_setpoint_heating", "20.0") },
        ItemTemplate { apart_from: "thermostat_setpoint_heating", ..setpoint("thermostat_setpoint_cooling", "25.0") },
        TEMPERATURE,
        scaled("humidity", "humidity", "45", "percent"),
    ];
    "temperature_sensor": "temperature"/"", "sensor", "134_2_4", true, &[TEMPERATURE, BATTERY];
    "humidity_sensor": "humidity"/"", "sensor", "134_2_5", true, &[scaled("humidity", "humidity", "45", "percent"), BATTERY];
    "light_sensor": "light_sensor"/"", "sensor", "134_2_6", true, &[scaled("lux", "illuminance", "120", "lux"), BATTERY];
    "shutter": "window_cov"/"window_cov", "shutter.roller", "345_3_1", false, &[
        percent("dimmer", ReadWrite, "100"),
        item("dimmer_up", "int", Write, "0"),
        item("dimmer_down", "int", Write, "0"),
        item("dimmer_stop", "int", Write, "0"),
        token("shutter_command", Write, "\"off\"", &["off", "store", "learn_upper", "learn_lower", "learn_favorite", "change_roll_direction"]),
        token("shutter_state", Read, "\"idle\"", &["idle", "learn_upper", "learn_lower", "learn_favorite", "change_roll_direction", "unknown"]),
    ];
    "garage_door": "garage_door"/"", "shutter.garage", "335_18244_12336", false, @secure AccessControl, &[
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

    // Each channel of a multi-channel node is a device of its own.
    "power_strip": "switch"/"interior_plugin", "multi.outlet", "134_3_11", false, @parts &["strip_outlet", "strip_outlet", "strip_outlet", "strip_outlet"], METERED;
    "strip_outlet": "switch"/"interior_plugin", "switch.outlet", "134_3_11", false, &[SWITCH, item("electric_meter_watt", "float", Read, "0.0")];
    "double_relay": "switch"/"relay", "switch.inwall", "271_515_4096", false, @parts &["switch", "switch"], &[known("basic")];
    "secure_switch": "switch"/"in_wall", "switch.inwall", "134_3_96", false, @secure Authenticated, &[SWITCH, known("power")];
    "secure_sensor": "security_sensor"/"door", "sensor", "134_2_112", true, @secure Authenticated, &[
        token("dw_state", Read, "\"dw_is_closed\"", &["dw_is_opened", "dw_is_closed", "unknown"]),
        THREAT, BATTERY,
    ];
    "co_sensor": "security_sensor"/"co", "sensor", "271_4609_4096", true, &[
        token("co_alarm", Read, "\"no_co\"", &["no_co", "co_detected", "unknown"]),
        known("co_level"), THREAT, BATTERY,
    ];
    "gas_sensor": "security_sensor"/"gas", "sensor", "334_2_1", false, &[
        token("gas_alarm", Read, "\"no_gas\"", &["no_gas", "combustible_gas_detected", "toxic_gas_detected", "unknown"]),
        THREAT,
    ];
    "heat_sensor": "security_sensor"/"heat", "sensor", "334_2_2", true, &[
        token("heat_alarm", Read, "\"heat_ok\"", &["heat_ok", "overheat_detected", "under_heat_detected", "unknown"]),
        TEMPERATURE, THREAT, BATTERY,
    ];
    "glass_sensor": "security_sensor"/"glass", "sensor", "334_2_3", true, &[
        token("glass_breakage_alarm", Read, "\"no_glass_breakage\"", &["no_glass_breakage", "glass_breakage", "unknown"]),
        THREAT, BATTERY,
    ];
    "heater": "hvac"/"heater", "thermostat", "345_1_1", false, &[
        token("thermostat_mode", ReadWrite, "\"heat\"", &["off", "heat", "saving_heat"]),
        token("thermostat_operating_state", Read, "\"idle\"", &["idle", "heating"]),
        setpoint("thermostat_setpoint", "21.0"), TEMPERATURE, BATTERY,
    ];
    "camera": "camera"/"indoor_cam", "camera", "vista_1_1", false, &[item("motion", "bool", Read, "false"), THREAT];
    "remote": "remote_control"/"", "controller.remote", "134_1_3", true, &[BUTTON, BATTERY];
    "ir_blaster": "ir_tx"/"irt", "transmitter.ir", "365_1_1", false, &[
        item("send_ir_code", "string", Write, "\"\""), item("learn_ir_code", "string", ReadWrite, "\"\""),
    ];
    "input_module": "generic_io"/"generic_io", "device", "271_1281_4098", false, &[known("digital_input_state"), known("voltage")];
    "repeater": "generic_io"/"repeater", "repeater", "134_4_117", false, &[known("basic")];
    "multi_sensor": "generic_sensor"/"", "sensor.multisensor", "134_2_101", true, &[
        TEMPERATURE, scaled("humidity", "humidity", "45", "percent"), scaled("lux", "illuminance", "80", "lux"), known("ultraviolet"), BATTERY,
    ];
    "serial_bridge": "serial_port"/"", "device", "900_1_1", false, &[known("hw_state"), known("sw_state")];
    "media_player": "av"/"", "device", "900_2_1", false, &[SWITCH, known("sound_volume"), known("sound_playback")];
    "zwave_interface": "zwave_int"/"", "device", "0_1_1", false, &[known("rf_signal_strength")];
    "insteon_interface": "insteon_int"/"", "device", "900_3_1", false, &[known("rf_signal_strength")];
    "user_interface": "interface"/"", "device", "900_4_1", false, &[known("sw_state")];
    "alarm_panel": "alarm_panel"/"", "device", "900_5_1", false, &[known("intrusion_alarm"), known("ac_state"), known("battery_backup")];
    "alarm_zone": "alarm_partition"/"", "device", "900_5_2", false, &[known("intrusion_alarm"), THREAT];
    "hue_bridge": "philips_controller"/"", "light.controller", "900_6_1", false, &[known("sw_state")];
    "washing_machine": "appliance"/"", "device", "900_7_1", false, &[
        known("appliance_status"), known("program_status"), known("remaining_time"),
        item("program_failures", "dictionary", Read, r#"{"washing":"ok","rinsing":"ok","spinning":"ok"}"#),
    ];
    "uv_sensor": "uv_sensor"/"", "sensor", "134_2_103", true, &[known("ultraviolet"), BATTERY];
    "mouse_trap": "mouse_trap"/"", "mousetrap", "881_40_1", true, &[known("tampering_impact_alarm"), BATTERY];
    "keypad": "keypad"/"", "device", "335_257_1", true, @secure WithKeypad, &[known("keypad_state"), known("user_codes"), BUTTON, BATTERY];
    "flow_meter": "flow_meter"/"", "meter.flow", "345_6_1", false, &[known("water_flow"), known("water_flow_alarm"), known("tank_capacity")];
    "voltage_meter": "voltage_sensor"/"", "sensor", "134_2_96", false, &[known("voltage"), known("voltage_drop_drift_state"), known("over_voltage_state")];
    "rain_sensor": "state_sensor"/"rain", "sensor", "377_2_1", true, &[known("rain_alarm"), BATTERY];
    "air_quality": "level_sensor"/"air_pollution", "sensor", "377_3_1", false, &[
        known("co2_level"), known("volatile_organic_compound_level"), known("voc_level_status"), known("particulate_matter_2_dot_5"),
        known("radon_concentration"), known("formaldehyde_level"),
    ];
    "sound_meter": "level_sensor"/"sound", "sensor", "377_4_1", false, &[known("loudness")];
    "seismograph": "level_sensor"/"seismicity", "sensor", "377_5_1", false, &[
        known("seismic_intensity"), known("seismic_magnitude"), known("acceleration_x_axis"), known("acceleration_y_axis"), known("acceleration_z_axis"),
    ];
    "health_scale": "level_sensor"/"health", "sensor", "377_6_1", true, &[
        known("weight"), known("body_mass_index"), known("fat_mass"), known("muscle_mass"), known("heart_rate"), known("blood_pressure"), BATTERY,
    ];
    "alarm_clock": "clock"/"", "device", "900_8_1", false, &[known("clock_state"), known("time_period")];
    "siren_with_sounds": "siren"/"", "siren", "881_41_1", false, &[
        SIREN, known("sound_volume"), known("sound_select"),
        item("sound_list", "dictionary", Read, r#"{"1":{"name":"Siren","duration":30},"2":{"name":"Chime","duration":2}}"#),
    ];
}
