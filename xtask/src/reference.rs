//! `cargo xtask reference`: the published reference of the hub, from the tables.

use ezlo_protocol::hub::broadcast::BROADCASTS;
use ezlo_protocol::hub::catalogue::RAW_METHODS;
use ezlo_protocol::hub::method::{ALIASES, METHODS, MethodSpec};
use ezlo_protocol::hub::scene::{BLOCKS, Place};
use serde_json::{Value, json};

use crate::Outcome;
use crate::say::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object instead of Markdown.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.json {
        say!("{}", as_json());
    } else {
        as_markdown();
    }
    Ok(())
}

fn as_json() -> Value {
    let method = |spec: &MethodSpec| {
        json!({
            "name": spec.name, "area": spec.area, "api": spec.api, "kind": spec.kind.as_str(), "params": spec.params_type,
            "result": spec.result_type, "broadcasts": spec.broadcasts, "evidence": spec.evidence.as_str(),
            "source": spec.source,
        })
    };
    let broadcasts = BROADCASTS
        .iter()
        .map(|spec| json!({"name": spec.name, "evidence": spec.evidence.as_str(), "source": spec.source}));
    let blocks = BLOCKS.iter().map(|spec| {
        let arguments = spec.arguments.iter().map(|argument| {
            json!({"name": argument.name, "kind": format!("{:?}", argument.kind), "required": argument.required})
        });
        json!({
            "name": spec.name, "place": if spec.place == Place::When { "when" } else { "then" },
            "arguments": arguments.collect::<Vec<_>>(), "evidence": spec.evidence.as_str(), "source": spec.source,
        })
    });
    json!({
        "methods": METHODS.iter().map(method).collect::<Vec<_>>(),
        "rawMethods": RAW_METHODS.iter().map(|raw| json!({"name": raw.name, "area": raw.area})).collect::<Vec<_>>(),
        "aliases": ALIASES.iter().map(|(old, now)| json!({"old": old, "now": now})).collect::<Vec<_>>(),
        "broadcasts": broadcasts.collect::<Vec<_>>(),
        "sceneBlocks": blocks.collect::<Vec<_>>(),
    })
}

fn as_markdown() {
    say!("# The hub's methods\n");
    let mut area = "";
    for spec in METHODS {
        if spec.area != area {
            area = spec.area;
            say!(
                "\n## {area}\n\n| method | params | result | kind | api | broadcasts | known by |\n|---|---|---|---|---|---|---|"
            );
        }
        say!(
            "| `{}` | {} | {} | {} | {} | {} | {}, {} |",
            spec.name,
            spec.params_type,
            spec.result_type,
            spec.kind.as_str(),
            spec.api.join(", "),
            spec.broadcasts.join(", "),
            spec.evidence.as_str(),
            spec.source
        );
    }
    say!("\n## Names without a shape: callable raw\n");
    for raw in RAW_METHODS {
        say!("- `{}` ({})", raw.name, raw.area);
    }
    say!("\n# Broadcasts\n\n| broadcast | known by |\n|---|---|");
    for spec in BROADCASTS {
        say!("| `{}` | {}, {} |", spec.name, spec.evidence.as_str(), spec.source);
    }
    say!("\n# Scene blocks\n\n| block | arguments | known by |\n|---|---|---|");
    for spec in BLOCKS {
        let arguments: Vec<String> = spec
            .arguments
            .iter()
            .map(|argument| {
                format!("{}{}: {:?}", argument.name, if argument.required { "" } else { "?" }, argument.kind)
            })
            .collect();
        say!("| `{}` | {} | {}, {} |", spec.name, arguments.join(", "), spec.evidence.as_str(), spec.source);
    }
}
