//! Rooms. The method for all rooms is `hub.room.list`, not `hub.rooms.list`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::RoomId;
use crate::wire::Field;

wire! {
    /// A room.
    Room {
        /// Id of the room.
        id: RoomId = "_id",
        /// Name, at most 30 characters.
        name: Field<String> = "name",
    }
}

/// Result of `hub.room.list`: an array of rooms in order, or `{}` from EzloPi if there are none (captures).
#[derive(Debug, Clone, PartialEq)]
pub enum RoomList {
    /// Rooms in order.
    Rooms(Vec<Room>),
    /// The empty object of EzloPi, which means no rooms.
    EmptyObject,
}

impl RoomList {
    /// Returns the rooms.
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
        /// Name. The hub truncates it to 30 characters.
        name: String = "name",
    }
}

wire! {
    /// Result of `hub.room.create`. EzloPi returns the parameters instead of an id.
    RoomCreated {
        /// Id of the new room.
        id: Field<RoomId> = "_id",
        /// Name in the parameters; EzloPi.
        name: Field<String> = "name",
    }
}

wire! {
    /// A reference to a room.
    RoomRef {
        /// Id of the room.
        id: RoomId = "_id",
    }
}

wire! {
    /// Parameters of `hub.room.order.set` and content of `hub.room.reordered`.
    RoomOrder {
        /// All rooms in the new order.
        rooms: Field<Vec<RoomId>> = "roomsId",
    }
}
