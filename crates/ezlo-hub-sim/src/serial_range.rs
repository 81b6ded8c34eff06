//! SerialRange that count up: many hubs as two numbers.

use ezlo_protocol::serial::Serial;

/// SerialRange that count up from one. None of them begins with 0, so that each has one way to be written.
#[derive(Debug, Clone, Copy)]
pub struct SerialRange {
    first: u64,
    count: u32,
}

impl SerialRange {
    /// So many from that one on; `None` when that is one alone.
    pub fn from(first: &Serial, count: u32) -> Option<Self> {
        let number = plain_number(first).filter(|_| count > 1)?;
        Some(Self { first: number, count })
    }

    pub const fn first(&self) -> u64 {
        self.first
    }

    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Which of them that is, counted from 0.
    pub fn number(&self, serial: &Serial) -> Option<u32> {
        let number = plain_number(serial)?.checked_sub(self.first)?;
        u32::try_from(number).ok().filter(|number| *number < self.count)
    }

    /// The first ones after that one.
    pub fn after(self, after: Option<&Serial>, most: usize) -> impl Iterator<Item = Serial> {
        let after = after.and_then(|serial| serial.as_str().parse::<u64>().ok());
        let skipped = after.map_or(0, |after| (after + 1).saturating_sub(self.first));
        (skipped..u64::from(self.count)).take(most).filter_map(move |n| (self.first + n).to_string().parse().ok())
    }
}

/// The number that a serial is; `None` for one that begins with 0, for 007 is not 7.
pub fn plain_number(serial: &Serial) -> Option<u64> {
    serial.as_str().parse().ok().filter(|_| !serial.as_str().starts_with('0'))
}
