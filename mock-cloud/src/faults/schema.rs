//! The JSON schema of a fault, generated from the catalogue for `/openapi.json`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::faults::injector::ActiveFault;
use crate::faults::kinds::{CATALOGUE, CatalogueEntry};
use crate::faults::spec::{FaultSpec, Matcher, Trigger};

impl JsonSchema for FaultSpec {
    fn schema_name() -> Cow<'static, str> {
        "FaultSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (when, matcher) = (generator.subschema_for::<Trigger>(), generator.subschema_for::<Matcher>());
        let common = [("when".to_owned(), when.to_value()), ("match".to_owned(), matcher.to_value())];
        let schemas: Vec<Value> = CATALOGUE.iter().map(|entry| schema(entry, &common)).collect();
        json_schema!({"oneOf": schemas})
    }
}

/// An active fault. The parameters of the fault are further members.
#[derive(JsonSchema)]
#[schemars(rename = "ActiveFault")]
#[expect(dead_code, reason = "only its schema is used")]
struct ActiveFaultMembers {
    /// Id of the fault. It removes the fault and identifies it in the journal.
    id: u64,
    /// Name of the fault.
    fault: String,
    /// Trigger.
    when: Trigger,
    /// Conditions on the event.
    r#match: Matcher,
    /// Number of events that matched and to which the fault was applicable.
    matched: u64,
    /// Number of events for which the trigger fired.
    fired: u64,
}

// A flattened FaultSpec would repeat the schemas of all faults.
impl JsonSchema for ActiveFault {
    fn schema_name() -> Cow<'static, str> {
        ActiveFaultMembers::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ActiveFaultMembers::json_schema(generator)
    }
}

/// Returns the schema of one fault with its parameters.
fn schema(entry: &CatalogueEntry, common: &[(String, Value)]) -> Value {
    let mut properties = Map::new();
    properties.insert("fault".into(), json!({"const": entry.fault}));
    for parameter in entry.parameters {
        let (least, most) = match parameter.json_type {
            "string" => ("minLength", "maxLength"),
            _ => ("minimum", "maximum"),
        };
        let kind =
            if parameter.is_nullable { json!([parameter.json_type, "null"]) } else { json!(parameter.json_type) };
        properties.insert(
            parameter.name.into(),
            json!({
                "type": kind, least: parameter.minimum, most: parameter.maximum,
                "description": parameter.description,
            }),
        );
    }
    properties.extend(common.iter().cloned());
    let required = entry.parameters.iter().filter(|parameter| !parameter.optional).map(|parameter| parameter.name);
    let required: Vec<&str> = std::iter::once("fault").chain(required).collect();
    let title: String = entry.fault.split('_').map(capitalised).collect();
    json!({
        "title": format!("{title}Fault"), "type": "object", "description": entry.description, "properties": properties,
        "required": required, "additionalProperties": false,
    })
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

#[test]
fn the_schema_lists_parameters_with_bounds() {
    let schema = |fault: &str| schema(CATALOGUE.iter().find(|entry| entry.fault == fault).unwrap(), &[]);
    assert_eq!(schema("status")["required"], json!(["fault", "status"]));
    assert_eq!(schema("status")["properties"]["status"]["maximum"], 599);
    assert_eq!(schema("latency")["required"], json!(["fault", "millis"]));
}
