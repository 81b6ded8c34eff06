//! House modes: switching after a delay, calling it off, and what a switch arms.

use ezlo_protocol::hub::device::{Category, Device};
use ezlo_protocol::hub::mode::{
    CurrentMode, MODES, Mode, ModeSwitch, ModeSwitched, ModeSwitching, ModesState, SwitchStatus,
};
use ezlo_protocol::hub::{DeviceId, Empty, ModeId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Loose;

use super::dispatch::{Answer, done, missing};
use super::{Context, Hub, Timer};

/// Seconds from request to switch, and from trip to alarm, for every mode but Home (guide20:p14-15).
const DELAY_SECONDS: i64 = 30;

/// The house's mode.
#[derive(Debug, Default)]
pub(super) struct Modes {
    /// Index into [`MODES`].
    current: usize,
    pending: Option<Pending>,
    /// Tells the timer of a switch that was called off from the one that counts.
    generation: u64,
}

#[derive(Debug)]
struct Pending {
    to: usize,
    delay: i64,
    due_ms: i64,
}

fn id(mode: usize) -> ModeId {
    MODES[mode].0.into()
}

/// Home takes no time.
const fn delay(mode: usize) -> i64 {
    if mode == 0 { 0 } else { DELAY_SECONDS }
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
        Ok(ModesState {
            current: id(self.modes.current),
            switch_to: pending.map_or_else(ModeId::default, |pending| id(pending.to)).into(),
            switch_to_delay: Loose::number(pending.map_or(0, |pending| pending.delay)).into(),
            time_left: Loose::number(left).into(),
            alarm_delay: Loose::number(delay(self.modes.current)).into(),
            modes: (0..MODES.len()).map(describe).collect(),
            devices: of(|category| *category == Category::SecuritySensor).into(),
            alarms: of(|category| *category == Category::Siren).into(),
            cameras: of(|category| *category == Category::Camera).into(),
            protect_buttons: Vec::new().into(),
            ..ModesState::default()
        })
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
        if pending != Some(to) {
            if pending.is_some() {
                self.cancel_switch(context);
            }
            if to != self.modes.current {
                self.begin_switch(to, context);
            }
        }
        Ok(ModeSwitching {
            switch_to_delay: Loose::number(delay(to)).into(),
            alarm_delay: Loose::number(delay(to)).into(),
            ..ModeSwitching::default()
        })
    }

    fn begin_switch(&mut self, to: usize, context: &mut Context<'_>) {
        let delay = delay(to);
        self.modes.generation += 1;
        self.modes.pending = Some(Pending { to, delay, due_ms: context.now_ms + delay * 1000 });
        if delay == 0 {
            self.finish_mode_switch(self.modes.generation, context);
        } else {
            self.tell_switch(to, SwitchStatus::Begin, delay, context);
            context.later(u64::try_from(delay * 1000).unwrap_or_default(), Timer::ModeSwitch(self.modes.generation));
        }
    }

    pub(super) fn finish_mode_switch(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.modes.generation {
            return;
        }
        let Some(Pending { to, .. }) = self.modes.pending.take() else { return };
        // The broadcast of a finished switch says delay 0, as the capture does.
        self.tell_switch(to, SwitchStatus::Done, 0, context);
        self.modes.current = to;
        self.arm(to != 0);
    }

    /// Every mode but Home arms security sensors, after the built-in list (`disarmedDefault`), which nobody describes.
    fn arm(&mut self, armed: bool) {
        let is_sensor = |device: &&mut Device| device.category.get() == Some(&Category::SecuritySensor);
        for device in self.devices.values_mut().filter(is_sensor) {
            device.armed = armed.into();
        }
    }

    pub(super) fn modes_cancel_switch(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.cancel_switch(context);
        done()
    }

    fn cancel_switch(&mut self, context: &mut Context<'_>) {
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
        context.broadcast("hub.modes.switched", &switched);
    }
}

fn describe(mode: usize) -> Mode {
    Mode {
        id: id(mode),
        name: MODES[mode].1.into(),
        description: "".into(),
        switch_to_delay: Loose::number(delay(mode)).into(),
        alarm_delay: Loose::number(delay(mode)).into(),
        notifications: ezlo_protocol::wire::Field::Null,
        disarmed_default: true.into(),
        disarmed_devices: Vec::new().into(),
        alarms_off_devices: Vec::new().into(),
        cameras_off_devices: Vec::new().into(),
        bypass_devices: Vec::new().into(),
        protect: true.into(),
        armed: (mode != 0).into(),
        ..Mode::default()
    }
}

fn target(wish: &ModeSwitch) -> Answer<usize> {
    let find = |pick: fn(&(&str, &str)) -> String, wanted: &str| MODES.iter().position(|mode| pick(mode) == wanted);
    match (wish.mode_id.get(), wish.name.as_deref()) {
        (Some(id), _) => {
            find(|mode| mode.0.to_owned(), id.as_str()).ok_or_else(|| RpcError::known("ezlo.house_mode.not.exist"))
        }
        (None, Some(name)) => {
            find(|mode| mode.1.to_owned(), name).ok_or_else(|| RpcError::known("ezlo.house_mode.name.not.exist"))
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
            let answer = self.hub.call("hub.modes.switch", Some(to), &mut context);
            let told =
                context.effects.broadcasts.iter().map(|(_, content)| content["status"].as_str().unwrap().to_owned());
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
