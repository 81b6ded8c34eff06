//! Ranges of consecutive hub serials.

use ezlo_protocol::serial::Serial;

/// A range of consecutive serials, stored as two numbers.
///
/// No serial of a range begins with 0, so that each number has exactly one notation.
#[derive(Debug, Clone, Copy)]
pub struct SerialRange {
    first: u64,
    count: u32,
}

impl SerialRange {
    /// Creates the range of `count` serials from `first` on.
    ///
    /// Returns `None` if `count` is less than 2 or `first` begins with 0.
    pub fn from(first: &Serial, count: u32) -> Option<Self> {
        let number = plain_number(first).filter(|_| count > 1)?;
        Some(Self { first: number, count })
    }

    /// Returns the first serial as a number.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Returns the number of serials.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Returns the 0-based position of a serial in the range, or `None` if it is outside.
    pub fn number(&self, serial: &Serial) -> Option<u32> {
        let number = plain_number(serial)?.checked_sub(self.first)?;
        u32::try_from(number).ok().filter(|number| *number < self.count)
    }

    /// Returns up to `most` serials of the range that are greater than `after`, in ascending order.
    ///
    /// Begins with the first serial of the range if `after` is `None`.
    pub fn after(self, after: Option<&Serial>, most: usize) -> impl Iterator<Item = Serial> {
        let after = after.and_then(|serial| serial.as_str().parse::<u64>().ok());
        let skipped = after.map_or(0, |after| (after + 1).saturating_sub(self.first));
        (skipped..u64::from(self.count)).take(most).filter_map(move |n| (self.first + n).to_string().parse().ok())
    }
}

/// Returns a serial as a number, or `None` if it begins with 0: 007 and 7 are different serials.
pub fn plain_number(serial: &Serial) -> Option<u64> {
    serial.as_str().parse().ok().filter(|_| !serial.as_str().starts_with('0'))
}
