//! Items that follow another item of the same device: a real device changes several of its values together.

use ezlo_protocol::hub::ItemId;
use ezlo_protocol::hub::item::Item;
use serde_json::{Value, json};

use crate::context::Context;
use crate::hub::Hub;

/// Power of a metered load in watts, unless the world file sets one.
const DEFAULT_LOAD: f64 = 60.0;
/// Step of the dimming buttons, in percent.
const DIMMER_STEP: i64 = 10;

/// Sensor items, each with a dangerous value and the safe one. A dangerous value sets `security_threat`, which is "true in any
/// dangerous state" (vendor staff).
const THREATS: &[(&str, &str, &str)] = &[
    ("dw_state", "dw_is_opened", "dw_is_closed"),
    ("water_leak_alarm", "water_leak_detected", "no_water_leak"),
    ("smoke_alarm", "smoke_detected", "no_smoke"),
    ("co_alarm", "co_detected", "no_co"),
    ("co2_alarm", "co2_detected", "no_co2"),
    ("gas_alarm", "combustible_gas_detected", "no_gas"),
    ("gas_alarm", "toxic_gas_detected", "no_gas"),
    ("heat_alarm", "overheat_detected", "heat_ok"),
    ("glass_breakage_alarm", "glass_breakage", "no_glass_breakage"),
    ("intrusion_alarm", "intrusion", "no_intrusion"),
];

/// Returns the value of a tripped or untripped sensor item; `None` if the item belongs to no sensor.
pub(crate) fn tripped(item: &str, is_tripped: bool) -> Option<Value> {
    if item == "motion" {
        return Some(json!(is_tripped));
    }
    let (_, danger, quiet) = THREATS.iter().find(|(known, ..)| *known == item)?;
    Some(json!(if is_tripped { danger } else { quiet }))
}

impl Hub {
    /// Sets the items that follow an item, recursively: a door opens, `security_threat` is set, the alarm starts.
    pub(crate) fn follow(&mut self, id: &ItemId, context: &mut Context<'_>) {
        for (name, value) in self.followers(id) {
            let changes = |sibling: &&Item| sibling.value.get() != Some(&value) && sibling.holds(&value).is_ok();
            let sibling = self.sibling(id, name).filter(changes);
            if let Some(sibling) = sibling.map(|sibling| sibling.id.clone()) {
                self.set_value(&sibling, value, context);
            }
        }
    }

    /// Broadcasts the name of the user whose code operated a lock (guide20:p97-98).
    pub(crate) fn notify_of_code(&self, id: &ItemId, value: &Value, context: &mut Context<'_>) {
        let user = value["userId"].as_i64().filter(|user| *user >= 0);
        let device = self.items.get(id).and_then(|item| self.devices.get(item.device_id.get()?));
        let (Some(user), Some(device)) = (user, device) else { return };
        let codes = self.sibling(id, "user_codes").and_then(|item| item.value.get());
        let name = codes.and_then(|codes| codes[user.to_string()]["name"].as_str()).unwrap_or_default();
        let told = json!({
            "type": "pin_code_is_used",
            "params": {
                "user": name,
                "deviceName": device.name.as_deref().unwrap_or_default(),
                "roomName": self.room_name(device.room()),
            },
        });
        context.broadcast("hub.user.notification", &told);
    }

    /// Returns the names of the items that follow an item, with their new values.
    fn followers(&self, id: &ItemId) -> Vec<(&'static str, Value)> {
        let Some(item) = self.items.get(id) else { return Vec::new() };
        let (name, value) = (item.name.as_deref().unwrap_or_default(), item.value.get().unwrap_or(&Value::Null));
        let sibling = |name: &str| self.sibling(id, name).and_then(|item| item.value.get());
        match (name, value) {
            ("door_lock", Value::String(state)) => {
                let operation = if state == "secured" { "rf_lock_operation" } else { "rf_unlock_operation" };
                vec![("lock_operation", json!(operation))]
            }
            ("barrier", state) => vec![("barrier_state", state.clone())],
            ("switch", Value::Bool(on)) => vec![
                ("water_valve_state", json!(if *on { "valve_is_opened" } else { "valve_is_closed" })),
                ("electric_meter_watt", json!(if *on { self.load(id) } else { 0.0 })),
            ],
            ("dimmer", Value::Number(level)) => vec![("switch", json!(level.as_f64() > Some(0.0)))],
            ("dimmer_up" | "dimmer_down", _) => {
                let level = sibling("dimmer").and_then(Value::as_i64).unwrap_or_default();
                let step = if name == "dimmer_up" { DIMMER_STEP } else { -DIMMER_STEP };
                vec![("dimmer", json!((level + step).clamp(0, 100)))]
            }
            ("meter_reset", _) => vec![("electric_meter_kwh", json!(0.0))],
            ("motion", Value::Bool(moves)) => vec![("security_threat", json!(moves))],
            (
                "thermostat_mode"
                | "thermostat_setpoint"
                | "thermostat_setpoint_heating"
                | "thermostat_setpoint_cooling"
                | "temp",
                _,
            ) => {
                let state = self.regulated(id).map(|state| ("thermostat_operating_state", json!(state)));
                // In some modes the setpoint is the average of heating and cooling (hub reference 5.5).
                let average =
                    self.average(id).filter(|_| name.starts_with("thermostat_setpoint_") || name.ends_with("mode"));
                average.map(|average| ("thermostat_setpoint", json!(average))).into_iter().chain(state).collect()
            }
            (name, Value::String(token)) => {
                let known = THREATS.iter().any(|(item, ..)| *item == name);
                let danger = THREATS.iter().any(|(item, danger, _)| (*item, *danger) == (name, token.as_str()));
                if known { vec![("security_threat", json!(danger))] } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }

    /// Returns the power of a metered device that is on, in watts.
    fn load(&self, id: &ItemId) -> f64 {
        let device = self.items.get(id).and_then(|item| item.device_id.get());
        device.and_then(|device| self.behaviours.load(device)).unwrap_or(DEFAULT_LOAD)
    }

    /// Returns the average of the heating and cooling setpoints in the modes `auto`, `aux` and `away`.
    fn average(&self, id: &ItemId) -> Option<f64> {
        let number = |name: &str| self.sibling(id, name)?.value.get()?.as_f64();
        let mode = self.sibling(id, "thermostat_mode")?.value.get()?.as_str()?;
        let both = matches!(mode, "auto" | "aux" | "away");
        let (heat, cool) = (number("thermostat_setpoint_heating")?, number("thermostat_setpoint_cooling")?);
        both.then_some((heat + cool) / 2.0)
    }

    /// Returns the operating state of a thermostat from temperature and setpoints; `None` if the device is no thermostat.
    fn regulated(&self, id: &ItemId) -> Option<&'static str> {
        let number = |name: &str| self.sibling(id, name)?.value.get()?.as_f64();
        let mode = self.sibling(id, "thermostat_mode")?.value.get()?.as_str()?.to_owned();
        let is = number("temp")?;
        let heat = number("thermostat_setpoint_heating").or_else(|| number("thermostat_setpoint"))?;
        let cool = number("thermostat_setpoint_cooling").or_else(|| number("thermostat_setpoint"))?;
        let heats = matches!(mode.as_str(), "heat" | "auto" | "aux" | "emergency_heating" | "furnace");
        let cools = matches!(mode.as_str(), "cool" | "auto");
        Some(if heats && is < heat {
            "heating"
        } else if cools && is > cool {
            "cooling"
        } else if mode == "fan_only" {
            "fan_only"
        } else {
            "idle"
        })
    }
}
