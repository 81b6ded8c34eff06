//! The OpenAPI 3.1 description of the control API, generated from the table of calls.

use crate::faults::kinds::{CATALOGUE, CatalogueEntry};
use crate::server::control::request::Query;
use serde_json::{Map, Value, json};

use crate::server::control::request::Call;

/// Returns the OpenAPI document.
pub(crate) fn document(calls: &[Call], queries: &[(&str, &[Query])]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for call in calls {
        let name = if call.path.starts_with("/hubs/") { "serial" } else { "id" };
        let path = call.path.replace("{}", &format!("{{{name}}}"));
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[call.method.as_str().to_ascii_lowercase()] = operation(call, name, queries);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mock-cloud control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Controls a running simulator: clock, faults, journal, worlds and hubs. \
                Tests use it; the clients under test do not.",
        },
        "paths": paths,
    })
}

fn operation(call: &Call, name: &str, queries: &[(&str, &[Query])]) -> Value {
    let error = json!({"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]});
    let problem = |description| json!({"description": description, "content": {"application/json": {"schema": error}}});
    let done = json!({"description": "The call succeeded.", "content": {answers(call.path): {}}});
    let mut operation = json!({
        "summary": call.does,
        "responses": {
            "200": done,
            "4XX": problem("The request was refused. `error` states the reason and the accepted input."),
            "5XX": problem("The call failed. `error` states the reason."),
        },
    });
    if call.path.contains("{}") {
        operation["parameters"] = json!([{"name": name, "in": "path", "required": true, "schema": {"type": "string"}}]);
    }
    if let Some((_, query)) = queries.iter().find(|(path, _)| *path == call.path) {
        let parameter = |(name, kind, does): &Query| {
            let schema = json!({"type": kind});
            json!({"name": name, "in": "query", "description": does, "schema": schema})
        };
        operation["parameters"] = query.iter().map(parameter).collect();
    }
    if let Ok(example) = serde_json::from_str::<Value>(call.body) {
        let schema = if (call.method.as_str(), call.path) == ("POST", "/faults") { fault() } else { shape(&example) };
        let content = json!({"application/json": {"schema": schema, "example": example}});
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

/// Returns the schema of the body of `POST /faults`, generated from the table of faults.
fn fault() -> Value {
    let profile = json!({
        "title": "profile", "type": "object", "properties": {"profile": {"type": "string"}}, "required": ["profile"],
    });
    let schemas: Vec<Value> = CATALOGUE.iter().map(CatalogueEntry::schema).chain([profile]).collect();
    json!({"oneOf": schemas})
}

/// Returns the content type of a reply.
fn answers(path: &str) -> &'static str {
    match path {
        "/journal" => "application/x-ndjson",
        "/metrics" => "text/plain",
        _ => "application/json",
    }
}

/// Derives a schema from an example: its members and their types.
fn shape(example: &Value) -> Value {
    match example {
        Value::Object(members) => {
            let properties: Map<String, Value> =
                members.iter().map(|(name, member)| (name.clone(), shape(member))).collect();
            json!({"type": "object", "properties": properties})
        }
        Value::String(_) => json!({"type": "string"}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(number) if number.is_f64() => json!({"type": "number"}),
        Value::Number(_) => json!({"type": "number", "minimum": 0}),
        Value::Array(_) | Value::Null => json!({}),
    }
}
