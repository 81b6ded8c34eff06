//! House modes: switching after a delay, calling it off, and what a switch arms.

use ezlo_protocol::hub::device::{Category, Device, DeviceUpdate};
use ezlo_protocol::hub::mode::{
    CurrentMode, MODES, Mode, ModeSwitch, ModeSwitched, ModeSwitching, ModesState, ProtectButton, SwitchStatus,
};
use ezlo_protocol::hub::{DeviceId, Empty, ModeId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{Field, Loose};
use indexmap::IndexMap;
use serde_json::Value;

use super::alarm::Alarm;
use super::dispatch::{Answer, done, missing};
use super::scene_engine::Event;
use super::{Context, Hub, Timer};

/// Seconds from request to switch, and from trip to alarm, for every mode but Home (guide20:p14-15).
const DELAY_SECONDS: i64 = 30;

/// Seconds from trip to alarm by kind of entry: normal, extended, long, instant (EzloPi).
pub(super) const ENTRY_DELAYS: [i64; 4] = [30, 60, 120, 0];

/// The house's modes.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Modes {
    /// Index into [`MODES`].
    pub(super) current: usize,
    pending: Option<Pending>,
    /// Tells the timer of a switch that was called off from the one that counts.
    generation: u64,
    pub(super) modes: [ModeSettings; 4],
    pub(super) entry_delay: [i64; 4],
    /// Emergency buttons and what they call for.
    pub(super) buttons: IndexMap<DeviceId, String>,
    pub(super) alarm: Option<Alarm>,
    pub(super) alarm_generation: u64,
}

/// What can be set about one mode.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct ModeSettings {
    pub(super) switch_delay: i64,
    /// The entry delays decide when there is none.
    pub(super) alarm_delay: Option<i64>,
    /// `None` = everybody.
    pub(super) notifications: Option<Vec<String>>,
    pub(super) disarmed_default: bool,
    pub(super) disarmed: Vec<DeviceId>,
    pub(super) alarms_off: Vec<DeviceId>,
    pub(super) cameras_off: Vec<DeviceId>,
    pub(super) bypass: Vec<DeviceId>,
    pub(super) protect_devices: Vec<DeviceId>,
    pub(super) protect: bool,
    armed: bool,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            current: 0,
            pending: None,
            generation: 0,
            modes: [0, 1, 2, 3].map(|at| ModeSettings {
                switch_delay: if at == 0 { 0 } else { DELAY_SECONDS },
                alarm_delay: Some(if at == 0 { 0 } else { DELAY_SECONDS }),
                notifications: None,
                disarmed_default: true,
                disarmed: Vec::new(),
                alarms_off: Vec::new(),
                cameras_off: Vec::new(),
                bypass: Vec::new(),
                protect_devices: Vec::new(),
                protect: true,
                armed: at != 0,
            }),
            entry_delay: ENTRY_DELAYS,
            buttons: IndexMap::new(),
            alarm: None,
            alarm_generation: 0,
        }
    }
}

impl Modes {
    pub(super) const fn current(&self) -> &ModeSettings {
        &self.modes[self.current]
    }

    /// The switch and the alarm that are under way end that much later.
    pub(super) fn put_off(&mut self, ms: i64) {
        if let Some(pending) = &mut self.pending {
            pending.due_ms = pending.due_ms.saturating_add(ms);
        }
        if let Some(alarm) = &mut self.alarm {
            alarm.put_off(ms);
        }
    }

    pub(super) fn current_id(&self) -> ModeId {
        id(self.current)
    }
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Pending {
    to: usize,
    delay: i64,
    due_ms: i64,
}

pub(super) fn id(mode: usize) -> ModeId {
    MODES[mode].0.into()
}

pub(super) fn position(mode: &ModeId) -> Option<usize> {
    MODES.iter().position(|(id, _)| *id == mode.as_str())
}

impl Hub {
    /// Delays stand per mode (API 1.0) and at the top (2.0); clients do not mind both.
    pub(super) fn modes_get(&self, _: Empty, context: &Context<'_>) -> Answer<ModesState> {
        let pending = self.modes.pending.as_ref();
        let left = pending.map_or(0, |pending| (pending.due_ms - context.now_ms).max(0) / 1000);
        let of = |wanted: fn(&Category) -> bool| -> Vec<DeviceId> {
            let is = |device: &&Device| device.category.get().is_some_and(wanted);
            self.devices.values().filter(is).filter_map(|device| device.id().cloned()).collect()
        };
        let button = |(device, service): (&DeviceId, &String)| ProtectButton {
            id: device.clone().into(),
            service: service.as_str().into(),
            ..ProtectButton::default()
        };
        Ok(ModesState {
            current: id(self.modes.current),
            switch_to: pending.map_or_else(ModeId::default, |pending| id(pending.to)).into(),
            switch_to_delay: Loose::number(pending.map_or(0, |pending| pending.delay)).into(),
            time_left: Loose::number(left).into(),
            alarm_delay: Loose::number(self.alarm_delay(self.modes.current)).into(),
            modes: (0..MODES.len()).map(|at| self.describe(at)).collect(),
            devices: of(|category| *category == Category::SecuritySensor).into(),
            alarms: of(|category| *category == Category::Siren).into(),
            cameras: of(|category| *category == Category::Camera).into(),
            protect_buttons: self.modes.buttons.iter().map(button).collect::<Vec<_>>().into(),
            entry_delay: self.entry_delay().into(),
            alarmed: self.alarmed(context.now_ms).into(),
            ..ModesState::default()
        })
    }

    fn alarm_delay(&self, at: usize) -> i64 {
        self.modes.modes[at].alarm_delay.unwrap_or(self.modes.entry_delay[0])
    }

    fn describe(&self, at: usize) -> Mode {
        let mode = &self.modes.modes[at];
        let users = |users: &Vec<String>| users.iter().map(|user| Value::from(user.as_str())).collect::<Vec<_>>();
        Mode {
            id: id(at),
            name: MODES[at].1.into(),
            description: "".into(),
            switch_to_delay: Loose::number(mode.switch_delay).into(),
            alarm_delay: Loose::number(self.alarm_delay(at)).into(),
            notifications: mode.notifications.as_ref().map(users).map_or(Field::Null, Field::Value),
            disarmed_default: mode.disarmed_default.into(),
            disarmed_devices: mode.disarmed.clone().into(),
            alarms_off_devices: mode.alarms_off.clone().into(),
            cameras_off_devices: mode.cameras_off.clone().into(),
            bypass_devices: mode.bypass.clone().into(),
            protect: mode.protect.into(),
            armed: mode.armed.into(),
            ..Mode::default()
        }
    }

    pub(super) fn modes_current(&self, _: Empty, _: &Context<'_>) -> Answer<CurrentMode> {
        Ok(CurrentMode { mode_id: id(self.modes.current), ..CurrentMode::default() })
    }

    /// A switch to another mode replaces one that is pending; the pending one again changes nothing.
    pub(super) fn modes_switch(&mut self, wish: ModeSwitch, context: &mut Context<'_>) -> Answer<ModeSwitching> {
        let to = target(&wish)?;
        let pending = self.modes.pending.as_ref().map(|pending| pending.to);
        if pending.is_none() && to == self.modes.current {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.switch_mode(to, context);
        Ok(ModeSwitching {
            switch_to_delay: Loose::number(self.modes.modes[to].switch_delay).into(),
            alarm_delay: Loose::number(self.alarm_delay(to)).into(),
            ..ModeSwitching::default()
        })
    }

    /// For calls and scenes alike.
    pub(super) fn switch_mode(&mut self, to: usize, context: &mut Context<'_>) {
        if self.modes.pending.as_ref().is_some_and(|pending| pending.to == to) {
            return;
        }
        self.cancel_switch(context);
        if to != self.modes.current {
            self.begin_switch(to, context);
        }
    }

    fn begin_switch(&mut self, to: usize, context: &mut Context<'_>) {
        let delay = self.modes.modes[to].switch_delay;
        if delay == 0 {
            self.switch_at_once(to, context);
            return;
        }
        self.modes.generation += 1;
        self.modes.pending = Some(Pending { to, delay, due_ms: context.now_ms + delay * 1000 });
        self.tell_switch(to, SwitchStatus::Begin, delay, context);
        context.later(u64::try_from(delay * 1000).unwrap_or_default(), Timer::ModeSwitch(self.modes.generation));
    }

    pub(super) fn finish_mode_switch(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.modes.generation {
            return;
        }
        if let Some(Pending { to, .. }) = self.modes.pending.take() {
            self.switch_at_once(to, context);
        }
    }

    /// The broadcast of a finished switch says delay 0, as the capture does. The old mode's bypass list is cleared.
    pub(super) fn switch_at_once(&mut self, to: usize, context: &mut Context<'_>) {
        self.tell_switch(to, SwitchStatus::Done, 0, context);
        let from = std::mem::replace(&mut self.modes.current, to);
        self.clear_bypass(from, context);
        if !self.modes.current().armed {
            self.silence(context);
        }
        self.arm(context);
        self.events.push_back(Event::Mode { from: id(from), to: id(to) });
    }

    /// Arms security sensors as the mode says, but for those it leaves out. What the built-in list of disarmed devices
    /// (`disarmedDefault`) holds, nobody describes.
    pub(super) fn arm(&mut self, context: &mut Context<'_>) {
        let mode = self.modes.current();
        let wanted: Vec<(DeviceId, bool)> = self
            .devices
            .values()
            .filter(|device| device.category.get() == Some(&Category::SecuritySensor))
            .filter_map(|device| {
                let id = device.id()?.clone();
                let armed = mode.armed && !mode.disarmed.contains(&id) && !mode.bypass.contains(&id);
                (device.armed.get() != Some(&armed)).then_some((id, armed))
            })
            .collect();
        for (id, armed) in wanted {
            self.change_device(&id, DeviceUpdate { armed: armed.into(), ..DeviceUpdate::default() }, context);
        }
    }

    pub(super) fn modes_cancel_switch(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.cancel_switch(context);
        done()
    }

    pub(super) fn cancel_switch(&mut self, context: &mut Context<'_>) {
        if let Some(Pending { to, delay, .. }) = self.modes.pending.take() {
            self.modes.generation += 1;
            self.tell_switch(to, SwitchStatus::Cancel, delay, context);
        }
    }

    fn tell_switch(&self, to: usize, status: SwitchStatus, delay: i64, context: &mut Context<'_>) {
        let switched = ModeSwitched {
            from: id(self.modes.current).into(),
            to: id(to).into(),
            status: status.into(),
            switch_to_delay: Loose::number(delay).into(),
            ..ModeSwitched::default()
        };
        context.broadcast(self.family.mode_switch, &switched);
    }
}

fn target(wish: &ModeSwitch) -> Answer<usize> {
    match (wish.mode_id.get(), wish.name.as_deref()) {
        (Some(id), _) => position(id).ok_or_else(|| RpcError::known("ezlo.house_mode.not.exist")),
        (None, Some(name)) => {
            let at = MODES.iter().position(|(_, known)| *known == name);
            at.ok_or_else(|| RpcError::known("ezlo.house_mode.name.not.exist"))
        }
        (None, None) => Err(missing("modeId")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Guesses;
    use crate::world::file::HubKind;
    use serde_json::{Value, json};

    struct House {
        hub: Hub,
        guesses: Guesses,
    }

    type Timers = Vec<(u64, Timer)>;

    impl House {
        fn new() -> Self {
            Self { hub: Hub::bare("90000001", HubKind::Linux, "h2.1", 1, 0), guesses: Guesses::default() }
        }

        fn switch(&mut self, to: &Value) -> (Answer<Value>, Vec<String>, Timers) {
            let mut context = Context::new(0, &self.guesses);
            let answer =
                self.hub.call("hub.modes.switch", Some(&to.to_string()), &mut context).map(|result| result.value());
            let told = context
                .effects
                .broadcasts
                .iter()
                .map(|(_, content)| content.value()["status"].as_str().unwrap().to_owned());
            (answer, told.collect(), context.effects.timers)
        }

        fn fire(&mut self, timer: &Timer) -> usize {
            let mut context = Context::new(30_000, &self.guesses);
            self.hub.fire(timer, &mut context);
            context.effects.broadcasts.len()
        }
    }

    #[test]
    fn a_second_switch_replaces_the_first() {
        let mut house = House::new();
        let (answer, told, first) = house.switch(&json!({"modeId": "2"}));
        assert_eq!((answer.unwrap()["switchToDelay"].clone(), told), (json!(30), vec!["begin".to_owned()]));
        let (_, told, _) = house.switch(&json!({"modeId": "2"}));
        assert!(told.is_empty(), "a repeat is ignored");
        let (_, told, second) = house.switch(&json!({"name": "Night"}));
        assert_eq!(told, ["cancel", "begin"]);
        assert_eq!(house.fire(&first[0].1), 0, "the first timer no longer counts");
        assert_eq!(house.fire(&second[0].1), 1);
        assert_eq!(house.hub.modes.current, 2);
        let (answer, told, _) = house.switch(&json!({"name": "Home"}));
        assert_eq!((answer.unwrap()["switchToDelay"].clone(), told), (json!(0), vec!["done".to_owned()]));
    }

    #[test]
    fn refusals_follow_the_reference() {
        let mut house = House::new();
        let mut data = |to: Value| house.switch(&to).0.unwrap_err().data().to_owned();
        assert_eq!(data(json!({"modeId": "1"})), "rpc.params.invalid");
        assert_eq!(data(json!({"modeId": "9"})), "ezlo.house_mode.not.exist");
        assert_eq!(data(json!({"name": "Party"})), "ezlo.house_mode.name.not.exist");
        assert_eq!(data(json!({})), "rpc.params.notfound.modeId");
    }
}
