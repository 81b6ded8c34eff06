//! Reset, time zone, coordinates and device groups.

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::info::LocationState;
use ezlo_protocol::hub::maintenance::{Coordinates, HubStatus, LogSettings, Reset, TimeLocation, TimeLocations};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use jiff::tz::TimeZone;
use serde_json::{Number, json};

use crate::answer::{Answer, done, missing};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::modes;
use crate::state::newer::Newer;
use crate::state::scene_events::Place;
use crate::state::scene_runs::Runs;

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
    pub(crate) fn factory_reset(&mut self, context: &mut Context<'_>) {
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
        context.effects.scene_bytes = Some(0);
        self.scene_generations.clear();
        self.device_settings.clear();
        self.traits.clear();
        self.gateways.clear();
        self.signals.clear();
        self.favorites = Default::default();
        // A run compares the number of restarts to learn that it has ended.
        self.runs = Runs { restarts: self.runs.restarts, ..Runs::default() };
        self.newer = Newer::default();
        self.add_usual_groups();
        self.modes = modes::Modes::default();
        self.alarm_known = self.alarm_phase().to_owned();
        self.switching_known = false;
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

    /// Sets the log of the hub in the cloud. The simulated hub sends no log.
    pub(crate) fn log_set(&mut self, request: LogSettings, _: &mut Context<'_>) -> Answer<Empty> {
        request.enable.get().ok_or_else(|| missing("enable"))?;
        check_severity(&request)
    }

    pub(crate) fn log_local_set(&mut self, request: LogSettings, _: &mut Context<'_>) -> Answer<Empty> {
        check_severity(&request)
    }

    /// Returns processes and memory. A simulated hub has no processes of its own, so the numbers are constant (inferred).
    pub(crate) fn status_get(&self, _: Empty, _: &Context<'_>) -> Answer<HubStatus> {
        let process = |pid: u32, name: &str, bytes: u64| json!({"pid": pid, "processName": name, "memoryUsage": bytes, "vmRss": bytes, "units": "bytes"});
        let memory = |kilobytes: u64| json!({"scale": "Kb", "value": kilobytes});
        Ok(HubStatus {
            processes: json!([process(412, "ha-uid", 9_437_184), process(437, "ha-zwaved", 14_680_064)]).into(),
            ram: json!({"available": memory(98_304), "total": memory(249_856), "availablePct": 39}).into(),
            ..HubStatus::default()
        })
    }
}

/// Severities of the log (hapi names `INFO`; the others are inferred).
const SEVERITIES: &[&str] = &["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"];

fn check_severity(request: &LogSettings) -> Answer<Empty> {
    let severity = request.severity.as_deref().ok_or_else(|| missing("severity"))?;
    let is_known = SEVERITIES.iter().any(|known| known.eq_ignore_ascii_case(severity));
    if is_known { done() } else { Err(RpcError::known("rpc.params.invalid")) }
}
