//! The command `mock-cloud world`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ezlo_mock_cloud::worlds::{self, Summary};
use serde::Serialize;

use crate::cli::say;

/// Examples at the end of the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  Show the hubs, rooms and scenes of a bundled world:
    mock-cloud world show demo
  Check a world file of your own:
    mock-cloud world check my.toml
  Create a world file from the answers of a real hub, check it, and serve it:
    mock-cloud world from-dump ./answers --output house.toml
    mock-cloud world check house.toml
    mock-cloud serve --world house.toml";

#[derive(Debug, Args)]
pub(crate) struct World {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List the bundled worlds with their totals.
    #[command(after_help = "\
Examples:
  List the worlds that `serve --world NAME` accepts:
    mock-cloud world list
  List their names for a script:
    mock-cloud world list --json | jq --raw-output '.[].name'")]
    List {
        /// Print JSON (default: text).
        #[arg(long)]
        json: bool,
    },
    /// Check a world file. An error names the file, the line and the key.
    #[command(after_help = "\
Examples:
  Check a world file of your own:
    mock-cloud world check my.toml
  Check it before it is served:
    mock-cloud world check my.toml && mock-cloud serve --world my.toml")]
    Check {
        /// World file in TOML.
        file: PathBuf,
    },
    /// Show the totals, hubs, rooms and scenes of a world.
    #[command(after_help = "\
Examples:
  Show a bundled world:
    mock-cloud world show demo
  Show a world file as JSON:
    mock-cloud world show my.toml --json")]
    Show {
        /// Bundled world or path of a world file.
        #[arg(default_value = "demo")]
        world: String,
        /// Print JSON (default: text).
        #[arg(long)]
        json: bool,
    },
    /// List the device templates that world files and inclusions can name.
    #[command(after_help = "\
Examples:
  List the templates with their items:
    mock-cloud world templates
  List the names of all templates:
    mock-cloud world templates --json | jq --raw-output '.[].name'")]
    Templates {
        /// Print JSON (default: text).
        #[arg(long)]
        json: bool,
    },
    /// Create a world file from the answers of a real hub, with pseudonyms for personal data.
    ///
    /// The directory holds the answers, or their results, of hub.info.get, hub.devices.list, hub.items.list, hub.room.list,
    /// hub.scenes.list, hub.modes.get and hub.gateways.list as .json files. Only hub.devices.list.json is required. Read the world file before you
    /// share it.
    #[command(after_help = "\
Examples:
  Create a world file, and list what differs from the answers:
    mock-cloud world from-dump ./answers --output house.toml --report
  Write the differences as JSON to a file:
    mock-cloud world from-dump ./answers --output house.toml --report differences.json")]
    FromDump {
        /// Directory with the answers.
        dir: PathBuf,
        /// File to write (default: standard output).
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// List every member of the answers that was replaced, dropped or changed, with the reason (default: no list).
        ///
        /// Without FILE, the list is text on standard error. With FILE, it is JSON in that file.
        #[arg(long, value_name = "FILE", num_args = 0..=1)]
        report: Option<Option<PathBuf>>,
    },
}

pub(crate) fn run(world: &World) -> Result<(), String> {
    match &world.task {
        Task::List { json } => list(*json),
        Task::Check { file } => {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            let summary = worlds::check(file, &text).map_err(|error| crate::cli::with_causes(&error))?;
            say!("{} is valid: {}", file.display(), totals(&summary));
            Ok(())
        }
        Task::Show { world, json } => {
            let summary = worlds::summary(world).map_err(|error| crate::cli::with_causes(&error))?;
            if *json { print_json(&summary) } else { show(world, &summary) }
        }
        Task::Templates { json } => templates(*json),
        Task::FromDump { dir, output, report } => from_dump(dir, output.as_deref(), report.as_ref()),
    }
}

fn from_dump(dir: &Path, output: Option<&Path>, report: Option<&Option<PathBuf>>) -> Result<(), String> {
    let conversion = worlds::from_dump(dir).map_err(|error| crate::cli::with_causes(&error))?;
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    match report {
        Some(Some(path)) => {
            let text = serde_json::to_string_pretty(&conversion.differences)
                .map_err(|error| crate::cli::with_causes(&error))?;
            write(path, &format!("{text}\n"))?;
        }
        Some(None) => {
            for difference in &conversion.differences {
                eprintln!("{difference}");
            }
        }
        None => {}
    }
    match output {
        Some(path) => write(path, &conversion.world),
        None => {
            say!("{}", conversion.world.trim_end());
            Ok(())
        }
    }
}

fn print_json(value: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string(value).map_err(|error| crate::cli::with_causes(&error))?;
    say!("{text}");
    Ok(())
}

fn list(json: bool) -> Result<(), String> {
    if json {
        return print_json(&worlds::bundled().collect::<Vec<_>>());
    }
    for name in worlds::bundled() {
        let summary = worlds::summary(name).map_err(|error| crate::cli::with_causes(&error))?;
        say!("{name:8}  {}", totals(&summary));
    }
    Ok(())
}

fn totals(summary: &Summary) -> String {
    let Summary { users, hubs, devices, items, scenes, behaviours, .. } = summary;
    format!("{users} users, {hubs} hubs, {devices} devices, {items} items, {scenes} scenes, {behaviours} behaviours")
}

fn show(name: &str, summary: &Summary) -> Result<(), String> {
    say!("{name}: {}", totals(summary));
    for hub in &summary.first_hubs {
        let owner = hub.owner.as_deref().unwrap_or("no user");
        let presence = if hub.online { "online" } else { "offline" };
        say!("\nhub {} ({} {}), owned by {owner}, {presence}", hub.serial, hub.kind, hub.model);
        say!("  {} devices, {} items", hub.devices, hub.items);
        for (what, names) in [("rooms", &hub.rooms), ("scenes", &hub.scenes)] {
            if !names.is_empty() {
                say!("  {what}: {}", names.join(", "));
            }
        }
    }
    if summary.hubs > summary.first_hubs.len() {
        say!("\nand {} more hubs", summary.hubs - summary.first_hubs.len());
    }
    Ok(())
}

fn templates(json: bool) -> Result<(), String> {
    let all: Vec<_> = worlds::templates().collect();
    if json {
        return print_json(&all);
    }
    for template in all {
        let secure = if template.secure { "  (Z-Wave Security 2)" } else { "" };
        say!("{:20}{}{secure}\n    {}", template.name, template.category, template.items.join(", "));
        if !template.parts.is_empty() {
            say!("    parts: {}", template.parts.join(", "));
        }
    }
    Ok(())
}
