//! Firmware, reset, favourites, notifications and the bulk read `hub.data.list`.

use serde_json::{Number, Value};

use crate::rpc::RpcError;
use crate::wire::{Extra, Field, Loose};

wire! {
    /// Parameters of `hub.data.list`: which collections, each null or `{}` for all, or `{ids, fields: {include}}`.
    DataQuery {
        /// Devices.
        devices: Field<Value> = "devices",
        /// Items.
        items: Field<Value> = "items",
        /// Rooms.
        rooms: Field<Value> = "rooms",
        /// Scenes.
        scenes: Field<Value> = "scenes",
        /// Settings, by `names` in place of `ids`.
        settings: Field<Value> = "settings",
    }
}

wire! {
    /// Result of `hub.data.list`: each collection keyed by id.
    DataList {
        /// Devices.
        devices: Field<Extra> = "devices",
        /// Items.
        items: Field<Extra> = "items",
        /// Rooms.
        rooms: Field<Extra> = "rooms",
        /// Scenes.
        scenes: Field<Extra> = "scenes",
        /// Settings by name.
        settings: Field<Extra> = "settings",
    }
}

wire! {
    /// Parameters of `hub.reset`: exactly one, and true.
    Reset {
        /// Keep the settings.
        soft: Field<bool> = "softReset",
        /// Back to factory settings.
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
    /// A piece of software.
    SoftwarePart {
        /// Which.
        id: Field<String> = "id",
        /// Its version.
        version: Field<String> = "version",
    }
}

wire! {
    /// Content of the firmware and software update broadcasts.
    UpdateProgress {
        /// Percent.
        completed: Field<Loose<i64>> = "completed",
        /// Why it failed.
        error: Field<RpcError> = "error",
        /// The request.
        operation_id: Field<Value> = "operationId",
        /// The hub.
        serial: Field<Value> = "serial",
        /// `started`, `process`, `finished`, `aborted`.
        status: Field<String> = "status",
    }
}

wire! {
    /// Content of `hub.favorite.added` and `hub.favorite.removed`.
    Favorites {
        /// Devices.
        devices: Field<Vec<String>> = "devices",
        /// Items.
        items: Field<Vec<String>> = "items",
        /// Scenes.
        rules: Field<Vec<String>> = "rules",
    }
}

wire! {
    /// Parameters of `hub.favorite.list`.
    FavoriteQuery {
        /// Any of `devices`, `items`, `rules`.
        request: Field<Vec<String>> = "request",
    }
}

wire! {
    /// Result of `hub.favorite.list`.
    FavoriteList {
        /// The favourites.
        favorites: Field<Favorites> = "favorites",
    }
}

wire! {
    /// Parameters of `hub.favorite.set`.
    FavoriteSet {
        /// Devices.
        devices: Field<Vec<FavoriteMark>> = "devices",
        /// Items.
        items: Field<Vec<FavoriteMark>> = "items",
        /// Scenes.
        rules: Field<Vec<FavoriteMark>> = "rules",
    }
}

wire! {
    /// One object to mark.
    FavoriteMark {
        /// Which.
        id: String = "_id",
        /// False takes the mark away; true when absent.
        favorite: Field<bool> = "favorite",
    }
}

wire! {
    /// Content of `hub.user.notification`.
    UserNotification {
        /// Such as `pin_code_is_used`.
        kind: Field<String> = "type",
        /// `{user, deviceName, roomName}`.
        params: Field<Extra> = "params",
    }
}

wire! {
    /// Parameters of `hub.firmware.update.start`.
    FirmwareUpdate {
        /// To which version.
        version: Field<String> = "version",
        /// `{firmware: "https://…"}`.
        urls: Field<Extra> = "urls",
    }
}

wire! {
    /// Result of `hub.time.location.list`.
    TimeLocations {
        /// Names of the time-zone database.
        locations: Vec<String> = "locations",
    }
}

wire! {
    /// Result of `hub.time.location.get`, parameters of `hub.time.location.set`.
    TimeLocation {
        /// Name in the time-zone database.
        location: Field<String> = "location",
    }
}

wire! {
    /// Result of `hub.coordinates.get`, parameters of `hub.coordinates.set`.
    Coordinates {
        /// Degrees, north positive.
        latitude: Field<Number> = "latitude",
        /// Degrees, east positive.
        longitude: Field<Number> = "longitude",
    }
}
