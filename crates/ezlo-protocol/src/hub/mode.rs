//! House modes and the alarm.

use serde_json::Value;

use super::{DeviceId, ModeId};
use crate::wire::{Field, Loose};

/// The ids and names of the four house modes, which are fixed.
pub const MODES: [(&str, &str); 4] = [("1", "Home"), ("2", "Away"), ("3", "Night"), ("4", "Vacation")];

wire! {
    /// Result of `hub.modes.get`.
    ModesState {
        /// Current mode.
        current: ModeId = "current",
        /// Target mode of a pending switch; empty for none.
        switch_to: Field<ModeId> = "switchTo",
        /// Delay of the pending switch in seconds, counted from the request.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds until the pending switch; API 2.0.
        time_left: Field<Loose<i64>> = "timeIsLeftToSwitch",
        /// Seconds from a trip to the alarm; API 2.0. API 1.0 has it in each mode.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
        /// All modes.
        modes: Vec<Mode> = "modes",
        /// Devices with security sensors.
        devices: Field<Vec<DeviceId>> = "devices",
        /// Devices that sound in an alarm.
        alarms: Field<Vec<DeviceId>> = "alarms",
        /// Cameras; newer firmware.
        cameras: Field<Vec<DeviceId>> = "cameras",
        /// Emergency buttons, with the members `id` and `service`; newer firmware.
        protect_buttons: Field<Vec<ProtectButton>> = "protectButtons",
        /// Entry delays from a trip to the alarm; EzloPi and newer firmware.
        entry_delay: Field<EntryDelay> = "entryDelay",
        /// Abort window `{default, minimum, maximum}` in seconds; EzloPi.
        abort_window: Field<Value> = "abortWindow",
        /// Active alarm; EzloPi and newer firmware.
        alarmed: Field<Alarmed> = "alarmed",
        /// End of the delay of the pending switch; EzloPi.
        switch_runs_out: Field<Value> = "switchToDelayRunsOut",
    }
}

wire! {
    /// A house mode and its settings.
    Mode {
        /// Id of the mode.
        id: ModeId = "_id",
        /// Name of the mode.
        name: Field<String> = "name",
        /// Description of the mode.
        description: Field<String> = "description",
        /// Seconds from the request to the switch; API 1.0.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds from a trip to the alarm; API 1.0.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
        /// Users to notify; null for all users.
        notifications: Field<Vec<Value>> = "notifications",
        /// `true` if the built-in list of disarmed devices applies.
        disarmed_default: Field<bool> = "disarmedDefault",
        /// Devices that are not armed in this mode.
        disarmed_devices: Field<Vec<DeviceId>> = "disarmedDevices",
        /// Devices that do not sound in this mode.
        alarms_off_devices: Field<Vec<DeviceId>> = "alarmsOffDevices",
        /// Cameras that are off in this mode.
        cameras_off_devices: Field<Vec<DeviceId>> = "camerasOffDevices",
        /// Devices that are bypassed until the next switch.
        bypass_devices: Field<Vec<DeviceId>> = "bypassDevices",
        /// `true` if emergencies raise an alarm in this mode.
        protect: Field<bool> = "protect",
        /// `true` if this mode arms security sensors.
        armed: Field<bool> = "armed",
    }
}

wire! {
    /// An emergency button.
    ///
    /// It is also the content of `hub.modes.protect.buttons.updated`, with `deviceId` instead of `id`.
    ProtectButton {
        /// Device of the button.
        id: Field<DeviceId> = "id",
        /// Device of the button, in broadcasts.
        device_id: Field<DeviceId> = "deviceId",
        /// Kind of emergency, such as `fire`.
        service: Field<String> = "service",
    }
}

wire! {
    /// Result of `hub.modes.current.get`.
    CurrentMode {
        /// Current mode.
        mode_id: ModeId = "modeId",
    }
}

wire! {
    /// Parameters of `hub.modes.switch`: the target mode, by id or by name.
    ModeSwitch {
        /// Id of the mode, as text. A hub refuses a number.
        mode_id: Field<ModeId> = "modeId",
        /// Name of the mode.
        name: Field<String> = "name",
    }
}

wire! {
    /// Result of `hub.modes.switch`.
    ModeSwitching {
        /// Seconds until the switch. A public client requires a number here.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds from a trip to the alarm.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
    }
}

open_enum! {
    /// The progress of a mode switch.
    SwitchStatus {
        /// The delay has started.
        Begin = "begin",
        /// The switch has taken effect.
        Done = "done",
        /// The switch was cancelled.
        Cancel = "cancel",
    }
}

wire! {
    /// Content of `hub.modes.switched`.
    ModeSwitched {
        /// Mode before the switch.
        from: Field<ModeId> = "from",
        /// Mode after the switch.
        to: Field<ModeId> = "to",
        /// Progress of the switch.
        status: Field<SwitchStatus> = "status",
        /// Delay of the switch in seconds.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
    }
}

wire! {
    /// Content of `hub.modes.changed` and of the `hub.modes.….added` and `….removed` broadcasts: one property of one mode.
    ModeChange {
        /// Id of the mode.
        mode_id: Field<ModeId> = "modeId",
        /// User, in `notifications.added` and `notifications.removed`.
        notification: Field<Value> = "notification",
        /// `true` if all users are notified, in `notifications.notify_all`.
        all: Field<bool> = "all",
        /// Device, in `disarmed_devices.*`.
        disarmed_device: Field<DeviceId> = "disarmedDevice",
        /// Device, in `alarms_off.*`.
        alarms_off_device: Field<DeviceId> = "alarmsOffDevice",
        /// Camera, in `cameras_off.*`.
        cameras_off_device: Field<DeviceId> = "camerasOffDevice",
        /// Device, in `bypass_devices.*`.
        bypass_device: Field<DeviceId> = "bypassDevice",
        /// Device, in `protect.devices.*`.
        protect_device: Field<DeviceId> = "protectDevice",
        /// `true` if the built-in list of disarmed devices applies, in `changed`.
        disarmed_default: Field<bool> = "disarmedDefault",
        /// `true` if emergencies raise an alarm, in `changed`.
        protect: Field<bool> = "protect",
        /// Seconds from the request to the switch, in `changed`.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds from a trip to the alarm, in `changed`.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
    }
}

wire! {
    /// Content of `hub.modes.alarmed`.
    ModeAlarm {
        /// Device that tripped.
        device_id: Field<DeviceId> = "deviceId",
        /// Phase of the alarm.
        phase: Field<AlarmPhase> = "phase",
        /// Start or end of the phase.
        status: Field<PhaseStatus> = "status",
        /// Time of the event in Unix seconds (unit inferred).
        timestamp: Field<Loose<i64>> = "timestamp",
        /// `true` if sirens stay off.
        silent: Field<bool> = "silent",
    }
}

wire! {
    /// Parameters of the `hub.modes.….add` and `….remove` methods.
    ///
    /// The lists of disarmed devices, silent alarms and cameras take one `deviceId`, bypass and protection take `deviceIds` (pi).
    /// Hubs of this crate read both in all of them.
    ModeDevices {
        /// Id of the mode; absent in `hub.modes.protect.devices.*`, which concerns all modes.
        mode_id: Field<ModeId> = "modeId",
        /// Device to add or remove.
        device_id: Field<DeviceId> = "deviceId",
        /// Devices to add or remove.
        device_ids: Field<Vec<DeviceId>> = "deviceIds",
    }
}

open_enum! {
    /// The phase of an alarm.
    AlarmPhase {
        /// No alarm.
        Idle = "idle",
        /// The device that tripped is bypassed.
        Bypass = "bypass",
        /// The entry delay runs. The alarm can be cancelled.
        EntryDelay = "entryDelay",
        /// The alarm sounds.
        Main = "main",
    }
}

open_enum! {
    /// The start or end of a phase of an alarm.
    PhaseStatus {
        /// The phase has started.
        Begin = "begin",
        /// The phase has ended.
        Done = "done",
        /// The phase was cancelled.
        Canceled = "canceled",
    }
}

wire! {
    /// Seconds from a trip to the alarm, by kind of entry.
    EntryDelay {
        /// Normal delay in seconds (default: 30).
        normal: Field<Loose<i64>> = "normal",
        /// Extended delay in seconds (default: 60).
        extended: Field<Loose<i64>> = "extended",
        /// Long extended delay in seconds (default: 120).
        long_extended: Field<Loose<i64>> = "longExtended",
        /// Delay of an instant alarm in seconds (default: 0).
        instant: Field<Loose<i64>> = "instant",
    }
}

wire! {
    /// Content of `hub.modes.entry_delay.changed`.
    ///
    /// The vendor's firmware nests the delays (pi). The flat form of other sources is read, too: see [`EntryDelayChange::delays`].
    EntryDelayChange {
        /// Delays after the change.
        entry_delay: Field<EntryDelay> = "entryDelay",
        /// Time of the change in Unix seconds (unit inferred).
        timestamp: Field<Loose<i64>> = "timestamp",
        /// Normal delay in seconds, in the flat form.
        normal: Field<Loose<i64>> = "normal",
        /// Extended delay in seconds, in the flat form.
        extended: Field<Loose<i64>> = "extended",
        /// Long extended delay in seconds, in the flat form.
        long_extended: Field<Loose<i64>> = "longExtended",
        /// Delay of an instant alarm in seconds, in the flat form.
        instant: Field<Loose<i64>> = "instant",
    }
}

impl EntryDelayChange {
    /// Returns the delays in either form.
    pub fn delays(&self) -> EntryDelay {
        match self.entry_delay.get() {
            Some(delays) => delays.clone(),
            None => EntryDelay {
                normal: self.normal.clone(),
                extended: self.extended.clone(),
                long_extended: self.long_extended.clone(),
                instant: self.instant.clone(),
                ..EntryDelay::default()
            },
        }
    }
}

wire! {
    /// The active alarm.
    Alarmed {
        /// Kind of alarm, such as `global`.
        kind: Field<String> = "type",
        /// Entry delay in seconds.
        entry_delay: Field<Loose<i64>> = "entryDelay",
        /// Seconds until the alarm sounds.
        time_left: Field<Loose<i64>> = "timeIsLeft",
        /// `true` if sirens stay off.
        silent: Field<bool> = "silent",
        /// Devices that tripped.
        sources: Field<Vec<AlarmSource>> = "sources",
    }
}

wire! {
    /// A device that tripped.
    AlarmSource {
        /// Id of the device.
        device_id: Field<DeviceId> = "deviceId",
        /// Entry delay of the device in seconds.
        delay: Field<Loose<i64>> = "delay",
        /// Time of the trip in Unix seconds (unit inferred).
        timestamp: Field<Loose<i64>> = "timestamp",
    }
}

wire! {
    /// Parameters of `hub.modes.switch_to_delay.set` and `hub.modes.alarm_delay.set`.
    ///
    /// The sources say only "delay in seconds", so all plausible member names are read (inferred).
    ModeDelay {
        /// Mode to change; all modes except Home if absent.
        mode_id: Field<ModeId> = "modeId",
        /// Delay in seconds.
        delay: Field<Loose<i64>> = "delay",
        /// Seconds from the request to the switch.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds from the request to the switch (pi).
        switch_to: Field<Loose<i64>> = "switchTo",
        /// Seconds from a trip to the alarm.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
    }
}

wire! {
    /// Parameters of `hub.modes.disarmed_default.set` and `hub.modes.protect.set`.
    ModeFlags {
        /// Id of the mode.
        mode_id: Field<ModeId> = "modeId",
        /// `true` if the built-in list of disarmed devices applies.
        disarmed_default: Field<bool> = "disarmedDefault",
        /// `true` if emergencies raise an alarm.
        protect: Field<bool> = "protect",
        /// Time of the command in Unix milliseconds. A hub refuses a command that is older than the last one (2023).
        timestamp: Field<Loose<i64>> = "timestamp",
    }
}

wire! {
    /// Result of `hub.modes.swinger.shutdown.list`: devices that trip too often.
    SwingerList {
        /// Version of the list.
        version: Field<Value> = "version",
        /// Devices with trips or limits.
        devices: Vec<SwingerDevice> = "devices",
        /// Devices that are shut down.
        disabled: Vec<DeviceId> = "disabledDevices",
    }
}

wire! {
    /// The trips of a device and their limits.
    SwingerDevice {
        /// Id of the device.
        device_id: DeviceId = "deviceId",
        /// Trips `{hits, added, updated}`.
        stat: Field<Value> = "stat",
        /// Limits.
        limits: Field<SwingerLimits> = "limits",
    }
}

wire! {
    /// The limits of the trips of a device.
    SwingerLimits {
        /// Number of trips after which the device is shut down.
        hits_limit: Field<Loose<i64>> = "hitsLimit",
        /// Seconds without a trip after which the count restarts at 0.
        inactivity_window: Field<Loose<i64>> = "inactivityWindow",
    }
}

wire! {
    /// Parameters of `hub.modes.swinger.shutdown.limit.set`, and, with the id only, of the other methods about one device. The id alone is
    /// the content of their broadcasts.
    SwingerSet {
        /// Id of the device.
        device_id: DeviceId = "deviceId",
        /// Number of trips.
        hits_limit: Field<Loose<i64>> = "hitsLimit",
        /// Seconds.
        inactivity_window: Field<Loose<i64>> = "inactivityWindow",
    }
}

wire! {
    /// Parameters of `hub.modes.notifications.set`.
    ModeNotifications {
        /// Id of the mode.
        mode_id: Field<ModeId> = "modeId",
        /// `true` to notify all users.
        all: Field<bool> = "all",
        /// Users to notify.
        user_ids: Field<Vec<String>> = "userIds",
        /// Users to notify, in the vendor's firmware (pi): a list in spite of its name.
        user_id: Field<Vec<String>> = "userId",
    }
}
