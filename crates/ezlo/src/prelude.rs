//! The common types in one import: `use ezlo::prelude::*;`

pub use crate::protocol::hub::value::Scale;
pub use crate::protocol::serial::Serial;
pub use crate::{
    Account, Change, Credentials, Device, Environment, Error, Hub, HubEvent, InclusionStep, ItemHandle, MomentaryEvent,
};
