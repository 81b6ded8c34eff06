//! Checks of values. Clients use them before a write, and the simulated hub uses them before a reply.

use regex_lite::RegexBuilder;
use serde_json::Value;

use crate::error::code;
use crate::hub::catalogue::ValueType;
use crate::hub::catalogue::tokens::WeekDays;
use crate::hub::item::Item;
use crate::hub::value::typed::ItemValue;
use crate::hub::value::types::{Shape, ValueError};
use crate::rpc::RpcError;

/// Maximum length of a pattern in bytes. Patterns of real hubs have about a dozen bytes.
const MAX_PATTERN: usize = 1024;
/// Maximum memory of a compiled pattern, in bytes.
const PATTERN_MEMORY: usize = 256 * 1024;

/// Returns the error of a hub for a value that an item does not accept.
///
/// The error codes of real hubs for invalid values are not public. The codes used here are the nearest entries of the vendor's
/// lists (inferred).
pub fn refusal(item: &Item, error: ValueError) -> RpcError {
    match error {
        ValueError::OutOfRange | ValueError::Indent => {
            let data = format!("rpc.params.range.invalid.{}", item.name.as_deref().unwrap_or_default());
            RpcError::new(code::INVALID_PARAMS, &data, "Value is not in valid range")
        }
        ValueError::Scale => RpcError::known("rpc.params.scale.invalid"),
        _ => RpcError::known("rpc.params.invalid"),
    }
}

/// Returns `true` if a lock code is a mask: hubs send stars for codes that a lock does not disclose.
pub fn is_masked_code(code: &Value) -> bool {
    code.as_str().is_some_and(|code| !code.is_empty() && code.bytes().all(|byte| byte == b'*'))
}

impl Item {
    /// Checks whether a client may write a value.
    ///
    /// A type whose shape is not published accepts every value except null, within the limits of the item.
    ///
    /// # Errors
    ///
    /// [`ValueError::NoSetter`] if `hasSetter` is false, otherwise the errors of [`Item::holds`].
    pub fn check(&self, value: &Value) -> Result<(), ValueError> {
        if self.has_setter.get() == Some(&false) {
            return Err(ValueError::NoSetter);
        }
        self.holds(value)
    }

    /// Checks a value against the type, tokens, limits and patterns of the item. The item needs no setter.
    ///
    /// # Errors
    ///
    /// - [`ValueError::WrongType`] if the value is null or does not have the shape of the type.
    /// - [`ValueError::UnknownToken`], [`ValueError::Pattern`] or [`ValueError::TooMany`] if it breaks a rule of the item.
    /// - [`ValueError::OutOfRange`] if a number is below the minimum or above the maximum.
    pub fn holds(&self, value: &Value) -> Result<(), ValueError> {
        let kind = self.value_type.get();
        if value.is_null() {
            return Err(ValueError::WrongType);
        }
        if let Some(kind) = kind.filter(|kind| kind.shape() != Shape::Unknown) {
            let typed = ItemValue::read(kind, self.element_type.as_deref(), value)?;
            self.check_typed(&typed)?;
        }
        self.check_range(value)
    }

    /// Checks a new element of a dictionary or array item. Without an `elementType` every element is accepted.
    ///
    /// # Errors
    ///
    /// - [`ValueError::WrongType`] if the element does not have the shape of the element type.
    /// - [`ValueError::UnknownToken`], [`ValueError::Pattern`] or [`ValueError::TooMany`] if it breaks a rule of the item.
    pub fn holds_element(&self, element: &Value) -> Result<(), ValueError> {
        let Some(kind) = self.element_type.as_deref() else { return Ok(()) };
        let typed = ItemValue::read_element(kind, element)?;
        self.check_typed(&typed)
    }

    /// Checks the minimum distance to the item that `valueIndent` names, such as the other setpoint of a thermostat.
    ///
    /// `other` returns the current and the future value of that item. The item with the lower current value must stay below the
    /// other one (inferred; no source states the order). If a number is missing, nothing is checked.
    ///
    /// # Errors
    ///
    /// [`ValueError::Indent`] if the distance is below `minIndent`.
    pub fn check_indent(
        &self,
        value: &Value,
        other: impl FnOnce(&str) -> Option<(f64, f64)>,
    ) -> Result<(), ValueError> {
        let Some(indent) = self.value_indent.get() else { return Ok(()) };
        let least = indent["minIndent"].as_f64().or_else(|| indent["minIndent"]["value"].as_f64());
        let other = indent["item"].as_str().and_then(other);
        let (Some(value), Some(least), Some((is, will_be))) = (value.as_f64(), least, other) else { return Ok(()) };
        let distance = match self.value.get().and_then(Value::as_f64) {
            Some(now) if now <= is => will_be - value,
            Some(_) => value - will_be,
            None => (value - will_be).abs(),
        };
        if distance < least { Err(ValueError::Indent) } else { Ok(()) }
    }

    fn check_typed(&self, typed: &ItemValue) -> Result<(), ValueError> {
        let listed = |token: &str| match self.tokens.get() {
            Some(tokens) if !tokens.iter().any(|known| known == token) => Err(ValueError::UnknownToken),
            _ => Ok(()),
        };
        match typed {
            ItemValue::Token(token) => listed(token),
            ItemValue::Text(text) => matches_pattern(self.string_restriction.as_deref(), text),
            ItemValue::Button(press) => listed(press.state.as_deref().unwrap_or_default()),
            ItemValue::UserCode(code) => {
                if let (Some(modes), Some(mode)) = (self.user_code_modes.get(), code.mode.as_deref())
                    && !modes.iter().any(|known| known == mode)
                {
                    return Err(ValueError::UnknownToken);
                }
                matches_pattern(self.user_code_restriction.as_deref(), &code.code)
            }
            ItemValue::Weekly(interval) => {
                let days = interval.week_days.get().into_iter().flatten();
                let named = days.clone().all(|day| WeekDays::from(day.as_str()).is_known());
                let times = [&interval.start, &interval.stop];
                let timed = times.iter().all(|time| time.as_deref().is_some_and(is_time));
                if named && timed { Ok(()) } else { Err(ValueError::WrongType) }
            }
            ItemValue::Daily(interval) => {
                let good = |text: &str| text.split_once('T').is_some_and(|(date, time)| is_date(date) && is_time(time));
                let times = [&interval.start, &interval.stop];
                let timed = times.iter().all(|time| time.as_deref().is_some_and(good));
                if timed { Ok(()) } else { Err(ValueError::WrongType) }
            }
            ItemValue::Dictionary(elements) => {
                self.check_number(elements.len())?;
                elements.iter().try_for_each(|(_, element)| self.check_typed(element))
            }
            ItemValue::Array(elements) => {
                self.check_number(elements.len())?;
                elements.iter().try_for_each(|element| self.check_typed(element))
            }
            _ => Ok(()),
        }
    }

    fn check_number(&self, elements: usize) -> Result<(), ValueError> {
        let most = self.elements_max_number.get().and_then(|most| usize::try_from(*most).ok());
        if most.is_some_and(|most| elements > most) { Err(ValueError::TooMany) } else { Ok(()) }
    }

    fn check_range(&self, value: &Value) -> Result<(), ValueError> {
        let Some(number) = value.as_f64().filter(|_| self.value_type.get() != Some(&ValueType::Bool)) else {
            return Ok(());
        };
        let low = self.minimum().is_some_and(|minimum| number < minimum);
        let high = self.maximum().is_some_and(|maximum| number > maximum);
        if low || high { Err(ValueError::OutOfRange) } else { Ok(()) }
    }
}

/// Returns `true` if the text consists of numbers with the given lengths, minimums and maximums.
fn are_numbers(text: &str, separator: char, parts: &[(usize, u32, u32)]) -> bool {
    let fits = |(part, (length, least, most)): (&str, &(usize, u32, u32))| {
        part.len() == *length && part.parse::<u32>().is_ok_and(|number| (*least..=*most).contains(&number))
    };
    text.split(separator).count() == parts.len() && text.split(separator).zip(parts).all(fits)
}

/// Returns `true` for `HH:MM:SS`.
fn is_time(text: &str) -> bool {
    are_numbers(text, ':', &[(2, 0, 23), (2, 0, 59), (2, 0, 59)])
}

/// Returns `true` for `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    are_numbers(text, '-', &[(4, 0, 9999), (2, 1, 12), (2, 1, 31)])
}

/// Checks a text against a pattern. A pattern that is too long or not supported by the engine is ignored; the hub checks it.
fn matches_pattern(pattern: Option<&str>, text: &str) -> Result<(), ValueError> {
    let pattern = pattern.filter(|pattern| pattern.len() <= MAX_PATTERN);
    let engine = pattern.and_then(|pattern| RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY).build().ok());
    match engine {
        Some(engine) if !engine.is_match(text) => Err(ValueError::Pattern),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use serde_json::json;

    fn item(json: Value) -> Item {
        wire::from_value(&json).unwrap()
    }

    #[test]
    fn user_codes_are_checked_for_pattern_mode_and_number() {
        let codes = item(json!({
            "_id": "a", "valueType": "dictionary", "elementType": "userCode", "elementsMaxNumber": 2,
            "userCodeRestriction": r"^\d{4,10}$", "userCodeModes": ["enabled"],
        }));
        let element = |code: &str, mode: &str| json!({"code": code, "name": "n", "mode": mode});
        assert_eq!(codes.holds_element(&element("1234", "enabled")), Ok(()));
        assert_eq!(codes.holds_element(&element("123", "enabled")), Err(ValueError::Pattern));
        assert_eq!(codes.holds_element(&element("1234", "passage")), Err(ValueError::UnknownToken));
        assert_eq!(codes.holds_element(&json!({"name": "n"})), Err(ValueError::WrongType));
        let many: Value = (0..3).map(|key| (key.to_string(), element("1234", "enabled"))).collect();
        assert_eq!(codes.holds(&many), Err(ValueError::TooMany));
    }

    #[test]
    fn setpoints_have_a_minimum_distance() {
        let heating =
            item(json!({"_id": "h", "valueType": "temperature", "valueIndent": {"item": "c", "minIndent": 2}}));
        let other = |id: &str| (id == "c").then_some((24.0, 24.0));
        assert_eq!(heating.check_indent(&json!(22), other), Ok(()));
        assert_eq!(heating.check_indent(&json!(22.5), other), Err(ValueError::Indent));
        assert_eq!(heating.check_indent(&json!(23), |_| None), Ok(()));
    }

    #[test]
    fn unsupported_patterns_refuse_nothing() {
        for pattern in ["(", r"(a{1000}){1000}", &"a".repeat(2000)] {
            let text = item(json!({"_id": "a", "valueType": "string", "stringRestriction": pattern}));
            assert_eq!(text.check(&json!("x")), Ok(()), "{}", pattern.len());
        }
    }

    #[test]
    fn bad_values_are_refused_with_codes_of_the_vendor() {
        let button =
            item(json!({"_id": "b", "valueType": "button_state", "enum": ["released"], "name": "button_state"}));
        assert_eq!(button.holds(&json!({"button_number": 1, "button_state": "released"})), Ok(()));
        let wrong = button.holds(&json!({"button_number": 1, "button_state": "held_down"})).unwrap_err();
        assert_eq!((wrong, refusal(&button, wrong).data()), (ValueError::UnknownToken, "rpc.params.invalid"));
        assert_eq!(refusal(&button, ValueError::OutOfRange).data(), "rpc.params.range.invalid.button_state");
        assert_eq!(refusal(&button, ValueError::Scale).data(), "rpc.params.scale.invalid");
    }
}
