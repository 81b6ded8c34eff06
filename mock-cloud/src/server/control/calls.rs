//! The table of control calls, with the handlers of the calls that have no module of their own.

#[cfg(test)]
use crate::core::ready_line::Ready;
#[cfg(test)]
use crate::faults::injector::ActiveFault;
#[cfg(test)]
use crate::journal::entry::Entry;
#[cfg(test)]
use crate::journal::usage_report::UsageReport;
use crate::server::control::request::Query;
use http::{Method, StatusCode};

use crate::server::control::request::{Action, Call, Success, refusal};
use crate::server::control::{clock, faults, hubs, journal, metrics, openapi, users, worlds};
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;

macro_rules! calls {
    ($( $method:ident $path:literal $id:ident($($request:ty)?) -> $reply:ty, $does:literal $body:literal
        $act:ident($handler:expr); )*) => {
        /// Every call of the control API.
        pub(crate) static CALLS: &[Call] = &[$( Call {
            method: Method::$method,
            path: $path,
            #[cfg(test)]
            does: $does,
            body: $body,
            act: Action::$act($handler),
            #[cfg(test)]
            id: stringify!($id),
            #[cfg(test)]
            bodies: (
                |_generator| calls!(@request _generator $($request)?),
                |generator| generator.subschema_for::<$reply>(),
            ),
        } ),*];
    };
    (@request $generator:ident) => { schemars::Schema::from(false) };
    (@request $generator:ident $request:ty) => { $generator.subschema_for::<$request>() };
}

/// Query parameters by path. Only `GET` calls have them.
pub(crate) const QUERIES: &[(&str, &[Query])] = &[
    (
        "/journal",
        &[
            (
                "since",
                "integer",
                "Selects entries with a larger number. The header `x-dropped` counts the later entries that were dropped.",
            ),
            ("kind", "string", "Selects entries of this kind, for example `message-in`."),
            ("name", "string", "Selects entries with exactly this name: a path, a method or a fault."),
            ("connection", "string", "Selects entries of this WebSocket connection."),
            ("cause", "integer", "Selects entries that the entry with this number led to."),
            ("status", "integer", "Selects responses with this status, or closes with this code."),
            ("path", "string", "Selects entries whose name begins with this text."),
            ("method", "string", "Selects requests with this HTTP method, or entries about this hub method."),
            ("host", "string", "Selects requests with this host name, without port."),
            ("hub", "string", "Selects changes, control calls, requests and faults of the hub with this serial."),
            ("limit", "integer", "Limits the number of entries (default: 1000). Not allowed together with `follow`."),
            ("follow", "integer", "Streams stored and new entries as server-sent events if the value is 1."),
        ],
    ),
    (
        "/hubs",
        &[
            ("after", "string", "Selects hubs with a serial after this one."),
            ("limit", "integer", "Limits the number of hubs, 1 to 1000 (default: 1000)."),
        ],
    ),
];

calls! {
    GET "/healthz" check_health() -> Success,
        "Returns `{\"ok\": true}` while the simulator runs." "" Now(healthz);
    GET "/endpoints" read_endpoints() -> Ready,
        "Returns the ready line: addresses, users, Wi-Fi networks and hubs." "" Now(endpoints);
    GET "/openapi.json" read_openapi() -> serde_json::Map<String, serde_json::Value>,
        "Returns this description of the control API." "" Now(description);
    GET "/metrics" read_metrics() -> String,
        "Returns counters in the Prometheus text format." "" Now(metrics::text);
    GET "/clock" read_clock() -> clock::ClockTime,
        "Returns the time and the speed of the world's clock." "" Now(clock::read);
    POST "/clock" set_clock_speed(clock::ClockSpeed) -> clock::ClockTime,
        "Sets the speed of the clock: 0 freezes it, 1 is real time, 86400 passes a day in a second."
        r#"{"speed": 60}"# Now(clock::set_speed);
    POST "/clock/advance" advance_clock(clock::ClockStep) -> clock::ClockTime,
        "Moves the clock forward. The response is sent after everything that became due has happened."
        r#"{"seconds": 86400}"# Later(|shared, request| Box::pin(clock::advance(shared, request)));
    GET "/faults/catalogue" list_fault_catalogue() -> Vec<faults::ListedFault>,
        "Returns every fault that can be injected, with its parameters." "" Now(faults::catalogue);
    GET "/faults" list_faults() -> Vec<ActiveFault>,
        "Returns the active faults, with the number of matches and of injections." "" Now(faults::list);
    POST "/faults" add_fault(faults::NewFaults) -> faults::AddedFaults,
        "Adds a fault. The body {\"profile\": \"hostile\"} adds all faults of a profile."
        r#"{"fault": "status", "status": 503, "retry_after": 2, "when": {"first": 2}, "match": {"path": "/autha"}}"#
        Later(|shared, request| Box::pin(faults::add(shared, request)));
    DELETE "/faults" remove_faults() -> faults::RemovedFaults,
        "Removes all faults." "" Now(faults::remove_all);
    DELETE "/faults/{}" remove_fault() -> faults::RemovedFaults,
        "Removes one fault." "" With(faults::remove);
    GET "/journal" read_journal() -> Entry,
        "Returns journal entries, one JSON object per line. The header `x-has-more` is present while there are more."
        "" Now(journal::entries);
    DELETE "/journal" clear_journal() -> journal::JournalPosition,
        "Hides all present entries of the journal. Returns the number of the last one as `since`." "" Now(journal::clear);
    GET "/report" read_report() -> UsageReport,
        "Returns requests that no handler matched, members without an effect, refused TLS handshakes and unused faults." ""
        Now(journal::report);
    POST "/expectations" expect_entries(journal::Expectation) -> journal::MetExpectation,
        "Waits for a matching journal entry and answers 417 if none arrives in time. With `times`, the number \
        of entries must be exact; 0 asserts absence."
        r#"{"match": {"kind": "request", "name": "/locator/locator/locator"}, "times": 2, "within": 5}"#
        Later(|shared, request| Box::pin(journal::expect(shared, request)));
    GET "/evidence" list_evidence() -> Vec<crate::evidence::entry::Entry>,
        "Returns the evidence level and the source of each simulated response." "" Now(evidence);
    GET "/worlds" list_worlds() -> worlds::Worlds,
        "Returns the world (number 0) and its forks with their ready lines, and the names of the snapshots." ""
        Now(worlds::list);
    POST "/worlds/{}/fork" fork_world() -> worlds::RunningWorld,
        "Starts a fork of a world on ports of its own. Returns its number and its ready line." ""
        LaterWith(|shared, id| Box::pin(worlds::fork(shared, id)));
    POST "/worlds/{}/snapshot" snapshot_world(worlds::SnapshotName) -> worlds::StoredSnapshot,
        "Stores the state of a world under a name. An existing snapshot of this name is replaced."
        r#"{"name": "before"}"# Of(worlds::snapshot);
    POST "/worlds/{}/restore" restore_world(worlds::SnapshotName) -> worlds::RestoredSnapshot,
        "Replaces the state of a world by a snapshot. The time continues." r#"{"name": "before"}"#
        Of(worlds::restore);
    POST "/worlds/{}/reset" reset_world() -> worlds::ResetWorld,
        "Restores the initial state of a world. The time continues." "" With(worlds::reset);
    GET "/worlds/{}/export" export_world() -> serde_json::Map<String, serde_json::Value>,
        "Returns the whole state of a world as one document, secrets included." "" With(worlds::export);
    DELETE "/worlds/{}" end_world() -> worlds::EndedWorld,
        "Ends a fork. World 0 cannot be ended." "" With(worlds::end);
    DELETE "/states/{}" delete_snapshot() -> worlds::DeletedSnapshot<'_>,
        "Deletes a snapshot by its name." "" With(worlds::forget);
    POST "/users/{}/password" set_password(users::NewPassword) -> users::ChangedUser<'_>,
        "Changes the password of a user. Issued tokens stay valid."
        r#"{"password": "new-password"}"# Of(users::password);
    POST "/users/{}/local-key" set_local_key(users::LocalKey) -> users::ChangedUser<'_>,
        "Removes the local key of a user for a hub, or restores it. A claim of the hub restores it too."
        r#"{"serial": "90000001", "present": false}"# Of(users::local_key);
    GET "/hubs" list_hubs() -> Vec<hubs::HubSummary>,
        "Returns the hubs, sorted by serial. The header `x-has-more` is present while there are more." ""
        Now(hubs::list);
    GET "/hubs/{}" read_hub() -> hubs::HubDetails,
        "Returns a hub, with the state of its Z-Wave radio." "" Hub(hubs::read);
    GET "/hubs/{}/devices" list_devices() -> Vec<hubs::Device>,
        "Returns the devices of a hub with their rooms, and the values of their items." "" Hub(hubs::devices);
    POST "/hubs/{}/include" include_device(hubs::IncludeDevice) -> hubs::HubAction,
        "Presses the button of a new device. Answers 409 unless an inclusion waits for it."
        r#"{"template": "door_lock"}"# Hub(hubs::include);
    POST "/hubs/{}/exclude" exclude_device(hubs::DeviceRef) -> hubs::HubAction,
        "Presses the button of a device to be excluded. Answers 409 unless an exclusion waits for it."
        r#"{"device": "Front door lock"}"# Hub(hubs::exclude);
    POST "/hubs/{}/press" press_button(hubs::PressButton) -> hubs::HubAction,
        "Presses a button: a waiting exclusion removes the device, a remote control reports the press, a \
        switch toggles. With {\"template\": ...} the call equals `include`."
        r#"{"device": "Ceiling light"}"# Hub(hubs::press);
    POST "/hubs/{}/trip" trip_sensor(hubs::TripSensor) -> hubs::HubAction,
        "Trips a sensor or resets it, for example a door contact, a motion sensor or a smoke sensor."
        r#"{"device": "Front door", "tripped": true}"# Hub(hubs::trip);
    POST "/hubs/{}/report" report_value(hubs::ReportValue) -> hubs::HubAction,
        "Reports a value of a device. Linked items, scenes and broadcasts follow."
        r#"{"device": "Front door", "item": "dw_state", "value": "dw_is_opened"}"# Hub(hubs::report);
    POST "/hubs/{}/reachable" set_reachable(hubs::SetReachable) -> hubs::HubAction,
        "Makes a device reachable or unreachable."
        r#"{"device": "Front door", "reachable": false}"# Hub(hubs::reachable);
    POST "/hubs/{}/condition" set_condition(hubs::SetCondition) -> hubs::HubAction,
        "Sets the condition of a device: broken, asleep, or a lock that masks or refuses codes."
        r#"{"device": "Front door lock", "broken": true}"# Hub(hubs::condition);
    POST "/hubs/{}/setup-fault" set_setup_fault(hubs::SetSetupFault) -> hubs::HubAction,
        "Activates a fault during onboarding, until null removes it."
        r#"{"fault": "empty_scan"}"# Hub(hubs::setup_fault);
    POST "/hubs/{}/offline" set_offline(hubs::SetOffline) -> hubs::HubAction,
        "Disconnects the house from the internet, or connects it again. The local network is not affected."
        r#"{"offline": true}"# Hub(hubs::offline);
    POST "/hubs/{}/unplug" unplug_hub(hubs::NoMembers) -> hubs::HubAction,
        "Cuts the power of the hub until `plug-in`. Its connections go silent, and the relay notices after `relay_timeout_ms`. Timers that become due are deferred." "{}"
        Hub(hubs::unplug);
    POST "/hubs/{}/plug-in" plug_in_hub(hubs::NoMembers) -> hubs::HubAction,
        "Restores the power of the hub. The hub starts, and deferred timers fire." "{}"
        Hub(hubs::plug_in);
    POST "/hubs/{}/reboot" reboot_hub(hubs::NoMembers) -> hubs::HubAction,
        "Restarts the hub. Its connections are closed." "{}" Hub(hubs::reboot);
}

fn healthz(_: &Shared, _: &Request) -> Reply {
    Success::reply()
}

fn endpoints(shared: &Shared, _: &Request) -> Reply {
    match shared.ready.get() {
        Some(ready) => Reply::json(&shared.world.with_current_passwords(ready)),
        None => refusal(StatusCode::SERVICE_UNAVAILABLE, "the simulator is starting; retry later"),
    }
}

fn evidence(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&(shared.services.ledger)())
}

fn description(_: &Shared, _: &Request) -> Reply {
    Reply::json_text(openapi::DOCUMENT)
}
