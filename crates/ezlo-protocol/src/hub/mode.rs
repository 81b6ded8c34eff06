//! House modes: Home, Away, Night and Vacation.

use serde_json::Value;

use super::{DeviceId, ModeId};
use crate::wire::{Field, Loose};

/// The four modes: id and name are fixed.
pub const MODES: [(&str, &str); 4] = [("1", "Home"), ("2", "Away"), ("3", "Night"), ("4", "Vacation")];

wire! {
    /// Result of `hub.modes.get`.
    ModesState {
        /// The mode the house is in.
        current: ModeId = "current",
        /// The mode it is about to be in; empty for none.
        switch_to: Field<ModeId> = "switchTo",
        /// Seconds from the request to the switch.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds left; API 2.0.
        time_left: Field<Loose<i64>> = "timeIsLeftToSwitch",
        /// Seconds; API 2.0, per mode before.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
        /// The modes.
        modes: Vec<Mode> = "modes",
        /// Devices with security sensors.
        devices: Field<Vec<DeviceId>> = "devices",
        /// Devices that sound an alarm.
        alarms: Field<Vec<DeviceId>> = "alarms",
        /// Cameras; newer firmware.
        cameras: Field<Vec<DeviceId>> = "cameras",
        /// `[{id, service}]`; newer firmware.
        protect_buttons: Field<Vec<ProtectButton>> = "protectButtons",
        /// Seconds from a trip to the alarm; EzloPi and newer firmware.
        entry_delay: Field<EntryDelay> = "entryDelay",
        /// `{default, minimum, maximum}` in seconds; EzloPi.
        abort_window: Field<Value> = "abortWindow",
        /// The alarm that is on; EzloPi and newer firmware.
        alarmed: Field<Alarmed> = "alarmed",
        /// When the delay of the switch is over; EzloPi.
        switch_runs_out: Field<Value> = "switchToDelayRunsOut",
    }
}

wire! {
    /// One house mode.
    Mode {
        /// Its id.
        id: ModeId = "_id",
        /// Its name.
        name: Field<String> = "name",
        /// Its description.
        description: Field<String> = "description",
        /// Seconds from the request to the switch; API 1.0.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds from a trip to the alarm; API 1.0.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
        /// Users to be told: null = all.
        notifications: Field<Vec<Value>> = "notifications",
        /// Whether the built-in list of disarmed devices applies.
        disarmed_default: Field<bool> = "disarmedDefault",
        /// Devices not armed in this mode.
        disarmed_devices: Field<Vec<DeviceId>> = "disarmedDevices",
        /// Devices that stay silent in this mode.
        alarms_off_devices: Field<Vec<DeviceId>> = "alarmsOffDevices",
        /// Cameras that are off in this mode.
        cameras_off_devices: Field<Vec<DeviceId>> = "camerasOffDevices",
        /// Devices left out until the next switch.
        bypass_devices: Field<Vec<DeviceId>> = "bypassDevices",
        /// Whether emergencies raise an alarm in this mode.
        protect: Field<bool> = "protect",
        /// Whether this mode arms.
        armed: Field<bool> = "armed",
    }
}

wire! {
    /// An emergency button; content of `hub.modes.protect.buttons.updated` has `deviceId` in place of `id`.
    ProtectButton {
        /// The device.
        id: Field<DeviceId> = "id",
        /// The device, in broadcasts.
        device_id: Field<DeviceId> = "deviceId",
        /// Such as `fire`.
        service: Field<String> = "service",
    }
}

wire! {
    /// Result of `hub.modes.current.get`.
    CurrentMode {
        /// The mode the house is in.
        mode_id: ModeId = "modeId",
    }
}

wire! {
    /// Parameters of `hub.modes.switch`: a mode by id or by name.
    ModeSwitch {
        /// By id, as text: a number is refused.
        mode_id: Field<ModeId> = "modeId",
        /// By name.
        name: Field<String> = "name",
    }
}

wire! {
    /// Result of `hub.modes.switch`.
    ModeSwitching {
        /// Seconds until the switch; a public client needs a number here.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds from a trip to the alarm.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
    }
}

open_enum! {
    /// How far a switch has come.
    SwitchStatus {
        /// The delay runs.
        Begin = "begin",
        /// The house is in the new mode.
        Done = "done",
        /// The switch was called off.
        Cancel = "cancel",
    }
}

wire! {
    /// Content of `hub.modes.switched`.
    ModeSwitched {
        /// The mode before.
        from: Field<ModeId> = "from",
        /// The mode after.
        to: Field<ModeId> = "to",
        /// How far it has come.
        status: Field<SwitchStatus> = "status",
        /// Seconds.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
    }
}

wire! {
    /// Content of the `hub.modes.….added`, `….removed` and `hub.modes.changed` broadcasts: one property of one mode.
    ModeChange {
        /// The mode.
        mode_id: Field<ModeId> = "modeId",
        /// A user, in `notifications.*`.
        notification: Field<Value> = "notification",
        /// In `notifications.notify_all`.
        all: Field<bool> = "all",
        /// A device, in `disarmed_devices.*`.
        disarmed_device: Field<DeviceId> = "disarmedDevice",
        /// A device, in `alarms_off.*`.
        alarms_off_device: Field<DeviceId> = "alarmsOffDevice",
        /// A camera, in `cameras_off.*`.
        cameras_off_device: Field<DeviceId> = "camerasOffDevice",
        /// A device, in `bypass_devices.*`.
        bypass_device: Field<DeviceId> = "bypassDevice",
        /// A device, in `protect.devices.*`.
        protect_device: Field<DeviceId> = "protectDevice",
        /// In `changed`.
        disarmed_default: Field<bool> = "disarmedDefault",
        /// In `changed`.
        protect: Field<bool> = "protect",
        /// In `changed`: seconds.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// In `changed`: seconds.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
    }
}

wire! {
    /// Content of `hub.modes.alarmed`.
    ModeAlarm {
        /// The device that tripped.
        device_id: Field<DeviceId> = "deviceId",
        /// How far the alarm has come.
        phase: Field<AlarmPhase> = "phase",
        /// Whether the phase begins or ends.
        status: Field<PhaseStatus> = "status",
        /// When.
        timestamp: Field<Loose<i64>> = "timestamp",
        /// Whether sirens stay off.
        silent: Field<bool> = "silent",
    }
}

wire! {
    /// Parameters of the `hub.modes.….add` and `….remove` methods.
    ModeDevices {
        /// The mode.
        mode_id: Field<ModeId> = "modeId",
        /// The devices.
        device_ids: Field<Vec<DeviceId>> = "deviceIds",
    }
}

open_enum! {
    /// How far an alarm has come.
    AlarmPhase {
        /// None.
        Idle = "idle",
        /// The device that tripped is left out.
        Bypass = "bypass",
        /// Somebody may still call it off.
        EntryDelay = "entryDelay",
        /// It sounds.
        Main = "main",
    }
}

open_enum! {
    /// Whether a phase of an alarm begins or ends.
    PhaseStatus {
        /// It begins.
        Begin = "begin",
        /// It is over.
        Done = "done",
        /// It was called off.
        Canceled = "canceled",
    }
}

wire! {
    /// Seconds from a trip to the alarm, by kind of entry.
    EntryDelay {
        /// 30 by default.
        normal: Field<Loose<i64>> = "normal",
        /// 60 by default.
        extended: Field<Loose<i64>> = "extended",
        /// 120 by default.
        long_extended: Field<Loose<i64>> = "longExtended",
        /// 0 by default.
        instant: Field<Loose<i64>> = "instant",
    }
}

wire! {
    /// The alarm that is on.
    Alarmed {
        /// Such as `global`.
        kind: Field<String> = "type",
        /// Seconds.
        entry_delay: Field<Loose<i64>> = "entryDelay",
        /// Seconds until it sounds.
        time_left: Field<Loose<i64>> = "timeIsLeft",
        /// Whether sirens stay off.
        silent: Field<bool> = "silent",
        /// What tripped.
        sources: Field<Vec<AlarmSource>> = "sources",
    }
}

wire! {
    /// A device that tripped.
    AlarmSource {
        /// The device.
        device_id: Field<DeviceId> = "deviceId",
        /// Seconds it gave.
        delay: Field<Loose<i64>> = "delay",
        /// When.
        timestamp: Field<Loose<i64>> = "timestamp",
    }
}

wire! {
    /// Parameters of `hub.modes.switch_to_delay.set` and `….alarm_delay.set`. Only "delay in seconds" is public, so each
    /// name it could have is read.
    ModeDelay {
        /// One mode; all but Home when absent.
        mode_id: Field<ModeId> = "modeId",
        /// Seconds.
        delay: Field<Loose<i64>> = "delay",
        /// Seconds.
        switch_to_delay: Field<Loose<i64>> = "switchToDelay",
        /// Seconds.
        alarm_delay: Field<Loose<i64>> = "alarmDelay",
    }
}

wire! {
    /// Parameters of `hub.modes.disarmed_default.set` and `hub.modes.protect.set`.
    ModeFlags {
        /// The mode.
        mode_id: Field<ModeId> = "modeId",
        /// Whether the built-in list of disarmed devices applies.
        disarmed_default: Field<bool> = "disarmedDefault",
        /// Whether emergencies raise an alarm.
        protect: Field<bool> = "protect",
    }
}

wire! {
    /// Parameters of `hub.modes.notifications.set`.
    ModeNotifications {
        /// The mode.
        mode_id: Field<ModeId> = "modeId",
        /// Tell everybody.
        all: Field<bool> = "all",
        /// Tell these.
        user_ids: Field<Vec<String>> = "userIds",
    }
}
