//! Devices and the methods that change them.

use serde_json::Value;

use super::{DeviceId, GatewayId, RoomId};
use crate::wire::{Field, Raw};

wire! {
    /// A device. Firmware families send different members, so nearly all are optional; see [`Device::id`].
    Device {
        /// Id of the device.
        object_id: Field<DeviceId> = "_id",
        /// Id of the device, seen once on RTOS firmware instead of `_id`.
        rtos_id: Field<DeviceId> = "id",
        /// Main device of a part; empty for a main device.
        parent_device_id: Field<DeviceId> = "parentDeviceId",
        /// Category.
        category: Field<Category> = "category",
        /// Subcategory; empty for none.
        subcategory: Field<String> = "subcategory",
        /// Device type from the ids of the manufacturer, such as `59_25409_20548`.
        device_type_id: Field<String> = "deviceTypeId",
        /// Gateway that owns the device.
        gateway_id: Field<GatewayId> = "gatewayId",
        /// Name.
        name: Field<String> = "name",
        /// Type, such as `switch.inwall`.
        kind: Field<String> = "type",
        /// `true` if the device runs on a battery.
        battery_powered: Field<bool> = "batteryPowered",
        /// `true` if the device responds.
        reachable: Field<bool> = "reachable",
        /// `true` if the house mode has armed the device; absent on most devices that are not security devices.
        armed: Field<bool> = "armed",
        /// Room of the device.
        room_id: Field<RoomId> = "roomId",
        /// `true` if the device cannot be removed by force.
        persistent: Field<bool> = "persistent",
        /// Free texts such as `manufacturer` and `zwave.node`; absent on RTOS firmware.
        info: Field<Raw> = "info",
        /// Firmware parts, `[{id, version}]`.
        firmware: Field<Raw> = "firmware",
        /// `true` if changes are forwarded to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
        /// Security level of the connection: `no`, `low`, `middle` or `high`.
        security: Field<String> = "security",
        /// `false` while the device is busy.
        ready: Field<bool> = "ready",
        /// Status: `idle`, `broken`, `updating` or `rediscovering`.
        status: Field<String> = "status",
        /// `true` if the device follows the room of its main device.
        parent_room: Field<bool> = "parentRoom",
        /// `protectConfig`; EzloPi.
        protect_config: Field<String> = "protectConfig",
        /// `syncNotification` of broadcasts; newer firmware.
        sync_notification: Field<bool> = "syncNotification",
        /// Time of the change in Unix milliseconds, in broadcasts of newer firmware.
        fw_timestamp_ms: Field<i64> = "fwTimestampMs",
    }
}

impl Device {
    /// Returns the id, from `_id` or `id`. `None` means that the device cannot be addressed.
    pub fn id(&self) -> Option<&DeviceId> {
        self.object_id.get().or_else(|| self.rtos_id.get())
    }

    /// Returns the room of the device, or `None` if it has none.
    pub fn room(&self) -> Option<&RoomId> {
        self.room_id.get().filter(|room| !room.is_none())
    }
}

open_enum! {
    /// The category of a device. The first 37 are in the vendor's guide (guide20:p101-109), the last is in newer sources.
    Category {
        /// User interface.
        Interface = "interface",
        /// Dimmable light.
        DimmableLight = "dimmable_light",
        /// Switch.
        Switch = "switch",
        /// Door, leak, motion, smoke or other security sensor. House modes arm these devices.
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
        /// Token `unknown` of newer firmware.
        UnknownToken = "unknown",
    }
}

wire! {
    /// Result of `hub.devices.list`.
    DeviceList {
        /// All devices.
        devices: Vec<Device> = "devices",
    }
}

wire! {
    /// A reference to a device.
    DeviceRef {
        /// Id of the device.
        id: DeviceId = "_id",
    }
}

wire! {
    /// Parameters of `hub.device.name.set`.
    DeviceName {
        /// Id of the device.
        id: DeviceId = "_id",
        /// New name.
        name: String = "name",
    }
}

wire! {
    /// Parameters of `hub.device.room.set`.
    DeviceRoom {
        /// Id of the device.
        id: DeviceId = "_id",
        /// New room; empty for none.
        room_id: RoomId = "roomId",
    }
}

wire! {
    /// Parameters of `hub.device.armed.set`.
    DeviceArmed {
        /// Id of the device.
        id: DeviceId = "_id",
        /// `true` to arm, `false` to disarm.
        armed: bool = "armed",
    }
}

wire! {
    /// Parameters of `hub.device.check`.
    DeviceCheck {
        /// Id of the device.
        id: DeviceId = "_id",
        /// Values to request from the device.
        check: Field<Value> = "check",
    }
}

wire! {
    /// Content of `hub.device.updated`: the id and the changed members.
    DeviceUpdate {
        /// Id of the device.
        id: DeviceId = "_id",
        /// `true` if the change is forwarded to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
        /// `syncNotification`; newer firmware.
        sync_notification: Field<bool> = "syncNotification",
        /// Armed flag, as named in the guide (guide20:p66); in no capture.
        device_armed: Field<bool> = "deviceArmed",
        /// Armed flag, as named in newer sources.
        armed: Field<bool> = "armed",
        /// New name.
        name: Field<String> = "name",
        /// `true` if the device responds.
        reachable: Field<bool> = "reachable",
        /// New room.
        room_id: Field<RoomId> = "roomId",
        /// `false` while the device is busy.
        ready: Field<bool> = "ready",
        /// New status.
        status: Field<String> = "status",
        /// Time of the change in Unix milliseconds; newer firmware. EzloPi sends Unix seconds.
        fw_timestamp_ms: Field<i64> = "fwTimestampMs",
    }
}

wire! {
    /// Content of `hub.device.removed`.
    DeviceRemoved {
        /// Id of the device.
        id: DeviceId = "_id",
        /// `true` if the change is forwarded to other cloud services.
        service_notification: Field<bool> = "serviceNotification",
    }
}

wire! {
    /// Content of `hub.device.firmware.update.progress` and `hub.device.firmware.download.progress`.
    DeviceFirmwareProgress {
        /// Device; absent during a download.
        device_id: Field<DeviceId> = "device_id",
        /// Firmware part of the device.
        firmware_id: Field<String> = "firmware_id",
        /// Firmware image.
        image: Field<String> = "image",
        /// Checksum of the image, during a download.
        checksum: Field<String> = "checksum",
        /// Status, such as `in_progress`.
        status: Field<String> = "status",
        /// Progress in percent.
        progress: Field<Value> = "progress",
        /// Reason of a failure.
        error: Field<Value> = "error",
    }
}
