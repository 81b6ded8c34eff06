//! `cargo xtask coverage`: counts the names of the catalogue that have a type and are simulated.

use std::collections::BTreeSet;

use ezlo_protocol::error::KNOWN_ERRORS;
use ezlo_protocol::hub::catalogue::{
    self, ItemName, RAW_BROADCASTS, RAW_METHODS, Scale, Subcategory, THEN_METHODS, ValueType, WHEN_METHODS,
};
use ezlo_protocol::hub::device::Category;
use ezlo_protocol::hub::{broadcast, method, scene};
use serde_json::{Map, Value, json};

use crate::say::say;
use crate::{Failure, Outcome, codegen};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The coverage of one kind of name.
struct Count {
    name: &'static str,
    known: usize,
    missing: Vec<(String, &'static str)>,
}

const NO_SHAPE: &str = "parameters are not published; callable with untyped parameters";
const NO_SHAPE_BROADCAST: &str = "content is not published; received as an unknown event";
const NO_ARGUMENTS: &str = "arguments are not published; preserved as untyped JSON";
const NOT_SIMULATED: &str = "typed, but not answered by the simulated hub";
const NO_WORD: &str = "missing in ezlo-protocol";

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let counts = counts()?;
    if arguments.json {
        let object: Map<String, Value> = counts.iter().map(|count| (count.name.to_owned(), count.json())).collect();
        say!("{}", Value::Object(object));
    } else {
        for count in &counts {
            say!("{:15} {:4} of {:4}", count.name, count.covered(), count.known);
            for (name, why) in &count.missing {
                say!("                {name}: {why}");
            }
        }
    }
    let is_incomplete =
        counts.iter().any(|count| count.missing.iter().any(|(_, why)| matches!(*why, NO_WORD | NOT_SIMULATED)));
    if is_incomplete {
        Err("names with a published form are not covered; the list above has them".into())
    } else {
        Ok(())
    }
}

impl Count {
    const fn covered(&self) -> usize {
        self.known - self.missing.len()
    }

    fn json(&self) -> Value {
        let missing: Vec<Value> = self.missing.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
        json!({"covered": self.covered(), "known": self.known, "missing": missing})
    }

    /// Counts names that `is_known` must accept.
    fn of_names(name: &'static str, words: impl IntoIterator<Item = String>, is_known: impl Fn(&str) -> bool) -> Self {
        let all: BTreeSet<String> = words.into_iter().collect();
        let missing = all.iter().filter(|word| !is_known(word)).map(|word| (word.clone(), NO_WORD)).collect();
        Self { name, known: all.len(), missing }
    }
}

fn counts() -> Result<Vec<Count>, Failure> {
    let (guide, newer) = codegen::sources()?;
    let keys = |member: &str| guide[member].as_object().into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>();
    let subcategories = guide["categories"].as_object().into_iter().flat_map(Map::values);
    let subcategories =
        subcategories.flat_map(|list| list.as_array().cloned().unwrap_or_default()).chain(newer.subcategory_values());
    Ok(vec![
        methods(&guide),
        broadcasts(&guide),
        Count::of_names("items", keys("items").into_iter().chain(newer.items.clone()), |word| {
            ItemName::from(word).is_known()
        }),
        Count::of_names("valueTypes", keys("valueTypes").into_iter().chain(newer.value_types.clone()), |word| {
            ValueType::from(word).is_known()
        }),
        Count::of_names("scales", strings(&guide["scales"]).into_iter().chain(newer.scales.clone()), |word| {
            Scale::from(word).is_known() && ezlo_protocol::hub::value::SCALES.iter().any(|spec| spec.name == word)
        }),
        enumerations(&guide),
        Count::of_names("categories", keys("categories"), |word| Category::from(word).is_known()),
        Count::of_names("subcategories", subcategories.filter_map(|word| word.as_str().map(str::to_owned)), |word| {
            Subcategory::from(word).is_known()
        }),
        blocks(),
        errors(&guide),
    ])
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

fn names(list: &Value, member: &str) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|entry| entry[member].as_str().map(str::to_owned)).collect()
}

fn methods(guide: &Value) -> Count {
    let simulated = ezlo_mock_cloud::simulated_methods();
    let mut all = names(&guide["methods"], "name");
    all.extend(method::METHODS.iter().map(|spec| spec.name.to_owned()));
    all.extend(RAW_METHODS.iter().map(|raw| raw.name.to_owned()));
    let missing = all.iter().filter_map(|name| match method::spec(name) {
        None => Some((name.clone(), NO_SHAPE)),
        Some(_) if !simulated.contains(&name.as_str()) => Some((name.clone(), NOT_SIMULATED)),
        Some(_) => None,
    });
    Count { name: "methods", known: all.len(), missing: missing.collect() }
}

fn broadcasts(guide: &Value) -> Count {
    let mut all = names(&guide["broadcasts"], "subclass");
    all.extend(broadcast::BROADCASTS.iter().map(|spec| spec.name.to_owned()));
    all.extend(RAW_BROADCASTS.iter().map(|raw| raw.name.to_owned()));
    let missing = all.iter().filter(|name| broadcast::spec(name).is_none());
    Count {
        name: "broadcasts",
        known: all.len(),
        missing: missing.map(|name| (name.clone(), NO_SHAPE_BROADCAST)).collect(),
    }
}

/// Counts the enumerations. One is covered if the crate has all its tokens in the same order.
fn enumerations(guide: &Value) -> Count {
    let tables = guide["enumTables"].as_object().cloned().unwrap_or_default();
    let covered = |name: &str, table: &Value| {
        let tokens: Vec<String> = table["tokens"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| row["token"].as_str().map(str::to_owned))
            .collect();
        catalogue::enumeration(name)
            .is_some_and(|known| known.tokens.iter().copied().eq(tokens.iter().map(String::as_str)))
    };
    let missing = tables.iter().filter(|(name, table)| !covered(name, table)).map(|(name, _)| (name.clone(), NO_WORD));
    Count { name: "enumerations", known: tables.len(), missing: missing.collect() }
}

/// Counts the conditions and actions of scenes.
fn blocks() -> Count {
    let all: Vec<&str> = WHEN_METHODS.iter().chain(THEN_METHODS).copied().collect();
    let missing = all.iter().filter(|name| scene::block_spec(name).is_none());
    Count {
        name: "sceneMethods",
        known: all.len(),
        missing: missing.map(|name| ((*name).to_owned(), NO_ARGUMENTS)).collect(),
    }
}

fn errors(guide: &Value) -> Count {
    let methods = guide["methods"].as_array().into_iter().flatten();
    let named = methods.flat_map(|method| names(&method["errors"], "data"));
    let all: BTreeSet<String> = named.chain(KNOWN_ERRORS.iter().map(|error| error.data.to_owned())).collect();
    Count::of_names("errors", all, |data| ezlo_protocol::error::known(data).is_some())
}
