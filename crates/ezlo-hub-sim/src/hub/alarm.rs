//! The alarm: tripped sensors, the entry delay and the sirens. Phases and members come from EzloPi and newer vendor documents;
//! the order of the phases is inferred.

use ezlo_protocol::hub::device::{Category, Device};
use ezlo_protocol::hub::mode::{AlarmPhase, AlarmSource, Alarmed, ModeAlarm, PhaseStatus};
use ezlo_protocol::hub::{DeviceId, ItemId};
use ezlo_protocol::wire::Loose;
use serde_json::{Value, json};

use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::state::alarm::Alarm;

/// Maximum number of sources of one alarm.
const MAX_SOURCES: usize = 100;

/// Subcategories of sensors that raise an alarm at once, armed or not.
const EMERGENCIES: &[&str] = &["smoke", "co", "co2", "gas", "heat", "leak"];

/// Values of `button_state` that count as a press of an emergency button.
const PRESSES: &[&str] = &["press_1_time", "press_2_times", "press_3_times", "held_down"];

/// Returns whether an item with this name can raise an alarm.
pub(crate) fn may_alarm(item: &str) -> bool {
    matches!(item, "button_state" | "security_threat")
}

impl Hub {
    /// Raises the alarm if the value is a threat or the press of an emergency button.
    pub(crate) fn watch_for_alarm(&mut self, device: &DeviceId, item: &str, value: &Value, context: &mut Context<'_>) {
        let protect = self.modes.current().protect;
        let pressed = value["button_state"].as_str().is_some_and(|state| PRESSES.contains(&state));
        if item == "button_state" && pressed && protect && self.modes.buttons.contains_key(device) {
            self.raise(device, 0, context);
        }
        if item != "security_threat" || *value != json!(true) {
            return;
        }
        let Some(tripped) = self.devices.get(device) else { return };
        let listed = self.modes.current().protect_devices.contains(device);
        let emergency =
            listed || protect && tripped.subcategory.as_deref().is_some_and(|kind| EMERGENCIES.contains(&kind));
        let armed = tripped.armed.get() == Some(&true);
        let mode = self.modes.current();
        let delay = mode.alarm_delay.unwrap_or(self.modes.entry_delay[0]);
        if mode.bypass.contains(device) {
            self.broadcast_alarm(device, AlarmPhase::Bypass, PhaseStatus::Done, true, context);
        } else if emergency {
            self.raise(device, 0, context);
        } else if armed && self.counts_for_swinger(device, context) {
            self.raise(device, delay, context);
        }
    }

    fn raise(&mut self, device: &DeviceId, delay: i64, context: &mut Context<'_>) {
        let source = (device.clone(), delay, context.now_ms / 1000);
        if let Some(alarm) = &mut self.modes.alarm {
            if alarm.sources.len() < MAX_SOURCES && alarm.sources.iter().all(|(known, ..)| known != device) {
                alarm.sources.push(source);
            }
            // An emergency does not wait for the entry delay of another device.
            if delay == 0 && alarm.phase == AlarmPhase::EntryDelay {
                self.sound(Some(device), context);
            }
            return;
        }
        let silent = self.sirens().is_empty();
        let due_ms = context.now_ms + delay * 1000;
        let phase = AlarmPhase::EntryDelay;
        self.modes.alarm = Some(Alarm { phase, delay, due_ms, silent, sources: vec![source], sounding: Vec::new() });
        if delay == 0 {
            self.sound(None, context);
        } else {
            self.modes.alarm_generation += 1;
            self.broadcast_alarm(device, AlarmPhase::EntryDelay, PhaseStatus::Begin, silent, context);
            let wait = u64::try_from(delay * 1000).unwrap_or_default();
            context.later(wait, Timer::EntryDelay(self.modes.alarm_generation));
        }
    }

    /// Handles the end of the entry delay, unless the alarm has changed since the timer was set.
    pub(crate) fn entry_delay_over(&mut self, generation: u64, context: &mut Context<'_>) {
        let waits = self.modes.alarm.as_ref().is_some_and(|alarm| alarm.phase == AlarmPhase::EntryDelay);
        if waits && generation == self.modes.alarm_generation {
            self.sound(None, context);
        }
    }

    /// Ends the entry delay, if any, and starts the main phase with its sirens. The broadcast of the main phase names `urgent`
    /// if given, otherwise the first source.
    pub(crate) fn sound(&mut self, urgent: Option<&DeviceId>, context: &mut Context<'_>) {
        let Some(alarm) = &mut self.modes.alarm else { return };
        if alarm.phase == AlarmPhase::Main {
            return;
        }
        alarm.phase = AlarmPhase::Main;
        self.modes.alarm_generation += 1;
        let (waited, silent) = (alarm.delay > 0, alarm.silent);
        let Some((device, ..)) = alarm.sources.first().cloned() else { return };
        if waited {
            self.broadcast_alarm(&device, AlarmPhase::EntryDelay, PhaseStatus::Done, silent, context);
        }
        self.broadcast_alarm(urgent.unwrap_or(&device), AlarmPhase::Main, PhaseStatus::Begin, silent, context);
        let sirens =
            self.sirens().into_iter().filter_map(|device| Some(self.item_named(&device, "siren_alarm")?.id.clone()));
        let sirens: Vec<ItemId> = sirens.collect();
        self.sirens_to(&sirens, "siren_active", context);
        if let Some(alarm) = &mut self.modes.alarm {
            alarm.sounding = sirens;
        }
    }

    /// Ends the alarm. Its last broadcast is `canceled` during the entry delay and `done` after it.
    pub(crate) fn silence(&mut self, context: &mut Context<'_>) {
        let Some(alarm) = self.modes.alarm.take() else { return };
        self.modes.alarm_generation += 1;
        let status = if alarm.phase == AlarmPhase::Main { PhaseStatus::Done } else { PhaseStatus::Canceled };
        if let Some((device, ..)) = alarm.sources.first() {
            self.broadcast_alarm(device, alarm.phase.clone(), status, alarm.silent, context);
        }
        self.sirens_to(&alarm.sounding, "siren_inactive", context);
    }

    /// Returns whether an alarm is in its entry delay.
    pub(crate) fn alarm_waits(&self) -> bool {
        self.modes.alarm.as_ref().is_some_and(|alarm| alarm.phase == AlarmPhase::EntryDelay)
    }

    /// Returns the sirens that are not off in the current mode.
    fn sirens(&self) -> Vec<DeviceId> {
        let off = &self.modes.current().alarms_off;
        let sounds = |device: &&Device| device.category.get() == Some(&Category::Siren);
        let ids = self.devices.values().filter(sounds).filter_map(|device| device.id().cloned());
        ids.filter(|id| !off.contains(id)).collect()
    }

    fn sirens_to(&mut self, sirens: &[ItemId], state: &str, context: &mut Context<'_>) {
        for siren in sirens {
            if self.items.get(siren).is_some_and(|item| item.value.get() != Some(&json!(state))) {
                self.set_value(siren, json!(state), context);
            }
        }
    }

    /// Returns the alarm as `hub.modes.get` reports it.
    pub(crate) fn alarmed(&self, now_ms: i64) -> Option<Alarmed> {
        let alarm = self.modes.alarm.as_ref()?;
        let left = if alarm.phase == AlarmPhase::EntryDelay { (alarm.due_ms - now_ms).max(0) / 1000 } else { 0 };
        let source = |(device, delay, at): &(DeviceId, i64, i64)| AlarmSource {
            device_id: device.clone().into(),
            delay: Loose::number(*delay).into(),
            timestamp: Loose::number(*at).into(),
            ..AlarmSource::default()
        };
        Some(Alarmed {
            kind: "global".into(),
            entry_delay: Loose::number(alarm.delay).into(),
            time_left: Loose::number(left).into(),
            silent: alarm.silent.into(),
            sources: alarm.sources.iter().map(source).collect::<Vec<_>>().into(),
            ..Alarmed::default()
        })
    }

    fn broadcast_alarm(
        &self,
        device: &DeviceId,
        phase: AlarmPhase,
        status: PhaseStatus,
        silent: bool,
        context: &mut Context<'_>,
    ) {
        let alarm = ModeAlarm {
            device_id: device.clone().into(),
            phase: phase.into(),
            status: status.into(),
            timestamp: Loose::number(context.now_ms / 1000).into(),
            silent: silent.into(),
            ..ModeAlarm::default()
        };
        context.broadcast("hub.modes.alarmed", &alarm);
    }
}
