//! `cargo xtask reference`: prints the protocol reference from the tables of `ezlo-protocol`.

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
        say!("{}", as_markdown().trim_end());
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
            json!({"name": argument.name, "also": argument.also, "kind": format!("{:?}", argument.kind), "required": argument.required})
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

/// Returns the reference as Markdown.
pub(crate) fn as_markdown() -> String {
    let mut text = "# Protocol reference\n\nThe tables come from `ezlo-protocol`. The last column states how each entry is known.\n\n\
                    ## Methods of hubs\n"
        .to_owned();
    let mut area = "";
    for spec in METHODS {
        if spec.area != area {
            area = spec.area;
            text += &format!(
                "\n### {area}\n\n| method | params | result | kind | api | broadcasts | evidence |\n|---|---|---|---|---|---|---|\n"
            );
        }
        text += &format!(
            "| `{}` | {} | {} | {} | {} | {} | {}, {} |\n",
            spec.name,
            spec.params_type,
            spec.result_type,
            spec.kind.as_str(),
            spec.api.join(", "),
            spec.broadcasts.join(", "),
            spec.evidence.as_str(),
            cell(spec.source)
        );
    }
    text += "\n## Methods without published parameters\n\nThese methods can be called with untyped parameters.\n\n";
    for raw in RAW_METHODS {
        text += &format!("- `{}` ({})\n", raw.name, raw.area);
    }
    text += "\n## Broadcasts\n\n| broadcast | evidence |\n|---|---|\n";
    for spec in BROADCASTS {
        text += &format!("| `{}` | {}, {} |\n", spec.name, spec.evidence.as_str(), cell(spec.source));
    }
    text += "\n## Scene blocks\n\n| block | arguments | evidence |\n|---|---|---|\n";
    for spec in BLOCKS {
        let arguments: Vec<String> = spec
            .arguments
            .iter()
            .map(|argument| {
                let names = [&[argument.name], argument.also].concat().join(" or ");
                format!("{names}{}: {:?}", if argument.required { "" } else { "?" }, argument.kind)
            })
            .collect();
        text += &format!(
            "| `{}` | {} | {}, {} |\n",
            spec.name,
            cell(&arguments.join(", ")),
            spec.evidence.as_str(),
            cell(spec.source)
        );
    }
    text
}

/// Escapes the text of a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}
