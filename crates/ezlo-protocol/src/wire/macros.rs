/// Declares a wire document: a struct that distinguishes absent members from `null` and preserves unknown members.
///
/// A member of type `Field<T>` is optional, every other member is required. The serde traits are implemented here, because a
/// derived implementation with `flatten` buffers all members of the document.
macro_rules! wire {
    // The `Debug` output of the document is written by hand, because it can hold secrets.
    (masked $($document:tt)*) => { wire! { @document [Clone, Default, PartialEq] $($document)* } };
    (@document [$($derived:ident),*] $(#[$meta:meta])* $name:ident {
        $( $(#[$field_meta:meta])* $field:ident : $type:ty = $key:literal ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive($($derived),*)]
        #[allow(unreachable_pub, reason = "some documents are for one module only")]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
            /// Members that this type does not name, unchanged.
            pub extra: $crate::wire::Extra,
        }

        impl $crate::wire::Document for $name {
            const MEMBERS: &'static [&'static str] = &[$($key),*];
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                #[allow(unused_imports, reason = "used only where a member is not a Field")]
                use $crate::wire::AlwaysPresent as _;
                let mut map = serializer.serialize_map(None)?;
                $( if !$crate::wire::Probe(&self.$field).absent() { map.serialize_entry($key, &self.$field)?; } )*
                for (name, value) in self.extra.iter() { map.serialize_entry(name, value)?; }
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct DocumentVisitor;
                impl<'de> serde::de::Visitor<'de> for DocumentVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a JSON object (", stringify!($name), ")"))
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        $( let mut $field: Option<$type> = None; )*
                        let mut extra = $crate::wire::Extra::default();
                        while let Some($crate::wire::Key(key)) = map.next_key()? {
                            match &*key {
                                $( $key => $field = Some(map.next_value()?), )*
                                _ => { let value = map.next_value()?; extra.insert(key, value); }
                            }
                        }
                        $( let $field = match $field {
                            Some(value) => value,
                            None => $crate::wire::missing($key)?,
                        }; )*
                        Ok($name { $( $field, )* extra })
                    }
                }
                deserializer.deserialize_map(DocumentVisitor)
            }
        }
    };
    ($($document:tt)*) => { wire! { @document [Debug, Clone, Default, PartialEq] $($document)* } };
}

/// Declares an enumeration of wire tokens that preserves unknown tokens.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $token:literal ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$variant_meta])* #[doc = concat!("Wire token: `", $token, "`.")] $variant, )*
            /// A token that this version does not define, unchanged.
            Unknown(Box<str>),
        }

        impl $name {
            /// All tokens that this version defines.
            pub const TOKENS: &'static [&'static str] = &[$($token),*];

            /// Returns the token as it is on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $token, )*
                    Self::Unknown(token) => token,
                }
            }

            /// Returns `true` if this version defines the token.
            pub const fn is_known(&self) -> bool {
                !matches!(self, Self::Unknown(_))
            }
        }

        impl From<&str> for $name {
            fn from(token: &str) -> Self {
                match token {
                    $( $token => Self::$variant, )*
                    other => Self::Unknown(other.into()),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::from("")
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $crate::wire::Key(token) = serde::Deserialize::deserialize(deserializer)?;
                Ok(Self::from(&*token))
            }
        }
    };
}

/// Declares an opaque identifier: text whose form differs between firmware families and has no meaning for a client.
macro_rules! opaque_id {
    ($( $(#[$meta:meta])* $name:ident ),* $(,)?) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Returns the identifier as it is on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<String>> From<T> for $name {
            fn from(id: T) -> Self {
                Self(id.into())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )* };
}
