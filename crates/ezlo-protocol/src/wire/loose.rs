use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A whole number that some documents send as a JSON number and others as text. It is serialised in the received form.
///
/// The same serial is `"90000001"` in the account's hub list, and `90000001` in the locator and in EzloPi's `hub.info.get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loose<T> {
    value: T,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Number,
    /// The text as received, because `"007"` and `"7"` differ on the wire.
    Text(Box<str>),
}

impl<T> Loose<T> {
    /// Creates a value that is serialised as a JSON number.
    pub const fn number(value: T) -> Self {
        Self { value, form: Form::Number }
    }

    /// Returns the value.
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// Converts into the value.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns `true` if the value is a JSON number on the wire, and `false` if it is text.
    pub const fn is_number(&self) -> bool {
        matches!(self.form, Form::Number)
    }
}

impl<T: fmt::Display> Loose<T> {
    /// Creates a value that is serialised as JSON text.
    pub fn text(value: T) -> Self {
        let form = Form::Text(value.to_string().into());
        Self { value, form }
    }
}

impl<T: Default + fmt::Display> Default for Loose<T> {
    fn default() -> Self {
        Self::text(T::default())
    }
}

impl<T: fmt::Display> fmt::Display for Loose<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Display> Serialize for Loose<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.form {
            Form::Text(text) => serializer.serialize_str(text),
            Form::Number => {
                let text = self.value.to_string();
                match (text.parse::<u64>(), text.parse::<i64>()) {
                    (Ok(number), _) => serializer.serialize_u64(number),
                    (_, Ok(number)) => serializer.serialize_i64(number),
                    _ => serializer.serialize_str(&text),
                }
            }
        }
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseVisitor<T>(PhantomData<T>);

        impl<T: FromStr> LooseVisitor<T> {
            fn parse<E: de::Error>(text: &str, form: Form) -> Result<Loose<T>, E> {
                let value = text.parse().map_err(|_| E::custom("expected a whole number, as a number or as text"))?;
                Ok(Loose { value, form })
            }
        }

        impl<T: FromStr> Visitor<'_> for LooseVisitor<T> {
            type Value = Loose<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, as a number or as text")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Self::parse(&number.to_string(), Form::Number)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Self::parse(&number.to_string(), Form::Number)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Self::parse(text, Form::Text(text.into()))
            }
        }
        deserializer.deserialize_any(LooseVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_round_trip_in_their_form() {
        for text in ["7", "\"7\"", "\"007\"", "-3", "\"-3\""] {
            let loose: Loose<i64> = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&loose).unwrap(), text);
        }
        assert!(serde_json::from_str::<Loose<u64>>("\"x\"").is_err());
        assert!(serde_json::from_str::<Loose<u64>>("1.5").is_err());
    }
}
