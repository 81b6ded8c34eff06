//! `mock-cloud world`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ezlo_mock_cloud::worlds::{self, Summary};
use serde::Serialize;

use crate::cli::say;

#[derive(Debug, Args)]
pub(crate) struct World {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List the shipped worlds.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a world file; an error names file, line and key.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Show what is in a world.
    Show {
        /// Shipped world or path of a world file.
        #[arg(default_value = "demo")]
        world: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the kinds of devices that world files and inclusions can name.
    Templates {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a world file from a folder with a real hub's answers, with pseudonyms for everything personal.
    ///
    /// The folder holds the answers (or their results) of hub.info.get, hub.devices.list, hub.items.list, hub.room.list,
    /// hub.scenes.list and hub.modes.get as .json files; only the devices are needed. Read the result before you share it.
    FromDump {
        /// The folder.
        dir: PathBuf,
        /// Where to write; standard output when absent.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(crate) fn run(world: &World) -> Result<(), String> {
    match &world.task {
        Task::List { json } => list(*json),
        Task::Check { file } => {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            let summary = worlds::check(file, &text).map_err(|error| super::with_causes(&error))?;
            say!("{} is good: {}", file.display(), totals(&summary));
            Ok(())
        }
        Task::Show { world, json } => {
            let summary = worlds::summary(world).map_err(|error| super::with_causes(&error))?;
            if *json { print_json(&summary) } else { show(world, &summary) }
        }
        Task::Templates { json } => templates(*json),
        Task::FromDump { dir, output } => {
            let text = worlds::from_dump(dir).map_err(|error| super::with_causes(&error))?;
            match output {
                Some(path) => {
                    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
                }
                None => {
                    say!("{}", text.trim_end());
                    Ok(())
                }
            }
        }
    }
}

fn print_json(value: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string(value).map_err(|error| super::with_causes(&error))?;
    say!("{text}");
    Ok(())
}

fn list(json: bool) -> Result<(), String> {
    if json {
        return print_json(&worlds::bundled().collect::<Vec<_>>());
    }
    for name in worlds::bundled() {
        let summary = worlds::summary(name).map_err(|error| super::with_causes(&error))?;
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
        let owner = hub.owner.as_deref().unwrap_or("nobody");
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
        say!("\nand {} hubs more", summary.hubs - summary.first_hubs.len());
    }
    Ok(())
}

fn templates(json: bool) -> Result<(), String> {
    let all: Vec<_> = worlds::templates().collect();
    if json {
        return print_json(&all);
    }
    for template in all {
        let secure = if template.secure { "  (agrees on keys)" } else { "" };
        say!("{:20}{}{secure}\n    {}", template.name, template.category, template.items.join(", "));
        if !template.parts.is_empty() {
            say!("    parts: {}", template.parts.join(", "));
        }
    }
    Ok(())
}
