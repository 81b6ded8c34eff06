//! Items whose values are secrets.

use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::value::ValueType;

/// Returns whether the value of an item contains codes of a lock or a keypad, by its name or the type of its elements.
///
/// Tokens and Booleans only report about codes, such as `user_code_operation`.
pub(crate) fn holds_codes(item: &Item) -> bool {
    let kind = item.value_type.get();
    let is_named = |name: Option<&str>| name.is_some_and(|name| name.to_ascii_lowercase().contains("code"));
    let is_report = matches!(kind, Some(ValueType::Token | ValueType::Bool));
    let is_code = kind == Some(&ValueType::UserCode);
    !is_report && (is_code || is_named(item.name.as_deref()) || is_named(item.element_type.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_recognised_by_name_and_by_type() {
        let item = |name: &str, kind: &str, element: Option<&str>| Item {
            name: name.into(),
            value_type: ValueType::from(kind).into(),
            element_type: element.map(str::to_owned).into(),
            ..Item::default()
        };
        assert!(holds_codes(&item("pins", "dictionary", Some("userCode"))));
        assert!(holds_codes(&item("master_code", "int", None)));
        assert!(!holds_codes(&item("user_code_operation", "token", None)));
        assert!(!holds_codes(&item("dimmer", "int", None)));
    }
}
