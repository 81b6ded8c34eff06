//! Every control call: one table.

use http::{Method, StatusCode};
use serde_json::json;

use crate::server::Shared;
use crate::server::control::{Action, Call, clock, faults, hubs, journal, metrics, openapi, refusal, users, worlds};
use crate::server::http::{Reply, Request};

macro_rules! calls {
    ($( $method:ident $path:literal $does:literal $body:literal $act:ident($handler:expr); )*) => {
        /// Every call of the control API.
        pub(crate) static CALLS: &[Call] = &[$( Call {
            method: Method::$method,
            path: $path,
            does: $does,
            body: $body,
            act: Action::$act($handler),
        } ),*];
    };
}

/// What a call takes in its query: name, type and what it is.
type Query = (&'static str, &'static str, &'static str);

/// Calls with a query, by path; all of them are GET.
pub(crate) const QUERIES: &[(&str, &[Query])] = &[
    (
        "/journal",
        &[
            (
                "since",
                "integer",
                "only entries after this number; the header x-lost says how many of them are forgotten",
            ),
            ("kind", "string", "only entries of this kind, as message-in"),
            ("name", "string", "only entries of this path, method or fault"),
            ("connection", "string", "only entries of this connection"),
            ("cause", "integer", "only what that entry led to"),
            ("status", "integer", "only answers with this status, or closes with this code"),
            ("path", "string", "only entries whose name begins so"),
            ("method", "string", "only requests of this HTTP method"),
            ("host", "string", "only requests with this host"),
            (
                "hub",
                "string",
                "only changes of the hub of this serial, control calls and requests about it, and faults that hit it",
            ),
            ("limit", "integer", "so many at most; 1000 when not said"),
            ("follow", "integer", "1 goes on as server-sent events"),
        ],
    ),
    (
        "/hubs",
        &[
            ("after", "string", "only hubs after this serial"),
            ("limit", "integer", "so many at most; 1000 at most, and when not said"),
        ],
    ),
];

calls! {
    GET "/healthz" "Whether it runs." "" Now(healthz);
    GET "/endpoints" "The ready line: where everything is, who can log in, which networks and hubs there are." "" Now(endpoints);
    GET "/openapi.json" "This description." "" Now(openapi::document);
    GET "/metrics" "Counts, for Prometheus." "" Now(metrics::text);
    GET "/clock" "The time of the world." "" Now(clock::read);
    POST "/clock" "How fast time passes: 1 as the machine's, 0 standing still, a day in a second at most."
        r#"{"speed": 60}"# Now(clock::set_speed);
    POST "/clock/advance" "Moves the time on; answers when everything that became due has happened."
        r#"{"seconds": 86400}"# Later(|shared, request| Box::pin(clock::advance(shared, request)));
    GET "/faults/catalogue" "What can go wrong." "" Now(faults::catalogue);
    GET "/faults" "What goes wrong now, with how often it matched and fired." "" Now(faults::list);
    POST "/faults" "Lets something go wrong; {\"profile\": \"hostile\"} all that a profile has."
        r#"{"fault": "status", "status": 503, "retry_after": 2, "when": {"first": 2}, "match": {"path": "/autha"}}"#
        Now(faults::add);
    DELETE "/faults" "Ends everything that goes wrong." "" Now(faults::remove_all);
    DELETE "/faults/{}" "Ends one." "" With(faults::remove);
    GET "/journal" "What happened, an entry a line; the header x-more says that there are later ones." "" Now(journal::entries);
    GET "/report" "What nobody answered, with what comes near, and what was sent and made no difference; counted." "" Now(journal::report);
    POST "/expectations" "Waits for something to happen, or finds that it has; 417 when it does not in time. With times it has to \
        happen exactly so often, 0 for never, and all the time is looked."
        r#"{"match": {"kind": "request", "name": "/locator/locator/locator"}, "times": 2, "within": 5}"#
        Later(|shared, request| Box::pin(journal::expect(shared, request)));
    GET "/evidence" "How each simulated answer is known, and where from." "" Now(evidence);
    GET "/worlds" "This world, which is number 0, and the copies that were made of it, each with its ready line; and the states \
        that are kept." "" Now(worlds::list);
    POST "/worlds" "Makes a copy of this world, as POST /worlds/0/fork does." ""
        Later(|shared, _| Box::pin(worlds::fork(shared, "0")));
    POST "/worlds/{}/fork" "Makes a copy that goes its own way, on ports of its own; answers with its number and ready line." ""
        LaterWith(|shared, id| Box::pin(worlds::fork(shared, id)));
    POST "/worlds/{}/snapshot" "Keeps the state of a world under a name." r#"{"name": "before"}"# Of(worlds::snapshot);
    POST "/worlds/{}/restore" "Puts a state back that was kept. The time goes on." r#"{"name": "before"}"# Of(worlds::restore);
    POST "/worlds/{}/reset" "Puts the state back that the world began with. The time goes on." "" With(worlds::reset);
    GET "/worlds/{}/export" "The whole state of a world as one document, secrets included." "" With(worlds::export);
    DELETE "/worlds/{}" "Ends a copy." "" With(worlds::end);
    DELETE "/states/{}" "Forgets a state that was kept." "" With(worlds::forget);
    POST "/users/{}/password" "A user takes another password. Tokens that were given out stay good."
        r#"{"password": "new-password"}"# Of(users::password);
    GET "/hubs" "The hubs by serial; the header x-more says that there are later ones." "" Now(hubs::list);
    GET "/hubs/{}" "A hub, with what its radio does." "" Hub(hubs::read);
    POST "/hubs/{}/include" "Somebody presses the button of a new device."
        r#"{"template": "door_lock"}"# Hub(hubs::include);
    POST "/hubs/{}/exclude" "Somebody presses the button of a device that is to go."
        r#"{"device": "Front door lock"}"# Hub(hubs::exclude);
    POST "/hubs/{}/press" "Somebody presses a button: of a new device, {\"template\": ...}, as include does; or of one that is there: \
        it goes when one is to go, else a remote control tells of it, or a switch is switched."
        r#"{"device": "Ceiling light"}"# Hub(hubs::press);
    POST "/hubs/{}/trip" "A sensor is tripped, or quiet again: a door opens, somebody moves, there is smoke."
        r#"{"device": "Front door", "tripped": true}"# Hub(hubs::trip);
    POST "/hubs/{}/report" "A device reports a value."
        r#"{"device": "Front door", "item": "dw_state", "value": "dw_is_opened"}"# Hub(hubs::report);
    POST "/hubs/{}/reachable" "A device can be reached, or not."
        r#"{"device": "Front door", "reachable": false}"# Hub(hubs::reachable);
    POST "/hubs/{}/setup-fault" "Something goes wrong while the hub is put on Wi-Fi; null ends it."
        r#"{"fault": "empty_scan"}"# Hub(hubs::setup_fault);
    POST "/hubs/{}/internet" "The house loses the internet, or has it again; the local network stays."
        r#"{"there": true}"# Hub(hubs::internet);
    POST "/hubs/{}/offline" "The same by another name." r#"{"offline": true}"# Hub(hubs::offline);
    POST "/hubs/{}/unplug" "Somebody pulls the plug." "{}" Hub(hubs::unplug);
    POST "/hubs/{}/plug-in" "Somebody puts the plug in again: the hub starts, and does what became due meanwhile." "{}"
        Hub(hubs::plug_in);
    POST "/hubs/{}/restart" "Somebody pulls the plug and puts it in again at once." "{}" Hub(hubs::restart);
    POST "/hubs/{}/reboot" "The same by another name." "{}" Hub(hubs::restart);
}

fn healthz(_: &Shared, _: &Request) -> Reply {
    Reply::json(&json!({"ok": true}))
}

fn endpoints(shared: &Shared, _: &Request) -> Reply {
    match shared.ready.get() {
        Some(ready) => Reply::json(&shared.world.with_current_passwords(ready)),
        None => refusal(StatusCode::SERVICE_UNAVAILABLE, "still starting"),
    }
}

fn evidence(_: &Shared, _: &Request) -> Reply {
    Reply::json(&crate::evidence::ledger::ledger())
}
