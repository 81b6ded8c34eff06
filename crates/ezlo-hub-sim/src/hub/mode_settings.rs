//! Settings of house modes. The methods and the stems of their broadcasts are public; all parameters except those of the device
//! lists are inferred.

use ezlo_protocol::hub::mode::{
    EntryDelay, EntryDelayChange, ModeChange, ModeDelay, ModeDevices, ModeFlags, ModeNotifications, ProtectButton,
};
use ezlo_protocol::hub::{DeviceId, Empty, ModeId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{Field, Loose};

use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::modes::{ENTRY_DELAYS, ModeSettings, position};

/// Maximum delay, in seconds (inferred: an hour exceeds the choices of every app).
const MAX_DELAY: i64 = 3600;
/// Maximum number of users that one mode notifies.
const MAX_USERS: usize = 1_000;

/// A list of devices of a mode: its storage and the names of its broadcasts.
struct DeviceListing {
    list: fn(&mut ModeSettings) -> &mut Vec<DeviceId>,
    /// The member of requests that the vendor's firmware reads (pi). The error for a request without devices names it.
    member: &'static str,
    /// A request without a mode concerns all modes.
    in_all_modes: bool,
    added: &'static str,
    removed: &'static str,
    change: fn(&mut ModeChange, DeviceId),
}

const DISARMED: DeviceListing = DeviceListing {
    list: |mode| &mut mode.disarmed,
    member: "deviceId",
    in_all_modes: false,
    added: "hub.modes.disarmed_devices.added",
    removed: "hub.modes.disarmed_devices.removed",
    change: |change, device| change.disarmed_device = device.into(),
};
const ALARMS_OFF: DeviceListing = DeviceListing {
    list: |mode| &mut mode.alarms_off,
    member: "deviceId",
    in_all_modes: false,
    added: "hub.modes.alarms_off.added",
    removed: "hub.modes.alarms_off.removed",
    change: |change, device| change.alarms_off_device = device.into(),
};
const CAMERAS_OFF: DeviceListing = DeviceListing {
    list: |mode| &mut mode.cameras_off,
    member: "deviceId",
    in_all_modes: false,
    added: "hub.modes.cameras_off.added",
    removed: "hub.modes.cameras_off.removed",
    change: |change, device| change.cameras_off_device = device.into(),
};
const BYPASS: DeviceListing = DeviceListing {
    list: |mode| &mut mode.bypass,
    member: "deviceIds",
    in_all_modes: false,
    added: "hub.modes.bypass_devices.added",
    removed: "hub.modes.bypass_devices.removed",
    change: |change, device| change.bypass_device = device.into(),
};

const PROTECT: DeviceListing = DeviceListing {
    list: |mode| &mut mode.protect_devices,
    member: "deviceIds",
    in_all_modes: true,
    added: "hub.modes.protect.devices.added",
    removed: "hub.modes.protect.devices.removed",
    change: |change, device| change.protect_device = device.into(),
};
const LISTINGS: [&DeviceListing; 5] = [&DISARMED, &ALARMS_OFF, &CAMERAS_OFF, &BYPASS, &PROTECT];

macro_rules! device_lists {
    ($( $add:ident, $remove:ident: $listing:ident; )*) => { $(
        pub(crate) fn $add(&mut self, request: ModeDevices, context: &mut Context<'_>) -> Answer<Empty> {
            self.list_devices(&$listing, true, &request, context)
        }

        pub(crate) fn $remove(&mut self, request: ModeDevices, context: &mut Context<'_>) -> Answer<Empty> {
            self.list_devices(&$listing, false, &request, context)
        }
    )* };
}

impl Hub {
    device_lists! {
        disarmed_add, disarmed_remove: DISARMED;
        alarms_off_add, alarms_off_remove: ALARMS_OFF;
        cameras_off_add, cameras_off_remove: CAMERAS_OFF;
        bypass_add, bypass_remove: BYPASS;
        protect_add, protect_remove: PROTECT;
    }

    /// Adds devices to a list or removes them, with one broadcast per device and its id under a singular name (guide20:p78-80).
    fn list_devices(
        &mut self,
        listing: &DeviceListing,
        add: bool,
        request: &ModeDevices,
        context: &mut Context<'_>,
    ) -> Answer<Empty> {
        // Protection concerns all modes unless the request names one (pi).
        let modes = match request.mode_id.get() {
            None if listing.in_all_modes => 0..self.modes.modes.len(),
            mode => {
                let at = self.mode_at(mode)?;
                at..at + 1
            }
        };
        let devices: Vec<DeviceId> =
            request.device_ids.get().into_iter().flatten().chain(request.device_id.get()).cloned().collect();
        if request.device_ids.get().is_none() && devices.is_empty() {
            return Err(missing(listing.member));
        }
        if devices.iter().any(|device| !self.devices.contains_key(device)) {
            return Err(not_found("ezlo.device.notfound"));
        }
        for device in devices {
            let mut is_changed = false;
            for mode in &mut self.modes.modes[modes.clone()] {
                let list = (listing.list)(mode);
                let known = list.iter().position(|known| *known == device);
                match (add, known) {
                    (true, None) => list.push(device.clone()),
                    (false, Some(known)) => drop(list.remove(known)),
                    _ => continue,
                }
                is_changed = true;
            }
            if is_changed {
                let mode_id = request.mode_id.clone();
                let mut change = ModeChange { mode_id, ..ModeChange::default() };
                (listing.change)(&mut change, device);
                context.broadcast(if add { listing.added } else { listing.removed }, &change);
            }
        }
        if modes.contains(&self.modes.current) {
            self.arm(context);
        }
        done()
    }

    /// Removes a deleted device from all lists and from the emergency buttons.
    pub(crate) fn forget_in_modes(&mut self, device: &DeviceId, context: &mut Context<'_>) {
        for listing in LISTINGS {
            for at in 0..self.modes.modes.len() {
                self.unlist(listing, at, device, context);
            }
        }
        if self.modes.buttons.shift_remove(device).is_some() {
            let told =
                ProtectButton { device_id: device.clone().into(), service: "".into(), ..ProtectButton::default() };
            context.broadcast("hub.modes.protect.buttons.updated", &told);
        }
    }

    /// Clears the bypass list of a mode that has ended.
    pub(crate) fn clear_bypass(&mut self, at: usize, context: &mut Context<'_>) {
        for device in self.modes.modes[at].bypass.clone() {
            self.unlist(&BYPASS, at, &device, context);
        }
    }

    fn unlist(&mut self, listing: &DeviceListing, at: usize, device: &DeviceId, context: &mut Context<'_>) {
        let list = (listing.list)(&mut self.modes.modes[at]);
        if let Some(known) = list.iter().position(|known| known == device) {
            list.remove(known);
            let mut change = self.change_of(at);
            (listing.change)(&mut change, device.clone());
            context.broadcast(listing.removed, &change);
        }
    }

    /// Returns the index of a mode.
    fn mode_at(&self, mode: Option<&ModeId>) -> Answer<usize> {
        let mode = mode.ok_or_else(|| missing("modeId"))?;
        position(mode).ok_or_else(|| RpcError::known("ezlo.house_mode.not.exist"))
    }

    fn change_of(&self, at: usize) -> ModeChange {
        ModeChange { mode_id: crate::state::modes::id(at).into(), ..ModeChange::default() }
    }

    pub(crate) fn switch_delay_set(&mut self, request: ModeDelay, context: &mut Context<'_>) -> Answer<Empty> {
        self.set_delay(
            &request,
            context,
            |mode, delay| mode.switch_delay = delay,
            |change, delay| {
                change.switch_to_delay = delay;
            },
        )
    }

    pub(crate) fn alarm_delay_set(&mut self, request: ModeDelay, context: &mut Context<'_>) -> Answer<Empty> {
        self.set_delay(
            &request,
            context,
            |mode, delay| mode.alarm_delay = Some(delay),
            |change, delay| {
                change.alarm_delay = delay;
            },
        )
    }

    /// Sets a delay of one mode or, if the request has no mode, of all modes except Home, which has no delay.
    fn set_delay(
        &mut self,
        request: &ModeDelay,
        context: &mut Context<'_>,
        set: fn(&mut ModeSettings, i64),
        tell: fn(&mut ModeChange, Field<Loose<i64>>),
    ) -> Answer<Empty> {
        let members = [&request.delay, &request.switch_to_delay, &request.switch_to, &request.alarm_delay];
        let said = members.into_iter().find_map(Field::get);
        let delay = *said.ok_or_else(|| missing("delay"))?.get();
        if !(0..=MAX_DELAY).contains(&delay) {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let modes = match request.mode_id.get() {
            Some(mode) => vec![self.mode_at(Some(mode))?],
            None => vec![1, 2, 3],
        };
        for at in modes {
            set(&mut self.modes.modes[at], delay);
            let mut change = self.change_of(at);
            tell(&mut change, Loose::number(delay).into());
            context.broadcast("hub.modes.changed", &change);
        }
        done()
    }

    pub(crate) fn mode_flags_set(&mut self, request: ModeFlags, context: &mut Context<'_>) -> Answer<Empty> {
        let at = self.mode_at(request.mode_id.get())?;
        if request.disarmed_default.is_absent() && request.protect.is_absent() {
            return Err(missing("disarmedDefault"));
        }
        if let Some(sent) = request.timestamp.get().map(|sent| *sent.get()) {
            if sent < self.modes.last_command_ms {
                return Err(RpcError::known("ezlo.house_mode.command.outdated"));
            }
            self.modes.last_command_ms = sent;
        }
        let mode = &mut self.modes.modes[at];
        mode.disarmed_default = request.disarmed_default.get().copied().unwrap_or(mode.disarmed_default);
        mode.protect = request.protect.get().copied().unwrap_or(mode.protect);
        let change =
            ModeChange { disarmed_default: request.disarmed_default, protect: request.protect, ..self.change_of(at) };
        context.broadcast("hub.modes.changed", &change);
        done()
    }

    pub(crate) fn notifications_set(&mut self, request: ModeNotifications, context: &mut Context<'_>) -> Answer<Empty> {
        let at = self.mode_at(request.mode_id.get())?;
        let everybody = request.all.get().copied();
        let users = request.user_ids.get().or_else(|| request.user_id.get()).cloned();
        if everybody.is_none() && users.is_none() {
            return Err(missing("userIds"));
        }
        if users.as_ref().is_some_and(|users| users.len() > MAX_USERS) {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let now = if everybody == Some(true) { None } else { Some(users.unwrap_or_default()) };
        let before = std::mem::replace(&mut self.modes.modes[at].notifications, now.clone());
        if before.is_none() != now.is_none() {
            let change = ModeChange { all: now.is_none().into(), ..self.change_of(at) };
            context.broadcast("hub.modes.notifications.notify_all", &change);
        }
        let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
        for (name, users, others) in
            [("hub.modes.notifications.added", &now, &before), ("hub.modes.notifications.removed", &before, &now)]
        {
            for user in users.iter().filter(|user| !others.contains(user)) {
                let change = ModeChange { notification: serde_json::json!(user).into(), ..self.change_of(at) };
                context.broadcast(name, &change);
            }
        }
        done()
    }

    /// Assigns a service to an emergency button. Without a service, the device is no longer an emergency button.
    pub(crate) fn protect_button_set(&mut self, request: ProtectButton, context: &mut Context<'_>) -> Answer<Empty> {
        let device =
            request.device_id.get().or_else(|| request.id.get()).cloned().ok_or_else(|| missing("deviceId"))?;
        if !self.devices.contains_key(&device) {
            return Err(not_found("ezlo.device.notfound"));
        }
        let service = request.service.as_deref().unwrap_or_default();
        if service.is_empty() {
            self.modes.buttons.shift_remove(&device);
        } else {
            self.modes.buttons.insert(device.clone(), service.chars().take(64).collect());
        }
        let told = ProtectButton { device_id: device.into(), service: service.into(), ..ProtectButton::default() };
        context.broadcast("hub.modes.protect.buttons.updated", &told);
        done()
    }

    pub(crate) fn entry_delay_set(&mut self, request: EntryDelay, context: &mut Context<'_>) -> Answer<Empty> {
        let said = [&request.normal, &request.extended, &request.long_extended, &request.instant];
        let said: Vec<Option<i64>> = said.into_iter().map(|delay| delay.get().map(|delay| *delay.get())).collect();
        if said.iter().flatten().any(|delay| !(0..=MAX_DELAY).contains(delay)) {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        for (delay, said) in self.modes.entry_delay.iter_mut().zip(said) {
            *delay = said.unwrap_or(*delay);
        }
        self.entry_delays_decide();
        self.broadcast_entry_delay(context);
        done()
    }

    pub(crate) fn entry_delay_reset(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.modes.entry_delay = ENTRY_DELAYS;
        self.entry_delays_decide();
        self.broadcast_entry_delay(context);
        done()
    }

    fn broadcast_entry_delay(&self, context: &mut Context<'_>) {
        let timestamp = Loose::number(context.now_ms.div_euclid(1000));
        let change = EntryDelayChange {
            entry_delay: self.entry_delay().into(),
            timestamp: timestamp.into(),
            ..EntryDelayChange::default()
        };
        context.broadcast("hub.modes.entry_delay.changed", &change);
    }

    /// Clears the delays per mode. Older clients set those, newer clients the entry delays; the last setting counts (inferred).
    fn entry_delays_decide(&mut self) {
        for mode in &mut self.modes.modes {
            mode.alarm_delay = None;
        }
    }

    pub(crate) fn entry_delay(&self) -> EntryDelay {
        let [normal, extended, long_extended, instant] =
            self.modes.entry_delay.map(|delay| Loose::number(delay).into());
        EntryDelay { normal, extended, long_extended, instant, ..EntryDelay::default() }
    }

    pub(crate) fn entry_delay_cancel(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        if self.alarm_waits() {
            self.silence(context);
        }
        done()
    }

    pub(crate) fn entry_delay_skip(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        if self.alarm_waits() {
            self.sound(None, context);
        }
        done()
    }

    pub(crate) fn local_alarm_off(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.silence(context);
        done()
    }

    pub(crate) fn force_disarm(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.cancel_switch(context);
        if self.modes.current != 0 {
            self.switch_at_once(0, context);
        }
        self.silence(context);
        done()
    }
}
