//! Devices: what they are and the methods that change them.

use serde_json::Value;

use super::{DeviceId, GatewayId, RoomId};
use crate::wire::{Field, Raw};

wire! {
    /// A device. Firmware families differ in what they send, so only what is there is promised; see [`Device::id`].
    Device {
        /// Its id.
        object_id: Field<DeviceId> = "_id",
        /// Once seen on RTOS firmware in place of `_id`.
        rtos_id: Field<DeviceId> = "id",
        /// The device it is a part of; empty for a main device.
        parent_device_id: Field<DeviceId> = "parentDeviceId",
        /// What it is.
        category: Field<Category> = "category",
        /// A finer kind inside the category; empty when there is none.
        subcategory: Field<String> = "subcategory",
        /// From manufacturer ids, such as `59_25409_20548`.
        device_type_id: Field<String> = "deviceTypeId",
        /// What owns it.
        gateway_id: Field<GatewayId> = "gatewayId",
        /// Its name.
        name: Field<String> = "name",
        /// Such as `switch.inwall`.
        kind: Field<String> = "type",
        /// Whether it runs on a battery.
        battery_powered: Field<bool> = "batteryPowered",
        /// Whether it answers.
        reachable: Field<bool> = "reachable",
        /// Whether the house mode has armed it; absent on most devices that are not security devices.
        armed: Field<bool> = "armed",
        /// The room it is in.
        room_id: Field<RoomId> = "roomId",
        /// Whether it cannot be removed by force.
        persistent: Field<bool> = "persistent",
        /// Free texts such as `manufacturer`, `zwave.node`; absent on RTOS firmware.
        info: Field<Raw> = "info",
        /// `[{id, version}]`.
        firmware: Field<Raw> = "firmware",
        /// Whether changes go to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
        /// How securely it is connected: `no`, `low`, `middle`, `high`.
        security: Field<String> = "security",
        /// False while it is busy.
        ready: Field<bool> = "ready",
        /// `idle`, `broken`, `updating`, `rediscovering`.
        status: Field<String> = "status",
        /// Whether it follows its parent's room.
        parent_room: Field<bool> = "parentRoom",
        /// EzloPi.
        protect_config: Field<String> = "protectConfig",
        /// Newer firmware, in broadcasts.
        sync_notification: Field<bool> = "syncNotification",
        /// Newer firmware, in broadcasts: Unix milliseconds.
        fw_timestamp_ms: Field<i64> = "fwTimestampMs",
    }
}

impl Device {
    /// Its id, under whichever name it came; `None` for an entry that cannot be addressed.
    pub fn id(&self) -> Option<&DeviceId> {
        self.object_id.get().or_else(|| self.rtos_id.get())
    }

    /// The room it is in, if it is in one.
    pub fn room(&self) -> Option<&RoomId> {
        self.room_id.get().filter(|room| !room.is_none())
    }
}

open_enum! {
    /// What a device is. Names are exact; the vendor's guide has the first 37, newer sources the last.
    Category {
        /// User interface.
        Interface = "interface",
        /// Light that dims.
        DimmableLight = "dimmable_light",
        /// Switch.
        Switch = "switch",
        /// Door, leak, motion, smoke and other security sensors; what house modes arm.
        SecuritySensor = "security_sensor",
        /// Heating and cooling.
        Hvac = "hvac",
        /// Camera.
        Camera = "camera",
        /// Door lock.
        DoorLock = "door_lock",
        /// Window covering.
        WindowCovering = "window_cov",
        /// Remote control.
        RemoteControl = "remote_control",
        /// Infrared transmitter.
        IrTransmitter = "ir_tx",
        /// Generic input and output.
        GenericIo = "generic_io",
        /// Generic sensor.
        GenericSensor = "generic_sensor",
        /// Serial port.
        SerialPort = "serial_port",
        /// Scene controller.
        SceneController = "scene_controller",
        /// Audio and video.
        AudioVideo = "av",
        /// Humidity sensor.
        Humidity = "humidity",
        /// Temperature sensor.
        Temperature = "temperature",
        /// Light sensor.
        LightSensor = "light_sensor",
        /// Z-Wave interface.
        ZwaveInterface = "zwave_int",
        /// Insteon interface.
        InsteonInterface = "insteon_int",
        /// Power meter.
        PowerMeter = "power_meter",
        /// Alarm panel.
        AlarmPanel = "alarm_panel",
        /// Part of an alarm panel.
        AlarmPartition = "alarm_partition",
        /// Siren.
        Siren = "siren",
        /// Weather station.
        Weather = "weather",
        /// Philips controller.
        PhilipsController = "philips_controller",
        /// Appliance.
        Appliance = "appliance",
        /// Ultraviolet sensor.
        UvSensor = "uv_sensor",
        /// Mouse trap.
        MouseTrap = "mouse_trap",
        /// Doorbell.
        Doorbell = "doorbell",
        /// Keypad.
        Keypad = "keypad",
        /// Garage door.
        GarageDoor = "garage_door",
        /// Flow meter.
        FlowMeter = "flow_meter",
        /// Voltage sensor.
        VoltageSensor = "voltage_sensor",
        /// Sensor of a state.
        StateSensor = "state_sensor",
        /// Sensor of a level.
        LevelSensor = "level_sensor",
        /// Clock.
        Clock = "clock",
        /// Newer firmware says so itself.
        SaidUnknown = "unknown",
    }
}

wire! {
    /// Result of `hub.devices.list`.
    DeviceList {
        /// The devices.
        devices: Vec<Device> = "devices",
    }
}

wire! {
    /// A device by id.
    DeviceRef {
        /// The device.
        id: DeviceId = "_id",
    }
}

wire! {
    /// Parameters of `hub.device.name.set`.
    DeviceName {
        /// The device.
        id: DeviceId = "_id",
        /// Its new name.
        name: String = "name",
    }
}

wire! {
    /// Parameters of `hub.device.room.set`.
    DeviceRoom {
        /// The device.
        id: DeviceId = "_id",
        /// Its new room; empty for none.
        room_id: RoomId = "roomId",
    }
}

wire! {
    /// Parameters of `hub.device.armed.set`.
    DeviceArmed {
        /// The device.
        id: DeviceId = "_id",
        /// Whether it is armed.
        armed: bool = "armed",
    }
}

wire! {
    /// Parameters of `hub.device.check`.
    DeviceCheck {
        /// The device.
        id: DeviceId = "_id",
        /// What to ask for.
        check: Field<Value> = "check",
    }
}

wire! {
    /// Content of `hub.device.updated`: the id and what changed.
    DeviceUpdate {
        /// The device.
        id: DeviceId = "_id",
        /// Whether the change goes to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
        /// Newer firmware.
        sync_notification: Field<bool> = "syncNotification",
        /// The guide's name for the armed flag; in no capture.
        device_armed: Field<bool> = "deviceArmed",
        /// Newer name for the armed flag.
        armed: Field<bool> = "armed",
        /// New name.
        name: Field<String> = "name",
        /// Whether it answers.
        reachable: Field<bool> = "reachable",
        /// New room.
        room_id: Field<RoomId> = "roomId",
        /// Whether it is ready.
        ready: Field<bool> = "ready",
        /// Its status.
        status: Field<String> = "status",
        /// Newer firmware: Unix milliseconds.
        fw_timestamp_ms: Field<i64> = "fwTimestampMs",
    }
}

wire! {
    /// Content of `hub.device.removed`.
    DeviceRemoved {
        /// The device.
        id: DeviceId = "_id",
        /// Whether the change goes to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
    }
}

wire! {
    /// Parameters of `hub.device.groups.list`.
    DeviceGroupQuery {
        /// The version the client has.
        version: Field<Value> = "version",
    }
}

wire! {
    /// Result of `hub.device.groups.list`; without groups when the client's version is the newest.
    DeviceGroupList {
        /// The groups.
        groups: Field<Vec<DeviceGroup>> = "deviceGroups",
        /// Version of the list.
        version: Field<Value> = "version",
    }
}

wire! {
    /// A group of devices.
    DeviceGroup {
        /// Its id.
        id: Field<String> = "_id",
        /// Its name.
        name: Field<String> = "name",
        /// `[{category, subcategories?, exceptions?}]`.
        categories: Field<Value> = "categories",
        /// Devices in it whatever their category.
        devices: Field<Vec<DeviceId>> = "devices",
        /// Devices not in it whatever their category.
        exceptions: Field<Vec<DeviceId>> = "exceptions",
        /// Whether it cannot be removed.
        persistent: Field<bool> = "persistent",
    }
}

wire! {
    /// Content of `hub.device.firmware.update.progress` and `hub.device.firmware.download.progress`.
    DeviceFirmwareProgress {
        /// The device; not while fetching.
        device_id: Field<DeviceId> = "device_id",
        /// Which part of the device.
        firmware_id: Field<String> = "firmware_id",
        /// The image.
        image: Field<String> = "image",
        /// Of the image; while fetching.
        checksum: Field<String> = "checksum",
        /// Such as `in_progress`.
        status: Field<String> = "status",
        /// Percent.
        progress: Field<Value> = "progress",
        /// Why it failed.
        error: Field<Value> = "error",
    }
}
