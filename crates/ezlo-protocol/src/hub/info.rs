//! Hub information: `hub.info.get` and its broadcast.

use crate::serial::Serial;
use crate::wire::{Field, Loose};

wire! {
    /// Result of `hub.info.get`. Linux hubs answer the call without a login (captures).
    HubInfo {
        /// Model, such as `h2.1`, `ATOM32` or `ezlopi_generic`.
        model: Field<String> = "model",
        /// Processor architecture, such as `armv7l`.
        architecture: Field<String> = "architecture",
        /// Firmware version, such as `2.0.14.1570.3`.
        firmware: Field<String> = "firmware",
        /// Version of the Linux kernel.
        kernel: Field<String> = "kernel",
        /// Name of the board.
        hardware: Field<String> = "hardware",
        /// Identifier of the chip; ESP32 hubs only.
        chip_id: Field<String> = "chipId",
        /// Serial of the hub: text, or a number on EzloPi.
        serial: Field<Loose<Serial>> = "serial",
        /// UUID of the hub.
        uuid: Field<String> = "uuid",
        /// `true` if local calls need no login.
        offline_anonymous_access: Field<bool> = "offlineAnonymousAccess",
        /// `true` if the local port accepts connections without TLS.
        offline_insecure_access: Field<bool> = "offlineInsecureAccess",
        /// Location of the hub.
        location: Field<Location> = "location",
        /// Build of the firmware.
        build: Field<Build> = "build",
        /// Battery; absent on hubs without one.
        battery: Field<Battery> = "battery",
        /// Local time, ISO 8601 with `+hhmm`.
        localtime: Field<String> = "localtime",
        /// Uptime as text, such as `0d 0h 0m 53s`.
        uptime: Field<String> = "uptime",
    }
}

wire! {
    /// The location of a hub.
    Location {
        /// Latitude in degrees.
        latitude: Field<serde_json::Number> = "latitude",
        /// Longitude in degrees.
        longitude: Field<serde_json::Number> = "longitude",
        /// Name of the time zone.
        timezone: Field<String> = "timezone",
        /// Part of the location that was set by hand.
        state: Field<LocationState> = "state",
    }
}

open_enum! {
    /// The part of the location that was set by hand.
    LocationState {
        /// Nothing.
        Default = "default",
        /// Time zone and coordinates.
        CustomAll = "customAll",
        /// The time zone.
        CustomTimezone = "customTimezone",
        /// The coordinates.
        CustomCoordinates = "customCoordinates",
        /// Token in the sample of the vendor's guide (guide20:p56-59).
        Custom = "custom",
    }
}

wire! {
    /// The build of a firmware.
    Build {
        /// Time of the build, ISO 8601.
        time: Field<String> = "time",
        /// Builder, `user@host`.
        builder: Field<String> = "builder",
        /// Source branch.
        branch: Field<String> = "branch",
        /// Source commit.
        commit: Field<String> = "commit",
    }
}

wire! {
    /// The battery of a hub.
    Battery {
        /// Status: `initializing`, `missing`, `charging`, `full` or `discharging`.
        status: Field<String> = "status",
        /// State of charge in percent.
        state_of_charge: Field<serde_json::Number> = "stateOfCharge",
        /// Remaining time in minutes (unit inferred).
        remaining_time: Field<serde_json::Number> = "remainingTime",
        /// Health in percent.
        health: Field<serde_json::Number> = "health",
    }
}

wire! {
    /// Content of `hub.info.changed`: the changed members.
    InfoChange {
        /// Changed members of the battery.
        battery: Field<Battery> = "battery",
    }
}
