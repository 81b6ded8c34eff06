//! Generates the OpenAPI document from the table of calls and the types of their bodies.
//!
//! It is a part of the tests, so that a build of the simulator needs no generator of schemas.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::server::control::calls::{CALLS, QUERIES};
use crate::server::control::openapi::DOCUMENT;
use crate::server::control::request::{ApiError, Call, Query};

/// Environment variable that makes the test write the document; its value is the path.
const WRITE: &str = "EZLO_WRITE_OPENAPI";

#[test]
fn the_openapi_document_is_up_to_date() {
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    match std::env::var(WRITE) {
        Ok(path) => std::fs::write(path, text).unwrap(),
        Err(_) => assert!(text == DOCUMENT, "mock-cloud/openapi.json is not up to date; run `cargo xtask codegen`"),
    }
}

/// The generators of both directions: a member with a default is optional in a request and present in a reply.
struct Generators {
    requests: SchemaGenerator,
    replies: SchemaGenerator,
}

impl Generators {
    fn new() -> Self {
        let settings =
            || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
        Self {
            requests: settings().for_deserialize().into_generator(),
            replies: settings().for_serialize().into_generator(),
        }
    }

    /// Returns all schemas with names. A type of both directions has the form of requests, which permits more.
    fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.replies.take_definitions(true);
        all.extend(self.requests.take_definitions(true));
        all
    }
}

fn document() -> Value {
    let mut generators = Generators::new();
    let mut paths: Map<String, Value> = Map::new();
    for call in CALLS {
        let path = call.path.replace("{}", &format!("{{{}}}", parameter_name(call)));
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[call.method.as_str().to_ascii_lowercase()] = operation(call, &mut generators);
    }
    let schemas = generators.definitions();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mock-cloud control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Controls a running simulator: clock, faults, journal, worlds and hubs. \
                Tests use it; the clients under test do not.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        // A control API on loopback needs no token.
        "security": [{}, {"token": []}],
    })
}

/// Returns the name of the path parameter.
fn parameter_name(call: &Call) -> &'static str {
    let names = [("/hubs/", "serial"), ("/users/", "name"), ("/states/", "name")];
    names.iter().find(|(prefix, _)| call.path.starts_with(prefix)).map_or("id", |(_, name)| name)
}

fn operation(call: &Call, generators: &mut Generators) -> Value {
    let error = generators.replies.subschema_for::<ApiError<'_>>();
    let problem = |description| json!({"description": description, "content": {"application/json": {"schema": error}}});
    let (request, reply) = call.bodies;
    let reply = json!({"schema": reply(&mut generators.replies)});
    let mut operation = json!({
        "operationId": call.id,
        "summary": call.does,
        "parameters": parameters(call),
        "responses": {
            "200": {"description": "The call succeeded.", "content": {content_type(call): reply}},
            "4XX": problem("The request was refused. `error` states the reason and the accepted input."),
            "5XX": problem("The call failed. `error` states the reason."),
        },
    });
    if let Ok(example) = serde_json::from_str::<Value>(call.body) {
        // A call without members accepts an empty body.
        let required = example.as_object().is_some_and(|members| !members.is_empty());
        let content = json!({"application/json": {"schema": request(&mut generators.requests), "example": example}});
        operation["requestBody"] = json!({"required": required, "content": content});
    }
    operation
}

/// Returns the parameters of the path and of the query.
fn parameters(call: &Call) -> Vec<Value> {
    let name = parameter_name(call);
    let in_path = json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    let query = QUERIES.iter().filter(|(path, _)| call.method == "GET" && *path == call.path);
    let parameter = |(name, kind, does): &Query| json!({"name": name, "in": "query", "description": does, "schema": {"type": kind}});
    let in_query = query.flat_map(|(_, queries)| queries.iter().map(parameter));
    call.path.contains("{}").then_some(in_path).into_iter().chain(in_query).collect()
}

/// Returns the content type of a reply.
fn content_type(call: &Call) -> &'static str {
    match (call.method.as_str(), call.path) {
        ("GET", "/journal") => "application/x-ndjson",
        ("GET", "/metrics") => "text/plain",
        _ => "application/json",
    }
}
