//! Values of items and settings: types, units, text form and the rules for writes.

mod check;
mod scale;
mod typed;
mod types;

pub use super::catalogue::{Scale, ValueType};
pub use check::{is_masked_code, refusal};
pub use scale::{Dimension, SCALES, ScaleSpec};
pub use typed::{
    ButtonPress, CameraStream, DailyInterval, ItemValue, Measure, Rgb, SoundInfo, UserCode, UserLockOperation,
    WeeklyInterval,
};
pub use types::{Shape, TypedValue, ValueError};
