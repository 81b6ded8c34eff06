//! Rooms. The method is `hub.room.list`, not `hub.rooms.list`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::RoomId;
use crate::wire::Field;

wire! {
    /// A room.
    Room {
        /// Its id.
        id: RoomId = "_id",
        /// Its name, at most 30 characters.
        name: Field<String> = "name",
    }
}

/// Result of `hub.room.list`: a bare array, in order; EzloPi answers `{}` when there are none.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomList {
    /// The rooms.
    Rooms(Vec<Room>),
    /// EzloPi's way to say none.
    EmptyObject,
}

impl RoomList {
    /// The rooms.
    pub fn rooms(&self) -> &[Room] {
        match self {
            Self::Rooms(rooms) => rooms,
            Self::EmptyObject => &[],
        }
    }
}

impl Serialize for RoomList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Rooms(rooms) => rooms.serialize(serializer),
            Self::EmptyObject => serializer.collect_map::<&str, u8, _>([]),
        }
    }
}

impl<'de> Deserialize<'de> for RoomList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(members) if members.is_empty() => Ok(Self::EmptyObject),
            rooms => Vec::deserialize(rooms).map(Self::Rooms).map_err(|_| {
                serde::de::Error::custom("expected an array of rooms, each with a text `_id`, or an empty object")
            }),
        }
    }
}

wire! {
    /// Parameters of `hub.room.create`.
    RoomCreate {
        /// Its name; longer than 30 characters is cut.
        name: String = "name",
    }
}

wire! {
    /// Result of `hub.room.create`: the new id, or on EzloPi the parameters again.
    RoomCreated {
        /// The new room.
        id: Field<RoomId> = "_id",
        /// EzloPi's echo.
        name: Field<String> = "name",
    }
}

wire! {
    /// A room by id.
    RoomRef {
        /// The room.
        id: RoomId = "_id",
    }
}

wire! {
    /// Parameters of `hub.room.order.set` and content of `hub.room.reordered`.
    RoomOrder {
        /// All rooms, in the new order.
        rooms: Field<Vec<RoomId>> = "roomsId",
    }
}
