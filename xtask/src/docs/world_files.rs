//! The generated reference of world-file keys, from the types that read world files.

use std::fmt::Write as _;
use std::fs;

use quote::ToTokens as _;
use syn::{Field, Item, ItemStruct};

use super::generated::{cell, docs};
use crate::{Failure, root};

/// Folder of the types.
const FOLDER: &str = "crates/ezlo-hub-sim/src";

/// Tables of the page: file, type and heading.
const TABLES: &[(&str, &str, &str)] = &[
    ("world_file.rs", "WorldFile", "Top level"),
    ("world_file.rs", "UserFile", "`[[users]]`"),
    ("world_file.rs", "WifiFile", "`[[wifi]]`"),
    ("world_file.rs", "HubFile", "`[[hubs]]`"),
    ("world_file.rs", "LocationFile", "`location` of a hub"),
    ("world_file.rs", "GatewayFile", "`gateways` of a hub"),
    ("world_file/house_modes.rs", "HouseModesFile", "`house_modes` of a hub"),
    ("world_file/house_modes.rs", "EntryDelayFile", "`entry_delay` of `house_modes`"),
    ("world_file/house_modes.rs", "HouseModeFile", "`modes` of `house_modes`"),
    ("world_file/house.rs", "DeviceFile", "`devices` of a hub"),
    ("world_file/house.rs", "ItemFile", "`items` of a device"),
    ("world_file/house.rs", "SceneFile", "`scenes` of a hub"),
];

pub(super) fn page() -> Result<String, Failure> {
    let mut text = "# Reference of world files\n\n`cargo xtask docs --write` generates this page from the types that read world files.\n\n\
                    [Worlds and houses](worlds.md) explains the format. A world file has at most 16 MiB. Unknown keys are refused.\n\
                    Names that refer to something must exist. A name that must be unique is refused the second time.\n"
        .to_owned();
    for (file, name, heading) in TABLES {
        let path = root().join(FOLDER).join(file);
        let source = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let parsed = syn::parse_file(&source).map_err(|error| format!("{}: {error}", path.display()))?;
        let found = parsed.items.iter().find_map(|item| match item {
            Item::Struct(item) if item.ident == name => Some(item),
            _ => None,
        });
        let item = found.ok_or_else(|| format!("{file} has no struct {name}"))?;
        let _ = write!(text, "\n## {heading}\n\n| key | type | meaning |\n|---|---|---|\n");
        for field in &item.fields {
            text += &row(item, field);
        }
    }
    Ok(text)
}

fn row(item: &ItemStruct, field: &Field) -> String {
    let attributes: String = field.attrs.iter().map(|attribute| attribute.to_token_stream().to_string()).collect();
    if attributes.contains("serde (skip)") {
        return String::new();
    }
    let renamed = attributes.split("rename = \"").nth(1).and_then(|rest| rest.split('"').next());
    let key = renamed.map_or_else(|| field.ident.as_ref().map(ToString::to_string).unwrap_or_default(), str::to_owned);
    let kind = field.ty.to_token_stream().to_string().replace(' ', "");
    let all_default = item.attrs.iter().any(|attribute| attribute.to_token_stream().to_string().contains("default"));
    let is_required = !kind.starts_with("Option<") && !attributes.contains("default") && !all_default;
    let required = if is_required { "Required. " } else { "" };
    format!("| `{key}` | {} | {required}{} |\n", spoken(&kind), cell(&docs(&field.attrs)))
}

/// Returns the type of a key in words.
fn spoken(kind: &str) -> String {
    let inside = |outer: &str| kind.strip_prefix(outer).and_then(|rest| rest.strip_suffix('>'));
    if let Some(inner) = inside("Option<") {
        return spoken(inner);
    }
    if let Some(inner) = inside("Vec<") {
        let inner = spoken(inner);
        return if inner == "text" { "array of texts".into() } else { format!("array of {inner}s") };
    }
    if kind.starts_with("BTreeMap<String,Vec<") {
        return "table of arrays".into();
    }
    let words = match kind {
        "String" | "Serial" | "MacAddress" | "Password" | "Passkey" | "HubKind" | "SetupFault" => "text",
        "bool" => "boolean",
        "i64" | "u64" | "u32" => "integer",
        "f64" => "number",
        "Value" => "any",
        _ => "table",
    };
    words.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_in_words() {
        for (kind, words) in [
            ("Option<Vec<String>>", "array of texts"),
            ("Vec<DeviceFile>", "array of tables"),
            ("Option<u32>", "integer"),
            ("BTreeMap<String,Vec<ActionFile>>", "table of arrays"),
        ] {
            assert_eq!(spoken(kind), words);
        }
    }

    #[test]
    fn page_has_every_table_and_marks_required_keys() {
        let page = page().unwrap_or_else(|failure| panic!("{failure:?}"));
        assert!(page.contains("| `serial` | text | Required. "));
        assert!(page.contains("| `else` | array of tables | "));
        assert!(!page.contains("`digest`"));
    }
}
