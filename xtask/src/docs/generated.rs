//! The generated pages: configuration, control API, protocol reference, world-file keys.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use quote::ToTokens as _;
use serde_json::Value;
use syn::Item;

use super::server::Server;
use crate::say::say;
use crate::{Failure, Outcome, reference, root};

/// The commands of `mock-cloud` with a help text on the page.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["hub"],
    &["world"],
    &["world", "list"],
    &["world", "check"],
    &["world", "show"],
    &["world", "templates"],
    &["world", "from-dump"],
    &["state"],
    &["state", "show"],
    &["state", "export"],
    &["state", "import"],
    &["evidence"],
];

/// Tables of the configuration file: the type in `config.rs`, and the name of the table.
const TABLES: &[(&str, &str)] = &[("Config", ""), ("Ports", "ports"), ("Assumptions", "assumptions")];

/// Writes the generated pages, or checks that they are up to date.
pub(super) fn run(write: bool) -> Outcome {
    let programs = super::programs()?;
    let pages = [
        ("docs/configuration.md", configuration(&programs)?),
        ("docs/control-api.md", control_api(&programs)?),
        ("docs/limits.md", super::limits::page()?),
        ("docs/protocol-reference.md", reference::as_markdown()),
        ("docs/world-files.md", super::world_files::page()?),
    ];
    for (name, text) in pages {
        let path = root().join(name);
        if fs::read_to_string(&path).unwrap_or_default() == text {
            continue;
        }
        if !write {
            return Err(format!("{name} is out of date; run `cargo xtask docs --write` and commit it").into());
        }
        fs::write(&path, text).map_err(|error| format!("cannot write {name}: {error}"))?;
        say!("docs: wrote {name}");
    }
    Ok(())
}

fn configuration(programs: &Path) -> Result<String, Failure> {
    let mut text = "# Configuration\n\n`cargo xtask docs --write` generates this page from the program.\n\n## Configuration file\n\n\
                    `mock-cloud serve --config FILE` reads a TOML file. Every key is optional, and an unknown key is an error.\n\
                    A flag overrides the key of the same name.\n"
        .to_owned();
    let source =
        fs::read_to_string(root().join("mock-cloud/src/config.rs")).map_err(|error| format!("config.rs: {error}"))?;
    let file = syn::parse_file(&source).map_err(|error| format!("config.rs: {error}"))?;
    for (name, table) in TABLES {
        let found = file.items.iter().find_map(|item| match item {
            Item::Struct(item) if item.ident == name => Some(item),
            _ => None,
        });
        let item = found.ok_or_else(|| format!("config.rs has no struct {name}"))?;
        let heading = if table.is_empty() { "Top level".to_owned() } else { format!("`[{table}]`") };
        let _ = write!(text, "\n### {heading}\n\n| key | meaning |\n|---|---|\n");
        for field in &item.fields {
            let key = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "| `{key}` | {} |", cell(&docs(&field.attrs)));
        }
    }
    text += "\n## Command line\n";
    for command in COMMANDS {
        let output = Command::new(programs.join("mock-cloud")).args(*command).arg("--help").output();
        let output = output.map_err(|error| format!("cannot run mock-cloud: {error}"))?;
        if !output.status.success() {
            return Err(format!("mock-cloud {} --help failed", command.join(" ")).into());
        }
        let help = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let title = [&["mock-cloud"], *command].concat().join(" ");
        let _ = write!(text, "\n### `{title}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    }
    Ok(text)
}

fn control_api(programs: &Path) -> Result<String, Failure> {
    let server = Server::start(programs)?;
    let api = server.get("/openapi.json")?;
    let catalogue = server.get("/faults/catalogue")?;
    let mut text = "# Control API\n\n`cargo xtask docs --write` generates this page from the tables of the program.\n\n\
                    The address is the member `control` of the ready line. `GET /openapi.json` returns the same calls as an\n\
                    OpenAPI document. Requests and replies are JSON; an error is `{\"error\": \"...\"}` with status 4xx or 5xx.\n\n\
                    ## Calls\n\n| call | effect | body, for example |\n|---|---|---|\n"
        .to_owned();
    let mut queries = String::new();
    for (path, operations) in api["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let call = format!("{} {path}", method.to_uppercase());
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            let body = if example.is_null() { String::new() } else { format!("`{example}`") };
            let _ = writeln!(text, "| `{call}` | {} | {} |", cell(string(&operation["summary"])), cell(&body));
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let rows: Vec<&Value> = parameters.filter(|parameter| parameter["in"] == "query").collect();
            if !rows.is_empty() {
                let _ = write!(queries, "\n### `{call}`\n\n| parameter | type | meaning |\n|---|---|---|\n");
            }
            for row in rows {
                let (name, kind) = (string(&row["name"]), string(&row["schema"]["type"]));
                let _ = writeln!(queries, "| `{name}` | {kind} | {} |", cell(string(&row["description"])));
            }
        }
    }
    let _ = write!(
        text,
        "\n## Query parameters\n{queries}\n## Faults\n\n`POST /faults` takes a member `fault`, the parameters below, \
                    and optionally `when` and `match`; see [faults](faults.md).\n\n| fault | parameters | injected at | effect |\n|---|---|---|---|\n"
    );
    let rows = catalogue.as_array().or_else(|| catalogue["faults"].as_array());
    for row in rows.ok_or("the catalogue of faults has an unexpected form")? {
        let parameters: Vec<String> = row["parameters"].as_array().into_iter().flatten().map(parameter).collect();
        let (fault, point) = (string(&row["fault"]), string(&row["injection_point"]));
        let _ = writeln!(
            text,
            "| `{fault}` | {} | {point} | {} |",
            cell(&parameters.join("; ")),
            cell(string(&row["description"]))
        );
    }
    Ok(text)
}

fn parameter(row: &Value) -> String {
    let optional = if row["optional"] == true { ", optional" } else { "" };
    format!(
        "`{}`: {} from {} to {}{optional}",
        string(&row["name"]),
        string(&row["type"]),
        row["minimum"],
        row["maximum"]
    )
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Escapes the text of a table cell.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Returns the doc comment of an item as one line.
pub(super) fn docs(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let literal: syn::LitStr = syn::parse2(pair.value.to_token_stream()).ok()?;
        Some(literal.value().trim().to_owned())
    });
    lines.collect::<Vec<_>>().join(" ")
}
