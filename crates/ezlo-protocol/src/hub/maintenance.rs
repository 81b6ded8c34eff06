//! Firmware, reset, favourites, notifications, time zone, coordinates and the bulk read `hub.data.list`.

use serde_json::{Number, Value};

use crate::rpc::RpcError;

use crate::wire::{Extra, Field, Loose};

wire! {
    /// Parameters of `hub.log.set` and, without `enable`, of `hub.log.local.set`.
    LogSettings {
        /// `true` if the hub sends its log to the cloud.
        enable: Field<bool> = "enable",
        /// Lowest severity, such as `INFO`.
        severity: Field<String> = "severity",
    }
}

wire! {
    /// Result of `hub.status.get`.
    HubStatus {
        /// Processes `{pid, processName, memoryUsage, vmRss, units}`.
        processes: Field<Value> = "processes",
        /// Memory `{available: {scale, value}, total: {scale, value}, availablePct}`.
        ram: Field<Value> = "ram",
    }
}

wire! {
    /// Parameters of `hub.data.list`: the collections to read.
    ///
    /// Each is null or `{}` for all objects, or `{ids, fields: {include}}`.
    DataQuery {
        /// Selection of devices.
        devices: Field<Value> = "devices",
        /// Selection of items.
        items: Field<Value> = "items",
        /// Selection of rooms.
        rooms: Field<Value> = "rooms",
        /// Selection of scenes.
        scenes: Field<Value> = "scenes",
        /// Selection of settings, with `names` instead of `ids`.
        settings: Field<Value> = "settings",
    }
}

wire! {
    /// Result of `hub.data.list`: each collection is keyed by id.
    DataList {
        /// Devices by id.
        devices: Field<Extra> = "devices",
        /// Items by id.
        items: Field<Extra> = "items",
        /// Rooms by id.
        rooms: Field<Extra> = "rooms",
        /// Scenes by id.
        scenes: Field<Extra> = "scenes",
        /// Settings by name.
        settings: Field<Extra> = "settings",
    }
}

wire! {
    /// Parameters of `hub.reset`. Exactly one member must be present and true.
    Reset {
        /// `true` to reset and preserve the settings.
        soft: Field<bool> = "softReset",
        /// `true` to reset to factory defaults.
        factory: Field<bool> = "resetToFactoryDefaults",
    }
}

wire! {
    /// Result of `hub.software.info.get`.
    SoftwareInfo {
        /// Firmware version.
        firmware: Field<String> = "firmware",
        /// Add-ons.
        addons: Field<Vec<SoftwarePart>> = "addons",
        /// Plugins.
        plugins: Field<Vec<SoftwarePart>> = "plugins",
    }
}

wire! {
    /// An installed add-on or plugin.
    SoftwarePart {
        /// Id of the add-on or plugin.
        id: Field<String> = "id",
        /// Version.
        version: Field<String> = "version",
    }
}

wire! {
    /// Content of the firmware and software update broadcasts.
    UpdateProgress {
        /// Progress in percent.
        completed: Field<Loose<i64>> = "completed",
        /// Reason of a failure.
        error: Field<RpcError> = "error",
        /// Id of the request.
        operation_id: Field<Value> = "operationId",
        /// Serial of the hub.
        serial: Field<Value> = "serial",
        /// Status: `started`, `process`, `finished` or `aborted`.
        status: Field<String> = "status",
    }
}

wire! {
    /// Favourites: content of `hub.favorite.added` and `hub.favorite.removed`.
    Favorites {
        /// Ids of devices.
        devices: Field<Vec<String>> = "devices",
        /// Ids of items.
        items: Field<Vec<String>> = "items",
        /// Ids of scenes.
        rules: Field<Vec<String>> = "rules",
    }
}

wire! {
    /// Parameters of `hub.favorite.list`.
    FavoriteQuery {
        /// Requested kinds: any of `devices`, `items` and `rules`.
        request: Field<Vec<String>> = "request",
    }
}

wire! {
    /// Result of `hub.favorite.list`.
    FavoriteList {
        /// All favourites.
        favorites: Field<Favorites> = "favorites",
    }
}

wire! {
    /// Parameters of `hub.favorite.set`.
    FavoriteSet {
        /// Marks of devices.
        devices: Field<Vec<FavoriteMark>> = "devices",
        /// Marks of items.
        items: Field<Vec<FavoriteMark>> = "items",
        /// Marks of scenes.
        rules: Field<Vec<FavoriteMark>> = "rules",
    }
}

wire! {
    /// The mark of an object as a favourite.
    FavoriteMark {
        /// Id of the object.
        id: String = "_id",
        /// `false` removes the mark (default: `true`).
        favorite: Field<bool> = "favorite",
    }
}

wire! {
    /// Content of `hub.user.notification`.
    UserNotification {
        /// Kind of the notification, such as `pin_code_is_used`.
        kind: Field<String> = "type",
        /// Parameters `{user, deviceName, roomName}`.
        params: Field<Extra> = "params",
    }
}

wire! {
    /// Parameters of `hub.firmware.update.start`.
    FirmwareUpdate {
        /// Version of the new firmware.
        version: Field<String> = "version",
        /// Download URLs, `{firmware: "https://…"}`.
        urls: Field<Extra> = "urls",
    }
}

wire! {
    /// Result of `hub.time.location.list`.
    TimeLocations {
        /// Names in the time-zone database.
        locations: Vec<String> = "locations",
    }
}

wire! {
    /// Result of `hub.time.location.get` and parameters of `hub.time.location.set`.
    TimeLocation {
        /// Name in the time-zone database.
        location: Field<String> = "location",
    }
}

wire! {
    /// Result of `hub.coordinates.get` and parameters of `hub.coordinates.set`.
    Coordinates {
        /// Latitude in degrees, north positive.
        latitude: Field<Number> = "latitude",
        /// Longitude in degrees, east positive.
        longitude: Field<Number> = "longitude",
    }
}
