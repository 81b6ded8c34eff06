//! Reset, time zone, coordinates and device groups.

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::device::{DeviceGroup, DeviceGroupList, DeviceGroupQuery};
use ezlo_protocol::hub::info::LocationState;
use ezlo_protocol::hub::maintenance::{Coordinates, Reset, TimeLocation, TimeLocations};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use jiff::tz::TimeZone;
use serde_json::{Number, json};

use crate::answer::{Answer, done, missing};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::modes;
use crate::state::scene_events::Place;

/// Version of the list of device groups, which never changes.
const GROUPS_VERSION: u64 = 1;

/// Device groups of every hub (names and categories inferred).
const GROUPS: &[(&str, &[&str])] = &[
    ("Lights", &["dimmable_light"]),
    ("Switches", &["switch"]),
    ("Security sensors", &["security_sensor"]),
    ("Locks", &["door_lock", "garage_door"]),
    ("Climate", &["hvac", "temperature", "humidity"]),
];

impl Hub {
    /// Restarts or resets the hub. If both members are true, it is reset; the refusal if neither is true is inferred.
    pub(crate) fn reset(&mut self, request: Reset, context: &mut Context<'_>) -> Answer<Empty> {
        match (request.soft.get(), request.factory.get()) {
            (_, Some(true)) => self.factory_reset(context),
            (Some(true), _) => self.restart(context),
            _ => return Err(RpcError::known("rpc.params.notfound")),
        }
        done()
    }

    /// Erases the house and the settings, and restarts the hub. A new epoch invalidates all older timers.
    fn factory_reset(&mut self, context: &mut Context<'_>) {
        self.epoch += 1;
        self.zwave = crate::state::zwave::Zwave::default();
        self.events.clear();
        self.deferred = None;
        self.devices.clear();
        self.items.clear();
        self.by_device.clear();
        self.rooms.clear();
        self.scenes.clear();
        self.conditions.clear();
        self.scene_generations.clear();
        self.device_settings.clear();
        self.favorites = Default::default();
        self.runs = Default::default();
        self.modes = modes::Modes::default();
        self.settings = crate::state::settings::settings();
        self.place = Place::default();
        self.location_state = LocationState::Default;
        self.insecure_access = false;
        self.anonymous_access = false;
        self.wifi.forget();
        self.restart(context);
    }

    /// Erases all network settings; the hub then needs its first set-up again (guide20:p19).
    pub(crate) fn network_reset(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.wifi.erase();
        context.effects.drop_local = true;
        context.effects.at_relay = Some(false);
        self.broadcast_network(context);
        done()
    }

    pub(crate) fn locations_list(&self, _: Empty, _: &Context<'_>) -> Answer<TimeLocations> {
        let locations = jiff::tz::db().available().map(|name| name.to_string()).collect();
        Ok(TimeLocations { locations, ..TimeLocations::default() })
    }

    pub(crate) fn location_get(&self, _: Empty, _: &Context<'_>) -> Answer<TimeLocation> {
        Ok(TimeLocation { location: self.place.timezone.as_str().into(), ..TimeLocation::default() })
    }

    pub(crate) fn location_set(&mut self, request: TimeLocation, context: &mut Context<'_>) -> Answer<Empty> {
        let name = request.location.into_option().unwrap_or_else(|| Place::default().timezone);
        if TimeZone::get(&name).is_err() {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.place.timezone = name;
        self.location_state = match self.location_state {
            LocationState::CustomCoordinates | LocationState::CustomAll => LocationState::CustomAll,
            _ => LocationState::CustomTimezone,
        };
        self.watch_scenes(context);
        done()
    }

    pub(crate) fn coordinates_get(&self, _: Empty, _: &Context<'_>) -> Answer<Coordinates> {
        let degrees = |degrees: f64| Number::from_f64(degrees).map_or(Field::Absent, Field::Value);
        Ok(Coordinates {
            latitude: degrees(self.place.latitude),
            longitude: degrees(self.place.longitude),
            ..Coordinates::default()
        })
    }

    pub(crate) fn coordinates_set(&mut self, request: Coordinates, context: &mut Context<'_>) -> Answer<Empty> {
        let number = |field: &Field<Number>, name, limit: f64| {
            let degrees = field.get().and_then(Number::as_f64).ok_or_else(|| missing(name))?;
            if degrees.abs() <= limit { Ok(degrees) } else { Err(RpcError::known("rpc.params.invalid")) }
        };
        let (latitude, longitude) =
            (number(&request.latitude, "latitude", 90.0)?, number(&request.longitude, "longitude", 180.0)?);
        self.place.latitude = latitude;
        self.place.longitude = longitude;
        self.location_state = match self.location_state {
            LocationState::CustomTimezone | LocationState::CustomAll => LocationState::CustomAll,
            _ => LocationState::CustomCoordinates,
        };
        self.watch_scenes(context);
        done()
    }

    /// Sets coordinates and time zone without resetting the timers of scenes.
    pub(crate) fn place_at(&mut self, latitude: f64, longitude: f64, timezone: &str) {
        self.place = Place { latitude, longitude, timezone: timezone.to_owned() };
        self.location_state = LocationState::CustomAll;
    }

    pub(crate) fn device_groups_list(&self, query: DeviceGroupQuery, _: &Context<'_>) -> Answer<DeviceGroupList> {
        let version = json!(GROUPS_VERSION);
        let known = query.version.get() == Some(&version);
        let group = |(at, (name, categories)): (usize, &(&str, &[&str]))| DeviceGroup {
            id: self.derived_id(&format!("group {at}")).into(),
            name: (*name).into(),
            categories: categories.iter().map(|name| json!({"category": name})).collect::<serde_json::Value>().into(),
            devices: Vec::new().into(),
            exceptions: Vec::new().into(),
            persistent: true.into(),
            ..DeviceGroup::default()
        };
        let groups = (!known).then(|| GROUPS.iter().enumerate().map(group).collect::<Vec<_>>());
        Ok(DeviceGroupList { groups: groups.into(), version: version.into(), ..DeviceGroupList::default() })
    }
}
