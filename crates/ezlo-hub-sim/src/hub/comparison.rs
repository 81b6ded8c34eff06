//! The comparisons of scenes (d22).

use std::borrow::Cow;
use std::cmp::Ordering;

use ezlo_protocol::hub::scene::{BlockValue, Comparator, Compared, StringOperation, Test};
use serde_json::Value;

/// Returns the value inside of an object with a unit, `{value, scale}`, or the value itself.
pub(crate) fn plain(value: &Value) -> &Value {
    value.get("value").filter(|_| value.get("scale").is_some()).unwrap_or(value)
}

/// Returns whether a value passes a comparison. `number` converts a number with a unit, `other` returns the right side.
pub(crate) fn passes<'a>(
    left: &Value,
    test: &'a Test,
    number: &dyn Fn(&BlockValue) -> Option<f64>,
    other: &dyn Fn(&'a Compared) -> Option<Cow<'a, Value>>,
) -> bool {
    match test {
        Test::Number(comparator, right) => {
            let right = other(right).and_then(|right| plain(&right).as_f64());
            left.as_f64().zip(right).is_some_and(|(left, right)| comparator.holds(left, right))
        }
        Test::Range { start, end, inside } => {
            let ends = number(start).zip(number(end));
            left.as_f64().zip(ends).is_some_and(|(left, (start, end))| (start..=end).contains(&left) == *inside)
        }
        Test::Text(comparator, right) => {
            let right = other(right);
            let right = right.as_deref().and_then(Value::as_str);
            left.as_str().zip(right).is_some_and(|(left, right)| ordered(comparator, left.cmp(right)))
        }
        Test::TextOperation(operation, right) => {
            other(right).zip(left.as_str()).is_some_and(|(right, left)| examines(operation, left, plain(&right)))
        }
        Test::In { values, inside } => {
            let values = other(values);
            let values = values.as_deref().and_then(Value::as_array);
            values.is_some_and(|values| values.iter().any(|value| same(value, left)) == *inside)
        }
        Test::Value(comparator, right) => other(right).is_some_and(|right| compares(comparator, left, plain(&right))),
        _ => false,
    }
}

/// Compares values as users expect: 1 equals 1.0, and the state of a button equals the whole press.
pub(crate) fn same(wanted: &Value, value: &Value) -> bool {
    match (wanted, value) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(state), Value::Object(press)) => {
            press.get("button_state").and_then(Value::as_str) == Some(state)
        }
        (wanted, value) => wanted == value,
    }
}

/// Returns whether an element of a dictionary was changed by an operation: `added`, `updated` or `removed`.
pub(crate) fn matches_dictionary_change(operation: &str, before: Option<&Value>, after: Option<&Value>) -> bool {
    match (before, after) {
        (None, Some(_)) => operation == "added",
        (Some(_), None) => operation == "removed",
        (Some(before), Some(after)) => operation == "updated" && before != after,
        (None, None) => false,
    }
}

fn compares(comparator: &Comparator, left: &Value, right: &Value) -> bool {
    match comparator {
        Comparator::Equal => same(right, left),
        Comparator::NotEqual => !same(right, left),
        _ => match (left.as_f64().zip(right.as_f64()), left.as_str().zip(right.as_str())) {
            (Some((left, right)), _) => comparator.holds(left, right),
            (_, Some((left, right))) => ordered(comparator, left.cmp(right)),
            _ => false,
        },
    }
}

fn ordered(comparator: &Comparator, order: Ordering) -> bool {
    match comparator {
        Comparator::Equal => order.is_eq(),
        Comparator::NotEqual => order.is_ne(),
        Comparator::Greater => order.is_gt(),
        Comparator::GreaterOrEqual => order.is_ge(),
        Comparator::Less => order.is_lt(),
        Comparator::LessOrEqual => order.is_le(),
        _ => false,
    }
}

fn examines(operation: &StringOperation, left: &str, right: &Value) -> bool {
    let text = || right.as_str();
    let has_length = || right.as_u64().is_some_and(|length| left.chars().count() as u64 == length);
    match operation {
        StringOperation::Begin => text().is_some_and(|text| left.starts_with(text)),
        StringOperation::NotBegin => text().is_some_and(|text| !left.starts_with(text)),
        StringOperation::End => text().is_some_and(|text| left.ends_with(text)),
        StringOperation::NotEnd => text().is_some_and(|text| !left.ends_with(text)),
        StringOperation::Contain => text().is_some_and(|text| left.contains(text)),
        StringOperation::NotContain => text().is_some_and(|text| !left.contains(text)),
        StringOperation::Length => has_length(),
        StringOperation::NotLength => right.is_u64() && !has_length(),
        _ => false,
    }
}
