//! House modes: switches with a delay, their cancellation, and the sensors that they arm.

use ezlo_protocol::hub::device::{Category, Device, DeviceUpdate};
use ezlo_protocol::hub::mode::{
    CurrentMode, MODES, Mode, ModeSwitch, ModeSwitched, ModeSwitching, ModesState, ProtectButton, SwitchStatus,
};
use ezlo_protocol::hub::{DeviceId, Empty, ModeId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{Field, Loose};
use serde_json::Value;

use crate::answer::{Answer, done, missing};
use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::state::modes::{Pending, id, position};
use crate::state::scene_events::Event;

impl Hub {
    /// Returns all modes. Delays are given per mode (API 1.0) and at the top level (API 2.0); clients accept both together.
    pub(crate) fn modes_get(&self, _: Empty, context: &Context<'_>) -> Answer<ModesState> {
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

    pub(crate) fn modes_current(&self, _: Empty, _: &Context<'_>) -> Answer<CurrentMode> {
        Ok(CurrentMode { mode_id: id(self.modes.current), ..CurrentMode::default() })
    }

    /// Starts a switch. A switch to another mode replaces a pending one; a repetition of the pending one changes nothing.
    pub(crate) fn modes_switch(&mut self, request: ModeSwitch, context: &mut Context<'_>) -> Answer<ModeSwitching> {
        let to = target(&request)?;
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

    /// Starts a switch for a call or a scene.
    pub(crate) fn switch_mode(&mut self, to: usize, context: &mut Context<'_>) {
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
        self.broadcast_switch(to, SwitchStatus::Begin, delay, context);
        context.later(u64::try_from(delay * 1000).unwrap_or_default(), Timer::ModeSwitch(self.modes.generation));
    }

    pub(crate) fn finish_mode_switch(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.modes.generation {
            return;
        }
        if let Some(Pending { to, .. }) = self.modes.pending.take() {
            self.switch_at_once(to, context);
        }
    }

    /// Switches the mode. Its broadcast has delay 0 (captures). The bypass list of the old mode is cleared.
    pub(crate) fn switch_at_once(&mut self, to: usize, context: &mut Context<'_>) {
        self.broadcast_switch(to, SwitchStatus::Done, 0, context);
        let from = std::mem::replace(&mut self.modes.current, to);
        self.clear_bypass(from, context);
        if !self.modes.current().armed {
            self.silence(context);
        }
        self.arm(context);
        self.events.push_back(Event::Mode { from: id(from), to: id(to) });
    }

    /// Arms or disarms the security sensors as the current mode requires, except its disarmed and bypassed devices. The content
    /// of the built-in list of disarmed devices (`disarmedDefault`) is not known and has no effect.
    pub(crate) fn arm(&mut self, context: &mut Context<'_>) {
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

    pub(crate) fn modes_cancel_switch(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.cancel_switch(context);
        done()
    }

    /// Cancels the pending switch, if any.
    pub(crate) fn cancel_switch(&mut self, context: &mut Context<'_>) {
        if let Some(Pending { to, delay, .. }) = self.modes.pending.take() {
            self.modes.generation += 1;
            self.broadcast_switch(to, SwitchStatus::Cancel, delay, context);
        }
    }

    fn broadcast_switch(&self, to: usize, status: SwitchStatus, delay: i64, context: &mut Context<'_>) {
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

fn target(request: &ModeSwitch) -> Answer<usize> {
    match (request.mode_id.get(), request.name.as_deref()) {
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
    use crate::assumptions::HubAssumptions;
    use crate::world_file::HubKind;
    use serde_json::{Value, json};

    struct House {
        hub: Hub,
        assumptions: HubAssumptions,
    }

    type Timers = Vec<(u64, Timer)>;

    impl House {
        fn new() -> Self {
            Self { hub: Hub::bare("90000001", HubKind::Linux, "h2.1", 1, 0), assumptions: HubAssumptions::default() }
        }

        fn switch(&mut self, to: &Value) -> (Answer<Value>, Vec<String>, Timers) {
            let mut context = Context::new(0, &self.assumptions);
            let answer =
                self.hub.call("hub.modes.switch", Some(&to.to_string()), &mut context).map(|result| result.value());
            let statuses = context
                .effects
                .broadcasts
                .iter()
                .map(|broadcast| broadcast.content.value()["status"].as_str().unwrap().to_owned());
            (answer, statuses.collect(), context.effects.timers)
        }

        fn fire(&mut self, timer: &Timer) -> usize {
            let mut context = Context::new(30_000, &self.assumptions);
            self.hub.fire(timer, &mut context);
            context.effects.broadcasts.len()
        }
    }

    #[test]
    fn second_mode_switch_replaces_the_pending_one() {
        let mut house = House::new();
        let (answer, statuses, first) = house.switch(&json!({"modeId": "2"}));
        assert_eq!((answer.unwrap()["switchToDelay"].clone(), statuses), (json!(30), vec!["begin".to_owned()]));
        let (_, statuses, _) = house.switch(&json!({"modeId": "2"}));
        assert!(statuses.is_empty(), "a repeat is ignored");
        let (_, statuses, second) = house.switch(&json!({"name": "Night"}));
        assert_eq!(statuses, ["cancel", "begin"]);
        assert_eq!(house.fire(&first[0].1), 0, "the first timer no longer counts");
        assert_eq!(house.fire(&second[0].1), 1);
        assert_eq!(house.hub.modes.current, 2);
        let (answer, statuses, _) = house.switch(&json!({"name": "Home"}));
        assert_eq!((answer.unwrap()["switchToDelay"].clone(), statuses), (json!(0), vec!["done".to_owned()]));
    }

    #[test]
    fn mode_switch_refusals_follow_the_reference() {
        let mut house = House::new();
        let mut data = |to: Value| house.switch(&to).0.unwrap_err().data().to_owned();
        assert_eq!(data(json!({"modeId": "1"})), "rpc.params.invalid");
        assert_eq!(data(json!({"modeId": "9"})), "ezlo.house_mode.not.exist");
        assert_eq!(data(json!({"name": "Party"})), "ezlo.house_mode.name.not.exist");
        assert_eq!(data(json!({})), "rpc.params.notfound.modeId");
    }
}
