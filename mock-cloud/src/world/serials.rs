//! Serials that count up: many hubs as two numbers.

use ezlo_protocol::serial::Serial;

/// Serials that count up from one. None of them begins with 0, so that each has one way to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serials {
    first: u64,
    count: u32,
}

impl Serials {
    /// So many from that one on; `None` when that is one alone.
    pub(crate) fn from(first: &Serial, count: u32) -> Option<Self> {
        let number = plain(first).filter(|_| count > 1)?;
        Some(Self { first: number, count })
    }

    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Which of them that is, counted from 0.
    pub(crate) fn number(&self, serial: &Serial) -> Option<u32> {
        let number = plain(serial)?.checked_sub(self.first)?;
        u32::try_from(number).ok().filter(|number| *number < self.count)
    }

    /// The first ones after that one.
    pub(crate) fn after(self, after: Option<&Serial>, most: usize) -> impl Iterator<Item = Serial> {
        let after = after.and_then(|serial| serial.as_str().parse::<u64>().ok());
        let skipped = after.map_or(0, |after| (after + 1).saturating_sub(self.first));
        (skipped..u64::from(self.count)).take(most).filter_map(move |n| (self.first + n).to_string().parse().ok())
    }
}

/// The number that a serial is; `None` for one that begins with 0, for 007 is not 7.
pub(crate) fn plain(serial: &Serial) -> Option<u64> {
    serial.as_str().parse().ok().filter(|_| !serial.as_str().starts_with('0'))
}
