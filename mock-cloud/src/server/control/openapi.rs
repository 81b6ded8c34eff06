//! The description of the control API (OpenAPI 3.1), made from its table.

use serde_json::{Map, Value, json};

use crate::server::Shared;
use crate::server::control::Call;
use crate::server::control::calls::{CALLS, QUERIES};
use crate::server::http::{Reply, Request};

pub(crate) fn document(_: &Shared, _: &Request) -> Reply {
    let mut paths: Map<String, Value> = Map::new();
    for call in CALLS {
        let name = if call.path.starts_with("/hubs/") { "serial" } else { "id" };
        let path = call.path.replace("{}", &format!("{{{name}}}"));
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[call.method.as_str().to_ascii_lowercase()] = operation(call, name);
    }
    Reply::json(&json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mock-cloud control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "For tests, on a port of its own; never for the clients under test.",
        },
        "paths": paths,
    }))
}

fn operation(call: &Call, name: &str) -> Value {
    let error = json!({"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]});
    let problem = |description| json!({"description": description, "content": {"application/json": {"schema": error}}});
    let done = json!({"description": "Done.", "content": {answers(call.path): {}}});
    let mut operation = json!({
        "summary": call.does,
        "responses": {
            "200": done,
            "4XX": problem("What was wrong, as `error`."),
            "5XX": problem("What did not work, as `error`."),
        },
    });
    if call.path.contains("{}") {
        operation["parameters"] = json!([{"name": name, "in": "path", "required": true, "schema": {"type": "string"}}]);
    }
    if let Some((_, query)) = QUERIES.iter().find(|(path, _)| *path == call.path) {
        let parameter = |(name, kind, does): &(&str, &str, &str)| json!({"name": name, "in": "query", "description": does, "schema": {"type": kind}});
        operation["parameters"] = query.iter().map(parameter).collect();
    }
    if let Ok(example) = serde_json::from_str::<Value>(call.body) {
        let content = json!({"application/json": {"schema": shape(&example), "example": example}});
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

/// The content type of an answer.
fn answers(path: &str) -> &'static str {
    match path {
        "/journal" => "application/x-ndjson",
        "/metrics" => "text/plain",
        _ => "application/json",
    }
}

/// What an example shows of a body: its members and their types.
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
