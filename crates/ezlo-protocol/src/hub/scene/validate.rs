//! Validation of scenes with the rules of a hub.

use std::fmt;

use serde_json::Value;

use crate::hub::catalogue::{THEN_METHODS, WHEN_METHODS};
use crate::hub::scene::document::{Block, BlockField, Scene};
use crate::hub::scene::read::{MAX_DEPTH, block};
use crate::hub::scene::terms::{Comparator, SceneState, SunEvent, SunTiming};
use crate::hub::scene::time::DateLimit;
use crate::hub::scene::time::{DateKind, HmsInterval, Interval, TimeOfDay};
use crate::hub::scene::view::Condition;
use crate::hub::scene::vocabulary::{Argument, ArgumentKind, Place, block_spec};
use crate::hub::value::{ItemValue, Shape, ValueType};
use crate::rpc::RpcError;

/// Maximum length of the name of a scene, in characters (guide20:p37).
pub const MAX_NAME: usize = 25;

/// Maximum number of elements of lists of times, numbers and modes in a condition (inferred: a day has 1,440 minutes).
const MAX_LIST: usize = 1_440;

/// Maximum number of members of an object of texts, such as HTTP headers (inferred).
const MAX_TEXTS: usize = 100;

/// A reason for a hub to refuse a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Position in the scene, such as `name`, `when[0]`, `then[2]` or `when[0].blocks[1]`.
    pub at: String,
    /// Machine-readable string for `data` of the error.
    pub data: &'static str,
    /// Description in English.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.at, self.text, self.data)
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// Returns the error that a hub answers. Position and description are in its `reason`.
    pub fn error(&self) -> RpcError {
        let mut error = RpcError::known(self.data);
        error.reason = format!("{}: {}", self.at, self.text).into();
        error
    }
}

const NO_METHOD: &str = "ezlo.scenes.method.unknown";

impl Place {
    const fn wrong(self) -> &'static str {
        match self {
            Self::When => "ezlo.scenes.block.when.wrong",
            Self::Then => "ezlo.scenes.block.then.wrong",
        }
    }

    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::When => WHEN_METHODS,
            Self::Then => THEN_METHODS,
        }
    }
}

impl Scene {
    /// Validates the scene and returns all reasons for a hub to refuse it. An empty list means that the scene is valid.
    pub fn problems(&self) -> Vec<Problem> {
        problems(self)
    }
}

pub(super) fn problems(scene: &Scene) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut report = |at: &str, data, text: String| found.push(Problem { at: at.to_owned(), data, text });
    match scene.name.as_deref() {
        None => report("name", "rpc.params.notfound.name", "missing".into()),
        Some("") => report("name", "rpc.params.empty.name", "empty".into()),
        Some(name) if name.chars().count() > MAX_NAME => {
            report("name", "rpc.params.invalid", format!("longer than {MAX_NAME} characters"));
        }
        Some(_) => {}
    }
    let lists = [
        ("when", Place::When, scene.when.get(), true),
        ("then", Place::Then, scene.then.get(), true),
        ("else", Place::Then, scene.otherwise.get(), false),
    ];
    for (name, place, blocks, required) in lists {
        match blocks {
            Some(blocks) => {
                for (at, block) in blocks.iter().enumerate() {
                    check(block, place, &format!("{name}[{at}]"), 0, &mut found);
                }
            }
            None if required => {
                found.push(Problem { at: name.into(), data: place.wrong(), text: "missing".into() });
            }
            None => {}
        }
    }
    for (name, groups) in [("thenGroups", &scene.then_groups), ("elseGroups", &scene.else_groups)] {
        for (id, blocks) in groups.get().into_iter().flatten() {
            for (at, block) in blocks.iter().enumerate() {
                check(block, Place::Then, &format!("{name}.{}[{at}]", clip(id)), 0, &mut found);
            }
        }
    }
    found
}

fn check(block: &Block, place: Place, at: &str, depth: usize, found: &mut Vec<Problem>) {
    let mut report = |data, text: String| found.push(Problem { at: at.to_owned(), data, text });
    if depth > MAX_DEPTH {
        return report(place.wrong(), format!("blocks are nested deeper than {MAX_DEPTH} levels"));
    }
    let Some(method) = block.method() else {
        return report(place.wrong(), "blockOptions.method.name is missing".into());
    };
    if !place.names().contains(&method) {
        return report(NO_METHOD, format!("method {:?} is unknown or not allowed here", clip(method)));
    }
    if place == Place::When && block.delay.get().is_some() {
        report(place.wrong(), "a condition cannot have a delay".into());
    }
    // The arguments of other methods are not published, so they are not checked.
    let Some(spec) = block_spec(method) else { return };
    for argument in spec.arguments {
        check_argument(block, argument, place, at, depth, found);
    }
    match method {
        "and" => check_and(block, at, found),
        "isDate" if block.condition() == Condition::Unknown("isDate".into()) => {
            let text = "a date needs a known type and a time, or weekdays alone; numbers of days and weeks are bounded";
            found.push(Problem { at: at.to_owned(), data: place.wrong(), text: text.into() });
        }
        "function" if block.condition() == Condition::Unknown("function".into()) => {
            let text =
                "a function needs blockOptions.function with one of for, repeat, follow, pulse, latch and its settings";
            found.push(Problem { at: at.to_owned(), data: place.wrong(), text: text.into() });
        }
        "isDateRange"
            if block.condition() == Condition::During { start: DateLimit::default(), end: DateLimit::default() } =>
        {
            let text = "a range needs at least one limit, such as startTime";
            found.push(Problem { at: at.to_owned(), data: place.wrong(), text: text.into() });
        }
        _ => {}
    }
}

/// Returns whether groups are the left side of a comparison.
fn has_groups(block: &Block) -> bool {
    ["deviceGroup", "itemGroup"].iter().all(|name| block.argument(name).is_some_and(Value::is_string))
}

/// Shortens a name from outside for an error text.
fn clip(name: &str) -> String {
    name.chars().take(64).collect()
}

fn check_argument(block: &Block, argument: &Argument, place: Place, at: &str, depth: usize, found: &mut Vec<Problem>) {
    let wrong = |text: String| Problem { at: at.to_owned(), data: place.wrong(), text };
    let name = argument.name;
    let names = std::iter::once(name).chain(argument.also.iter().copied());
    let Some(field) = names.clone().find_map(|name| block.argument_field(name)) else {
        let is_replaced = place == Place::When && argument.kind == ArgumentKind::Operand && has_groups(block);
        if argument.required && !is_replaced {
            found.push(wrong(format!("argument {name:?} has no field")));
        }
        return;
    };
    let Some(value) = field.value.get() else {
        found.push(wrong(format!("field of argument {name:?} has no value")));
        return;
    };
    if matches!(
        argument.kind,
        ArgumentKind::Integers | ArgumentKind::TimesOfDay | ArgumentKind::Modes | ArgumentKind::List
    ) && value.as_array().is_some_and(|list| list.len() > MAX_LIST)
    {
        found.push(wrong(format!("argument {name:?} has more than {MAX_LIST} elements")));
        return;
    }
    match argument.kind {
        ArgumentKind::Block => match crate::hub::scene::read::block(value) {
            Some(inner) => check(&inner, place, &format!("{at}.block"), depth + 1, found),
            None => found.push(wrong("argument \"block\" is not a block".into())),
        },
        ArgumentKind::Blocks => match value.as_array() {
            Some(blocks) if !blocks.is_empty() => {
                for (index, inner) in blocks.iter().enumerate() {
                    let at = format!("{at}.blocks[{index}]");
                    match crate::hub::scene::read::block(inner) {
                        Some(inner) => check(&inner, place, &at, depth + 1, found),
                        None => found.push(Problem { at, data: place.wrong(), text: "not a block".into() }),
                    }
                }
            }
            _ => found.push(wrong("argument \"blocks\" is not a list of blocks".into())),
        },
        kind => {
            if let Err(wanted) = fits(kind, field, value) {
                found.push(wrong(format!("argument {name:?} is not {wanted}")));
            }
        }
    }
}

/// Checks an argument without nested blocks. The error describes the expected value.
fn fits(kind: ArgumentKind, field: &BlockField, value: &Value) -> Result<(), &'static str> {
    let text = value.as_str();
    let parsed = |good: Option<bool>, wanted| if good == Some(true) { Ok(()) } else { Err(wanted) };
    match kind {
        ArgumentKind::Item | ArgumentKind::Device | ArgumentKind::Scene | ArgumentKind::Mode => {
            parsed(text.map(|id| !id.is_empty()), "an id, as text")
        }
        ArgumentKind::Text => parsed(Some(value.is_string()), "text"),
        ArgumentKind::Flag => parsed(Some(value.is_boolean()), "true or false"),
        ArgumentKind::Number => parsed(Some(value.is_number()), "a number"),
        ArgumentKind::Comparator => {
            parsed(text.map(|text| Comparator::from(text).is_known()), "one of == != > >= < <=")
        }
        ArgumentKind::Interval => {
            parsed(text.map(|text| text.parse::<Interval>().is_ok()), "an interval such as \"10s\"")
        }
        ArgumentKind::HmsInterval => {
            parsed(text.map(|text| text.parse::<HmsInterval>().is_ok()), "an interval such as \"01:30:00\"")
        }
        ArgumentKind::TimeOfDay => {
            parsed(text.map(|text| text.parse::<TimeOfDay>().is_ok()), "a time of day such as \"07:30\"")
        }
        ArgumentKind::Modes => {
            let is_id = |mode: &Value| mode.as_str().is_some_and(|id| !id.is_empty());
            let modes = value.as_array().map(|modes| !modes.is_empty() && modes.iter().all(is_id));
            parsed(Some(modes.unwrap_or_else(|| is_id(value))), "a list of mode ids, as text")
        }
        ArgumentKind::TimesOfDay => {
            let is_time = |time: &Value| time.as_str().is_some_and(|text| text.parse::<TimeOfDay>().is_ok());
            let times = value.as_array().map(|times| times.iter().all(is_time));
            parsed(Some(times.unwrap_or_else(|| is_time(value))), "a list of times of day such as [\"07:30\"]")
        }
        ArgumentKind::DateKind => {
            parsed(text.map(|text| DateKind::from(text).is_known()), "one of daily, weekly, monthly, weeks, yearWeeks")
        }
        ArgumentKind::SceneState => {
            parsed(text.map(|text| SceneState::of(text).is_known()), "a state of a scene such as \"finished\"")
        }
        ArgumentKind::Operand => {
            parsed(text.map(|id| !id.is_empty()), "the id of an item or the name of an expression")
        }
        ArgumentKind::Object => parsed(Some(value.is_object()), "an object"),
        ArgumentKind::AnyValue => check_value(field, value, "a value of its field's type"),
        ArgumentKind::List => {
            let is_reference = matches!(field.kind.as_deref(), Some("expression" | "item")) && value.is_string();
            parsed(Some(value.is_array() || is_reference), "a list or a reference to one")
        }
        ArgumentKind::Texts => {
            let is_texts = |members: &serde_json::Map<String, Value>| {
                members.len() <= MAX_TEXTS && members.values().all(Value::is_string)
            };
            parsed(value.as_object().map(is_texts), "an object of at most 100 texts")
        }
        ArgumentKind::OneOf(tokens) => parsed(text.map(|text| tokens.contains(&text)), "one of the tokens of its list"),
        ArgumentKind::SunTiming => {
            let event = field.name.as_deref().is_some_and(|name| SunEvent::from(name).is_known());
            parsed(
                text.map(|text| event && SunTiming::from(text).is_known()),
                "intime, before or after in a field named sunrise or sunset",
            )
        }
        ArgumentKind::Integers => {
            parsed(value.as_array().map(|all| all.iter().all(Value::is_i64)), "a list of whole numbers")
        }
        ArgumentKind::ItemValue => check_value(field, value, "a value of its field's type"),
        // Nested blocks are checked by the caller.
        ArgumentKind::Block | ArgumentKind::Blocks => Ok(()),
    }
}

/// Checks a value against the type of its field. Types without a known shape accept every value.
fn check_value(field: &BlockField, value: &Value, wanted: &'static str) -> Result<(), &'static str> {
    let kind = ValueType::from(field.kind.as_deref().unwrap_or_default());
    let is_free = !kind.is_known() || kind.shape() == Shape::Unknown;
    if is_free || ItemValue::read(&kind, None, value).is_ok() { Ok(()) } else { Err(wanted) }
}

/// Checks the conditions that exclude each other within one `and` (guide20:p38-39).
fn check_and(group: &Block, at: &str, found: &mut Vec<Problem>) {
    let blocks = group.argument("blocks").and_then(Value::as_array);
    let blocks: Vec<Block> = blocks.into_iter().flatten().filter_map(block).collect();
    let mut report = |data, text: &str| found.push(Problem { at: at.to_owned(), data, text: text.to_owned() });
    let is_time = |block: &&Block| {
        matches!(block.method(), Some("isInterval" | "isSunState" | "isDate" | "isOnce" | "isDateRange"))
    };
    if blocks.iter().filter(is_time).count() > 1 {
        report("scenes.when.more_than_one_time", "more than one time condition in one \"and\"");
    }
    let key = |block: &Block| Some((block.method()?.to_owned(), block.argument("item")?.as_str()?.to_owned()));
    for (index, block) in blocks.iter().enumerate() {
        let Some((method, item)) = key(block) else { continue };
        let same = |earlier: &&Block| key(earlier).is_some_and(|key| key == (method.clone(), item.clone()));
        let twins: Vec<&Block> = blocks[..index].iter().filter(same).collect();
        match method.as_str() {
            "compareNumbers" if twins.iter().any(|twin| !meet(twin, block)) => {
                report("scenes.when.not_intersect_numbers", "two comparisons of one number are never true together");
            }
            "compareNumbers" => {}
            "isButtonState" if !twins.is_empty() => report("scenes.when.same_button_in_and", "duplicate button"),
            _ if !twins.is_empty() => report("scenes.when.same_item_in_and", "duplicate item"),
            _ => {}
        }
    }
}

/// Returns `true` if two comparisons of the same number can be true at the same time.
fn meet(one: &Block, other: &Block) -> bool {
    let read = |block: &Block| {
        Some((Comparator::from(block.argument("comparator")?.as_str()?), block.argument("value")?.as_f64()?))
    };
    let (Some(one), Some(other)) = (read(one), read(other)) else { return true };
    // Samples below, at, between and above the two limits are sufficient: no other number can satisfy both comparisons.
    let (low, high) = (one.1.min(other.1), one.1.max(other.1));
    let candidates = [low - 1.0, low, f64::midpoint(low, high), high, high + 1.0];
    candidates.iter().any(|number| one.0.holds(*number, one.1) && other.0.holds(*number, other.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::scene::build::{SceneBuilder, all, any, button, every, item_compares, item_is, not, set_item};
    use crate::hub::scene::terms::BlockValue;
    use serde_json::json;

    fn first(scene: &SceneBuilder) -> (String, &'static str) {
        let problem = scene.clone().build().unwrap_err();
        (problem.at, problem.data)
    }

    #[test]
    fn problems_name_the_position_of_the_block() {
        let scene = SceneBuilder::new("Lamp").then(set_item("a", true));
        let broken = Block::new("when", "isNothing", []);
        assert_eq!(
            first(&scene.clone().when(item_is("a", true)).when(any([item_is("b", true), not(broken)]))),
            ("when[1].blocks[1].block".into(), "ezlo.scenes.method.unknown")
        );
        let mut no_value = item_is("a", true);
        no_value.fields.get_mut().unwrap().pop();
        let problem = scene.clone().when(no_value).build().unwrap_err();
        assert_eq!(problem.to_string(), "when[0]: argument \"value\" has no field (ezlo.scenes.block.when.wrong)");
        assert_eq!(problem.error().reason.as_deref(), Some("when[0]: argument \"value\" has no field"));
        assert_eq!(first(&scene.then(item_is("a", true))), ("then[1]".into(), "ezlo.scenes.method.unknown"));
    }

    #[test]
    fn conflicting_conditions_in_one_and_are_refused() {
        use Comparator::{Greater, Less, LessOrEqual};
        let data = |blocks: Vec<Block>| first(&SceneBuilder::new("x").when(all(blocks))).1;
        let ten = || every(Interval::from_seconds(10));
        assert_eq!(data(vec![ten(), ten()]), "scenes.when.more_than_one_time");
        assert_eq!(data(vec![item_is("a", true), item_is("a", false)]), "scenes.when.same_item_in_and");
        assert_eq!(data(vec![button("a", "released"), button("a", "held_down")]), "scenes.when.same_button_in_and");
        assert_eq!(
            data(vec![item_compares("a", Greater, 30_i64), item_compares("a", Less, 20_i64)]),
            "scenes.when.not_intersect_numbers"
        );
        let good = all([item_compares("a", Greater, 20_i64), item_compares("a", LessOrEqual, 30_i64)]);
        assert!(SceneBuilder::new("x").when(good).build().is_ok());
    }

    #[test]
    fn values_and_names_of_a_scene_are_checked() {
        let mut wrong = set_item("a", true);
        wrong.fields.get_mut().unwrap()[1].value = json!("on").into();
        assert_eq!(first(&SceneBuilder::new("x").then(wrong)), ("then[0]".into(), "ezlo.scenes.block.then.wrong"));
        assert_eq!(first(&SceneBuilder::new("")).1, "rpc.params.empty.name");
        assert_eq!(first(&SceneBuilder::new(&"x".repeat(26))).1, "rpc.params.invalid");
    }

    #[test]
    fn deep_nesting_is_reported() {
        let deep = (0..40).fold(item_is("a", true), |inner, _| not(inner));
        let problem = SceneBuilder::new("x").when(deep).build().unwrap_err();
        assert!(problem.text.contains("deeper"), "{problem}");
    }

    #[test]
    fn lists_have_a_limit() {
        let in_list = |length: usize| {
            let value = BlockValue::new("int_array", vec![1; length]);
            let date = [("type", BlockValue::token("weekly")), ("weekdays", value)];
            let scene = Scene { when: vec![Block::new("when", "isDate", date)].into(), ..Scene::default() };
            scene.problems().iter().any(|problem| problem.text == "argument \"weekdays\" has more than 1440 elements")
        };
        assert!(in_list(1_441) && !in_list(1_440));
    }
}
