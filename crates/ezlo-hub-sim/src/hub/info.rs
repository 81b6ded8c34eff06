//! Information about the hub, its settings and its access switches.

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::info::{Build, HubInfo, Location};
use ezlo_protocol::hub::login::Switch;
use ezlo_protocol::hub::maintenance::{DataList, DataQuery, SoftwareInfo};
use ezlo_protocol::hub::setting::{HubSetting, HubSettingList, HubSettingSet};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{self, Extra, Field, Loose};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Number, Value, json};

use crate::answer::{Answer, done};
use crate::context::Context;
use crate::hub::Hub;

impl Hub {
    pub(crate) fn info_get(&self, _: Empty, context: &Context<'_>) -> Answer<HubInfo> {
        let degrees = |degrees: f64| Number::from_f64(degrees).map_or(Field::Absent, Field::Value);
        let up = context.now_ms.saturating_sub(self.booted_ms).max(0) / 1000;
        let (days, hours, minutes, seconds) = (up / 86_400, up / 3600 % 24, up / 60 % 60, up % 60);
        let mut extra = Extra::default();
        if let Some(description) = &self.newer.description {
            extra.insert("description", description.as_str().into());
        }
        let battery = json!({"stateOfCharge": 0, "remainingTime": 0, "health": 0, "status": ""});
        Ok(HubInfo {
            battery: match wire::from_value(&battery) {
                Ok(battery) if self.family.is_board => Field::Value(battery),
                _ => Field::Absent,
            },
            model: self.model.as_str().into(),
            architecture: self.family.architecture.into(),
            firmware: self.firmware.version.as_str().into(),
            kernel: self.family.kernel.into(),
            hardware: self.family.hardware.into(),
            serial: self
                .serial
                .parse()
                .map(|serial| if self.family.serial_is_number { Loose::number(serial) } else { Loose::text(serial) })
                .map_or(Field::Absent, Field::Value),
            uuid: self.uuid.as_str().into(),
            offline_anonymous_access: (self.anonymous_access || self.family.is_board).into(),
            offline_insecure_access: (self.insecure_access || self.family.is_board).into(),
            location: Location {
                latitude: degrees(self.place.latitude),
                longitude: degrees(self.place.longitude),
                timezone: self.place.timezone.as_str().into(),
                state: self.location_state.clone().into(),
                ..Location::default()
            }
            .into(),
            build: Build {
                time: "2021-01-01T00:00:00+0000".into(),
                builder: "builder@buildhost".into(),
                branch: "live".into(),
                commit: "0000000000000000000000000000000000000000".into(),
                ..Build::default()
            }
            .into(),
            localtime: local_time(context.now_ms, self.place.zone()).into(),
            uptime: format!("{days}d {hours}h {minutes}m {seconds}s").into(),
            extra,
            ..HubInfo::default()
        })
    }

    /// Returns the requested collections, keyed by id. Empty `ids` and `include` select all (inferred from a public client).
    pub(crate) fn data_list(&self, query: DataQuery, _: &Context<'_>) -> Answer<DataList> {
        let asked = [&query.devices, &query.items, &query.rooms, &query.scenes, &query.settings];
        if asked.iter().all(|collection| collection.is_absent()) {
            return Err(RpcError::known("rpc.params.notfound"));
        }
        let by_name = self.settings.iter().map(|(name, setting)| (name.clone(), json!({"value": setting.0})));
        Ok(DataList {
            devices: collect(
                &query.devices,
                "ids",
                &mut self.devices.iter().map(|(id, v)| (id.to_string(), wire::to_value(v))),
            ),
            items: collect(
                &query.items,
                "ids",
                &mut self.items.iter().map(|(id, v)| (id.to_string(), wire::to_value(v))),
            ),
            rooms: collect(
                &query.rooms,
                "ids",
                &mut self.rooms.iter().map(|(id, v)| (id.to_string(), wire::to_value(v))),
            ),
            scenes: collect(
                &query.scenes,
                "ids",
                &mut self.scenes.iter().map(|(id, v)| (id.to_string(), wire::to_value(v))),
            ),
            settings: collect(&query.settings, "names", &mut by_name.into_iter()),
            ..DataList::default()
        })
    }

    pub(crate) fn settings_list(&self, _: Empty, _: &Context<'_>) -> Answer<HubSettingList> {
        let settings = self.settings.iter().map(|(name, (value, kind, tokens))| HubSetting {
            name: name.as_str().into(),
            value: value.clone().into(),
            value_type: (*kind).into(),
            tokens: tokens.iter().map(|token| (*token).to_owned()).collect::<Vec<_>>().into(),
            ..HubSetting::default()
        });
        Ok(HubSettingList { settings: settings.collect(), ..HubSettingList::default() })
    }

    pub(crate) fn setting_set(&mut self, request: HubSettingSet, context: &mut Context<'_>) -> Answer<Empty> {
        let (stored, _, tokens) =
            self.settings.get_mut(&request.name).ok_or_else(|| RpcError::known("generic.object.not.found"))?;
        if !request.value.as_str().is_some_and(|value| tokens.contains(&value)) {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        stored.clone_from(&request.value);
        context.broadcast("hub.setting.updated", &json!({"name": request.name, "value": request.value}));
        done()
    }

    /// Sets anonymous access from the next restart on (ezclient:719).
    pub(crate) fn anonymous_access_set(&mut self, request: Switch, _: &mut Context<'_>) -> Answer<Empty> {
        self.wifi.anonymous_access_next = Some(request.enabled);
        done()
    }

    /// Sets insecure access and drops local connections at once (ezclient:731).
    pub(crate) fn insecure_access_set(&mut self, request: Switch, context: &mut Context<'_>) -> Answer<Empty> {
        self.insecure_access = request.enabled;
        context.effects.drop_local = true;
        done()
    }

    pub(crate) fn software_info(&self, _: Empty, _: &Context<'_>) -> Answer<SoftwareInfo> {
        Ok(SoftwareInfo { firmware: self.firmware.version.as_str().into(), ..SoftwareInfo::default() })
    }
}

/// Returns the local time in ISO 8601 with an offset as `+hhmm`, as hubs write it.
pub(crate) fn local_time(now_ms: i64, zone: TimeZone) -> String {
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned_datetime(zone);
    now.strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}

/// Returns the requested objects of a collection with the requested members. An unknown id has the value null.
fn collect(query: &Field<Value>, ids: &str, objects: &mut dyn Iterator<Item = (String, Value)>) -> Field<Extra> {
    if query.is_absent() {
        return Field::Absent;
    }
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    let query = query.get().unwrap_or(&Value::Null);
    let (wanted, include) = (list(&query[ids]), list(&query["fields"]["include"]));
    let mut found: Extra = wanted.iter().map(|id| (id.clone(), Value::Null)).collect();
    for (id, object) in objects {
        if wanted.is_empty() || wanted.contains(&id) {
            found.insert(id, trim(object, &include));
        }
    }
    Field::Value(found)
}

fn trim(object: Value, include: &[String]) -> Value {
    match object {
        Value::Object(members) if !include.is_empty() => {
            members.into_iter().filter(|(name, _)| include.contains(name)).collect()
        }
        object => object,
    }
}
