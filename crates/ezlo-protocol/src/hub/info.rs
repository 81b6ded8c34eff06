//! `hub.info.get`: what a hub says of itself.

use crate::serial::Serial;
use crate::wire::{Field, Loose};

wire! {
    /// A hub's description of itself. Answered without login on Linux hubs.
    HubInfo {
        /// Such as `h2.1`, `ATOM32`, `ezlopi_generic`.
        model: Field<String> = "model",
        /// Such as `armv7l`.
        architecture: Field<String> = "architecture",
        /// Such as `2.0.14.1570.3`.
        firmware: Field<String> = "firmware",
        /// Linux version.
        kernel: Field<String> = "kernel",
        /// Board.
        hardware: Field<String> = "hardware",
        /// ESP32 hubs only.
        chip_id: Field<String> = "chipId",
        /// Text, on EzloPi a number.
        serial: Field<Loose<Serial>> = "serial",
        /// The controller's uuid.
        uuid: Field<String> = "uuid",
        /// Whether local calls need no login.
        offline_anonymous_access: Field<bool> = "offlineAnonymousAccess",
        /// Whether the local port takes clear text.
        offline_insecure_access: Field<bool> = "offlineInsecureAccess",
        /// Where the hub is.
        location: Field<Location> = "location",
        /// How the firmware was made.
        build: Field<Build> = "build",
        /// Absent on hubs without one.
        battery: Field<Battery> = "battery",
        /// ISO 8601 with `+hhmm`.
        localtime: Field<String> = "localtime",
        /// Text such as `0d 0h 0m 53s`.
        uptime: Field<String> = "uptime",
    }
}

wire! {
    /// Where a hub is.
    Location {
        /// Degrees.
        latitude: Field<serde_json::Number> = "latitude",
        /// Degrees.
        longitude: Field<serde_json::Number> = "longitude",
        /// Name of a time zone.
        timezone: Field<String> = "timezone",
        /// What was set by hand.
        state: Field<LocationState> = "state",
    }
}

open_enum! {
    /// Which part of the location was set by hand.
    LocationState {
        /// Nothing.
        Default = "default",
        /// All of it.
        CustomAll = "customAll",
        /// The time zone.
        CustomTimezone = "customTimezone",
        /// The coordinates.
        CustomCoordinates = "customCoordinates",
        /// As the vendor's own sample says.
        Custom = "custom",
    }
}

wire! {
    /// How a firmware was made.
    Build {
        /// ISO 8601.
        time: Field<String> = "time",
        /// `user@host`.
        builder: Field<String> = "builder",
        /// Branch.
        branch: Field<String> = "branch",
        /// Commit.
        commit: Field<String> = "commit",
    }
}

wire! {
    /// A hub's battery.
    Battery {
        /// `initializing`, `missing`, `charging`, `full`, `discharging`.
        status: Field<String> = "status",
        /// Percent.
        state_of_charge: Field<serde_json::Number> = "stateOfCharge",
        /// Minutes (the unit is inferred).
        remaining_time: Field<serde_json::Number> = "remainingTime",
        /// Percent.
        health: Field<serde_json::Number> = "health",
    }
}

wire! {
    /// Content of `hub.info.changed`: only what changed.
    InfoChange {
        /// The battery's changed members.
        battery: Field<Battery> = "battery",
    }
}
