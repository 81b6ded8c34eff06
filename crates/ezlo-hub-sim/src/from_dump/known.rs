//! Texts of dumps that are known to be impersonal. All other texts are replaced.

use ezlo_protocol::hub::catalogue::ItemName;
use ezlo_protocol::mac::MacAddress;
use serde_json::{Map, Value};

use super::pseudonymize::Pseudonyms;
use crate::templates;

/// Device types of captures and of the vendor's firmware, besides those of the templates.
const DEVICE_TYPES: &[&str] = &[
    "camera",
    "controller",
    "controller.panic",
    "controller.portable",
    "controller.remote",
    "device",
    "dimmer.inwall",
    "dimmer.outlet",
    "doorbell",
    "doorlock",
    "light.bulb",
    "light.controller",
    "light.strip",
    "meter.flow",
    "meter.power",
    "mousetrap",
    "multi.outlet",
    "repeater",
    "sensor",
    "sensor.level",
    "sensor.motion",
    "sensor.multisensor",
    "shutter.garage",
    "shutter.roller",
    "shutter.valve",
    "siren",
    "switch",
    "switch.inwall",
    "switch.outlet",
    "thermostat",
    "transmitter.ir",
    "virtual",
];

/// Names of items that hubs have and the catalogue lacks (public bridge, from the item files of a hub; public plugin).
const ITEM_NAMES: &[&str] = &[
    "armed",
    "aux_binary",
    "electric_meter_kwh_day",
    "electric_meter_kwh_life",
    "electric_meter_kwh_month",
    "electric_meter_kwh_week",
    "electric_meter_kwh_year",
    "heat_rate",
    "kwh_reading_timestamp",
    "motion_status",
    "pest_control",
    "product_moving_status",
    "sensor_binary",
    "tilt",
];

/// Names and plugins of gateways that are known from captures and public plugins.
const GATEWAYS: &[&str] = &["zwave", "zigbee", "test_plugin", "hue", "knx", "ezlopi"];

/// Returns whether a text has the form of a member's values.
type HasForm = fn(&str) -> bool;

/// Members of a device's `info` that describe the product, with the form of their values.
const DEVICE_INFO: &[(&str, HasForm)] = &[
    ("firmware.stack", is_version),
    ("hardware", is_product),
    ("manufacturer", is_product),
    ("model", is_product),
    ("protocol", is_product),
    ("zwave.node", is_version),
    ("zwave.smartstart", |text| matches!(text, "yes" | "no")),
];

const STATUSES: &[&str] = &["idle", "broken", "updating", "rediscovering"];
const SECURITY_LEVELS: &[&str] = &["no", "low", "middle", "high"];
const EXEC_POLICIES: &[&str] = &["check_result", "ignore_result"];

/// Returns a name of the catalogue or of a known plugin as it is. Any other name can be personal and gets a pseudonym.
pub(super) fn item_name(name: &str, names: &mut Pseudonyms) -> String {
    let is_known = ItemName::from(name).is_known() || ITEM_NAMES.contains(&name);
    if is_known { name.to_owned() } else { names.of("item", name) }
}

/// Returns the name of a gateway if it is known. Any other name can be personal and gets a pseudonym.
pub(super) fn gateway_name(name: &str, names: &mut Pseudonyms) -> String {
    if GATEWAYS.contains(&name) { name.to_owned() } else { names.of("gateway", name).replace(' ', "_") }
}

/// Returns whether a device type is known. The vendor has not published a list of types.
pub(super) fn is_device_type(kind: &str) -> bool {
    templates::TEMPLATES.iter().any(|template| template.kind() == kind) || DEVICE_TYPES.contains(&kind)
}

/// Returns the status of a device if it is known.
pub(super) fn status(text: Option<&str>) -> Option<String> {
    among(STATUSES, text).filter(|status| status != "idle")
}

/// Returns the security level of a device if it is known.
pub(super) fn security(text: Option<&str>) -> Option<String> {
    among(SECURITY_LEVELS, text)
}

/// Returns the policy of a scene if it is known.
pub(super) fn exec_policy(text: Option<&str>) -> Option<String> {
    among(EXEC_POLICIES, text)
}

/// Returns the modes of lock codes if all are known.
pub(super) fn code_modes(modes: &[String]) -> Option<Vec<String>> {
    modes.iter().all(|mode| templates::USER_CODE_MODES.contains(&mode.as_str())).then(|| modes.to_vec())
}

fn among(known: &[&str], text: Option<&str>) -> Option<String> {
    text.filter(|text| known.contains(text)).map(str::to_owned)
}

/// Returns the members of a device's `info` that describe the product.
pub(super) fn device_info(info: &Value) -> Option<Value> {
    let fits = |name: &str, value: &Value| {
        let form = DEVICE_INFO.iter().find(|(known, _)| *known == name);
        form.is_some_and(|(_, form)| value.as_str().is_some_and(form))
    };
    let kept = info.as_object()?.iter().filter(|(name, value)| fits(name, value));
    Some(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into())
}

/// Returns whether a name is a known member of a device's or an item's `info`.
pub(super) fn is_info_member(name: &str) -> bool {
    name == "zwave.references" || DEVICE_INFO.iter().any(|(known, _)| *known == name)
}

/// Returns whether a text looks like the name of a product: one word that is no hardware address.
fn is_product(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    text.len() <= 32 && text.chars().all(is_plain) && text.parse::<MacAddress>().is_err()
}

fn is_version(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Returns the references of an item to the command classes of its device. Other members of `info` are not known.
pub(super) fn item_info(info: &Value) -> Option<Value> {
    let references = info.get("zwave.references").filter(|references| is_reference(references))?;
    Some(Map::from_iter([("zwave.references".to_owned(), references.clone())]).into())
}

/// Returns whether a value consists of numbers, and of command names in capital letters.
fn is_reference(value: &Value) -> bool {
    match value {
        Value::Number(_) | Value::Bool(_) => true,
        Value::String(text) => text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
        Value::Array(all) => all.iter().all(is_reference),
        Value::Object(all) => all.iter().all(|(name, value)| {
            matches!(name.as_str(), "channel" | "class" | "managing_commands" | "command") && is_reference(value)
        }),
        Value::Null => false,
    }
}

/// Returns a firmware version: numbers with dots.
pub(super) fn version(text: &str) -> Option<String> {
    (!text.is_empty() && is_version(text)).then(|| text.to_owned())
}

/// Returns the name of a time zone if the time-zone database has it.
pub(super) fn timezone(text: &str) -> Option<String> {
    jiff::tz::TimeZone::get(text).is_ok().then(|| text.to_owned())
}
