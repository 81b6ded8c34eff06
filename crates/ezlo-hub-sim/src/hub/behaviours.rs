//! Behaviours of a house: drifting temperatures, motion, doors, meters, batteries, outages and buttons. They depend only on the
//! clock and the seed, and run only if `simulate_behaviours` is set.

use crate::seeded_rng::SeededRng;
use ezlo_protocol::hub::device::DeviceUpdate;
use ezlo_protocol::hub::{DeviceId, ItemId};
use jiff::Timestamp;
use serde_json::json;

use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::state::behaviours::{Behaviour, Kind};
use crate::world_file::BehaviourFile;

/// Interval between the steps of temperatures and meters, in milliseconds.
const SLOW_MS: u64 = 60_000;
/// Milliseconds per hour.
const HOUR_MS: f64 = 3_600_000.0;
/// Milliseconds per day.
const DAY_MS: f64 = 86_400_000.0;
/// Share of the temperature difference to the outside that a room loses per minute: half of the difference in about six hours.
const LOSS: f64 = 0.002;
/// Rise of the temperature per minute of heating, in kelvin; cooling lowers it by the same amount.
const HEATING: f64 = 0.05;

impl Hub {
    pub(crate) fn add_behaviours(&mut self, files: &[BehaviourFile]) {
        for (at, file) in files.iter().enumerate() {
            let Some(device) = self.device_called(file.device()).cloned() else { continue };
            let mut seed = [0; 32];
            seed[..20].copy_from_slice(&self.digest(&format!("behaviour {at}")));
            if let BehaviourFile::Power { watts, .. } = file {
                self.behaviours.loads.insert(device.clone(), *watts);
            }
            if let Some(kind) = self.kind_of(file) {
                let chance = SeededRng::from_seed(seed);
                self.behaviours.all.push(Behaviour { device, kind, chance });
            }
        }
    }

    fn kind_of(&self, file: &BehaviourFile) -> Option<Kind> {
        // A rate of 0 disables the behaviour.
        if matches!(file, BehaviourFile::Motion { per_hour: rate, .. } | BehaviourFile::Door { per_hour: rate, .. }
            | BehaviourFile::Outage { per_day: rate, .. } if *rate <= 0.0)
        {
            return None;
        }
        Some(match file {
            BehaviourFile::Climate { outside, heater, .. } => {
                let heater = heater.as_ref().and_then(|name| self.device_called(name)).cloned();
                Kind::Climate { outside: *outside, heater }
            }
            BehaviourFile::Motion { hours, per_hour, seconds, .. } => Kind::Presence {
                hours: hours.clone(),
                per_hour: *per_hour,
                seconds: *seconds,
                item: "motion".into(),
                on: json!(true),
                off: json!(false),
            },
            BehaviourFile::Door { hours, per_hour, seconds, .. } => Kind::Presence {
                hours: hours.clone(),
                per_hour: *per_hour,
                seconds: *seconds,
                item: "dw_state".into(),
                on: json!("dw_is_opened"),
                off: json!("dw_is_closed"),
            },
            BehaviourFile::Power { .. } => Kind::Meter,
            BehaviourFile::Battery { percent_per_day, .. } => {
                let device = self.device_called(file.device());
                let left = device.and_then(|device| self.number(device, "battery")).unwrap_or(100.0);
                Kind::Battery { percent_per_day: *percent_per_day, left }
            }
            BehaviourFile::Outage { per_day, seconds, .. } => Kind::Outage { per_day: *per_day, seconds: *seconds },
            BehaviourFile::Button { times, .. } => {
                Kind::Button { times: times.iter().filter_map(|time| time.parse().ok()).collect() }
            }
        })
    }

    /// Sets the first timer of every behaviour if behaviours are simulated.
    pub(crate) fn start_behaviours(&mut self, context: &mut Context<'_>) {
        if context.assumptions.simulate_behaviours {
            for at in 0..self.behaviours.all.len() {
                let wait = self.next_look(at, context.now_ms);
                context.later(wait, Timer::Behaviour(at));
            }
        }
    }

    /// Executes one step of a behaviour and sets the timer of the next one.
    pub(crate) fn step_behaviour(&mut self, at: usize, context: &mut Context<'_>) {
        let Some(behaviour) = self.behaviours.all.get(at) else { return };
        let (device, kind) = (behaviour.device.clone(), behaviour.kind.clone());
        let Some(there) = self.devices.get(&device).map(|device| device.reachable.get() != Some(&false)) else {
            return;
        };
        // An unreachable node reports nothing.
        if !there && !matches!(kind, Kind::Outage { .. }) {
            let wait = self.next_look(at, context.now_ms);
            context.later(wait, Timer::Behaviour(at));
            return;
        }
        match kind {
            Kind::Climate { outside, heater } => self.drift(&device, outside, heater.as_ref(), context),
            Kind::Presence { item, on, off, seconds, .. } => {
                let there = self.item_named(&device, &item).is_some_and(|item| item.value.get() == Some(&on));
                self.set_named(&device, &item, if there { off } else { on }, context);
                if !there {
                    context.later(u64::from(seconds) * 1000, Timer::Behaviour(at));
                    return;
                }
            }
            Kind::Meter => self.meter(&device, context),
            Kind::Battery { percent_per_day, left } => self.drain(at, &device, left - percent_per_day / 24.0, context),
            Kind::Outage { seconds, .. } => {
                let there = self.devices.get(&device).is_some_and(|device| device.reachable.get() != Some(&false));
                self.change_device(
                    &device,
                    DeviceUpdate { reachable: (!there).into(), ..DeviceUpdate::default() },
                    context,
                );
                if there {
                    context.later(u64::from(seconds) * 1000, Timer::Behaviour(at));
                    return;
                }
            }
            Kind::Button { .. } => {
                for state in ["press_1_time", "released"] {
                    let press = json!({"button_number": 1, "button_state": state});
                    self.set_named(&device, "button_state", press, context);
                }
            }
        }
        let wait = self.next_look(at, context.now_ms);
        context.later(wait, Timer::Behaviour(at));
    }

    /// Returns the milliseconds until the next step of a behaviour.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "waits are positive and below a year")]
    fn next_look(&mut self, at: usize, now_ms: i64) -> u64 {
        let zone = self.place.zone();
        let Some(Behaviour { kind, chance, .. }) = self.behaviours.all.get_mut(at) else { return SLOW_MS };
        match kind {
            Kind::Climate { .. } | Kind::Meter => SLOW_MS,
            Kind::Battery { .. } => HOUR_MS as u64,
            Kind::Outage { per_day, .. } => waiting_time(chance, DAY_MS / per_day.max(1e-3)) as u64,
            Kind::Presence { hours, per_hour, .. } => {
                // A time outside the given hours is moved on by whole hours, up to a week.
                let mut wait = waiting_time(chance, HOUR_MS / per_hour.max(1e-3));
                let hour = |ms: f64| {
                    let at = Timestamp::from_millisecond(now_ms + ms as i64).unwrap_or_default();
                    u8::try_from(at.to_zoned_datetime(zone.clone()).hour()).unwrap_or_default()
                };
                while !hours.is_empty() && !hours.contains(&hour(wait)) && wait < 7.0 * DAY_MS {
                    wait += HOUR_MS;
                }
                wait as u64
            }
            Kind::Button { times } => {
                let now = Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned_datetime(zone);
                let next = |time: &jiff::civil::Time| {
                    let today = now.date().to_datetime(*time).to_zoned_datetime(now.time_zone().clone()).ok()?;
                    let ahead = today.timestamp().as_millisecond() - now_ms;
                    Some(if ahead > 0 { ahead } else { ahead + DAY_MS as i64 })
                };
                let wait = times.iter().filter_map(next).filter(|wait| *wait > 0).min();
                wait.and_then(|wait| u64::try_from(wait).ok()).unwrap_or(DAY_MS as u64)
            }
        }
    }

    fn set_named(&mut self, device: &DeviceId, item: &str, value: serde_json::Value, context: &mut Context<'_>) {
        let fits = self.item_named(device, item).filter(|item| item.holds(&value).is_ok());
        let id: Option<ItemId> = fits.map(|item| item.id.clone());
        if let Some(id) = id {
            self.set_value(&id, value, context);
        }
    }

    fn number(&self, device: &DeviceId, item: &str) -> Option<f64> {
        self.item_named(device, item)?.value.get()?.as_f64()
    }

    fn drift(&mut self, device: &DeviceId, outside: f64, heater: Option<&DeviceId>, context: &mut Context<'_>) {
        let Some(before) = self.number(device, "temp") else { return };
        let state = self.item_named(heater.unwrap_or(device), "thermostat_operating_state");
        let heats = match state.and_then(|item| item.value.get()?.as_str()) {
            Some("heating") => HEATING,
            Some("cooling") => -HEATING,
            _ => 0.0,
        };
        let after = (outside - before).mul_add(LOSS, before) + heats;
        let (before, after) = ((before * 100.0).round() / 100.0, (after * 100.0).round() / 100.0);
        if (before - after).abs() >= 0.01 {
            self.set_named(device, "temp", json!(after), context);
        }
    }

    fn meter(&mut self, device: &DeviceId, context: &mut Context<'_>) {
        let (Some(watts), Some(energy)) =
            (self.number(device, "electric_meter_watt"), self.number(device, "electric_meter_kwh"))
        else {
            return;
        };
        if watts > 0.0 {
            let more = (energy + watts / 60_000.0).mul_add(1e5, 0.0).round() / 1e5;
            self.set_named(device, "electric_meter_kwh", json!(more), context);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "0 to 100")]
    fn drain(&mut self, at: usize, device: &DeviceId, now_left: f64, context: &mut Context<'_>) {
        let now_left = now_left.max(0.0);
        if let Some(Behaviour { kind: Kind::Battery { left, .. }, .. }) = self.behaviours.all.get_mut(at) {
            *left = now_left;
        }
        let percent = now_left.ceil() as i64;
        if self.number(device, "battery").is_some_and(|shown| shown.round() as i64 != percent) {
            self.set_named(device, "battery", json!(percent), context);
        }
    }
}

/// Returns a random waiting time of a Poisson process with this mean, in milliseconds: at least a second, at most a year.
fn waiting_time(chance: &mut SeededRng, mean_ms: f64) -> f64 {
    let share = (f64::from(chance.next_u32()) + 1.0) / (f64::from(u32::MAX) + 2.0);
    (-share.ln() * mean_ms).clamp(1000.0, 365.0 * DAY_MS)
}
