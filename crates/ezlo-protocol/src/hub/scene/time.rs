//! The three time formats of scenes (guide20:p165-167).

use std::fmt;
use std::str::FromStr;

/// The error of parsing a time of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct TimeError(&'static str);

/// An `interval`: a positive number and the unit `d`, `h`, `m` or `s`, such as `10s`.
///
/// ```
/// use ezlo_protocol::hub::scene::Interval;
/// assert_eq!("2h".parse::<Interval>().unwrap().seconds(), 7200);
/// assert!("0s".parse::<Interval>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    count: u32,
    unit: char,
}

/// Length of the units of an interval in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

impl Interval {
    /// Creates an interval in seconds, written with the unit `s`. Zero is not rejected here, but it is invalid in a scene.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self { count: seconds, unit: 's' }
    }

    /// Returns the length in seconds.
    pub fn seconds(self) -> u64 {
        let unit = UNITS.iter().find(|(unit, _)| *unit == self.unit).map_or(1, |(_, seconds)| *seconds);
        u64::from(self.count).saturating_mul(unit)
    }
}

impl FromStr for Interval {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        const WRONG: TimeError = TimeError("an interval such as \"10s\", \"5m\", \"2h\" or \"1d\"");
        let unit = text.chars().last().filter(|last| UNITS.iter().any(|(unit, _)| unit == last)).ok_or(WRONG)?;
        let count = number(&text[..text.len() - 1]).filter(|count| *count > 0).ok_or(WRONG)?;
        Ok(Self { count, unit })
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit)
    }
}

/// An `hms_interval`: `hh:mm:ss`, `mm:ss` or `ss`. Hours can exceed 23, and `10:30` is ten *minutes* and thirty seconds.
///
/// ```
/// use ezlo_protocol::hub::scene::HmsInterval;
/// assert_eq!("24:10:30".parse::<HmsInterval>().unwrap().seconds(), 87_030);
/// assert_eq!("10:30".parse::<HmsInterval>().unwrap().seconds(), 630);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HmsInterval(u32);

impl HmsInterval {
    /// Creates an interval in seconds.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Returns the length in seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl FromStr for HmsInterval {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        const WRONG: TimeError = TimeError("an interval such as \"01:30:00\", \"10:30\" (minutes) or \"30\"");
        let parts: Vec<u32> = text.split(':').map(number).collect::<Option<_>>().ok_or(WRONG)?;
        let (hours, minutes, seconds) = match parts[..] {
            [seconds] => (0, 0, seconds),
            [minutes, seconds] if seconds < 60 => (0, minutes, seconds),
            [hours, minutes, seconds] if minutes < 60 && seconds < 60 => (hours, minutes, seconds),
            _ => return Err(WRONG),
        };
        let total = hours.checked_mul(3600).and_then(|sum| sum.checked_add(minutes.checked_mul(60)?));
        total.and_then(|sum| sum.checked_add(seconds)).map(Self).ok_or(WRONG)
    }
}

impl fmt::Display for HmsInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60, self.0 % 60)
    }
}

/// A `24_hours_time`: `hh:mm`. The guide allows minutes up to 60 (guide20:p165); this type allows 59.
///
/// ```
/// use ezlo_protocol::hub::scene::TimeOfDay;
/// assert_eq!("07:30".parse::<TimeOfDay>().unwrap().minute_of_day(), 450);
/// assert!("24:00".parse::<TimeOfDay>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Returns the minutes since midnight.
    pub const fn minute_of_day(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        const WRONG: TimeError = TimeError("a time of day such as \"07:30\"");
        let (hours, minutes) = text.split_once(':').ok_or(WRONG)?;
        match (number(hours), number(minutes)) {
            (Some(hours @ 0..24), Some(minutes @ 0..60)) => {
                Ok(Self(u16::try_from(hours * 60 + minutes).map_err(|_| WRONG)?))
            }
            _ => Err(WRONG),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Parses a number of digits only. The `parse` of the standard library also accepts a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

open_enum! {
    /// The kind of an `isDate` condition.
    DateKind {
        /// At the times of every day.
        Daily = "daily",
        /// At the times of some weekdays.
        Weekly = "weekly",
        /// At the times of some days of the month.
        Monthly = "monthly",
        /// At the times of some weekdays, in some weeks of the month.
        Weeks = "weeks",
        /// At the times of some weekdays, in some weeks of the year.
        YearWeeks = "yearWeeks",
    }
}

/// The times and days of an `isDate` condition, in the time zone of the hub.
///
/// An empty list of days or weeks means all of them. Without times, the condition holds during the whole day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateRule {
    /// Kind of the rule. It decides which lists apply.
    pub kind: DateKind,
    /// Times of the day.
    pub times: Vec<TimeOfDay>,
    /// Days of the week, 1 = Monday.
    pub weekdays: Vec<i64>,
    /// Days of the month, 1 to 31.
    pub days: Vec<i64>,
    /// Weeks of the month (1 to 5) or of the year (1 to 53). The value -1 is the last one.
    pub weeks: Vec<i64>,
}

impl DateRule {
    /// Creates a rule for every day.
    pub fn daily(times: impl IntoIterator<Item = TimeOfDay>) -> Self {
        Self {
            kind: DateKind::Daily,
            times: times.into_iter().collect(),
            weekdays: Vec::new(),
            days: Vec::new(),
            weeks: Vec::new(),
        }
    }

    /// Creates a rule for days of the week, 1 = Monday.
    pub fn weekly(weekdays: impl IntoIterator<Item = i64>, times: impl IntoIterator<Item = TimeOfDay>) -> Self {
        Self { kind: DateKind::Weekly, weekdays: weekdays.into_iter().collect(), ..Self::daily(times) }
    }

    /// Creates a rule for days of the month.
    pub fn monthly(days: impl IntoIterator<Item = i64>, times: impl IntoIterator<Item = TimeOfDay>) -> Self {
        Self { kind: DateKind::Monthly, days: days.into_iter().collect(), ..Self::daily(times) }
    }

    /// Creates a rule for weekdays (1 = Monday) of weeks of the month (1 to 5, -1 is the last).
    pub fn weeks(
        weeks: impl IntoIterator<Item = i64>,
        weekdays: impl IntoIterator<Item = i64>,
        times: impl IntoIterator<Item = TimeOfDay>,
    ) -> Self {
        Self { kind: DateKind::Weeks, weeks: weeks.into_iter().collect(), ..Self::weekly(weekdays, times) }
    }
}

/// A limit of an `isDateRange` condition. Absent parts do not restrict it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DateLimit {
    /// Time of day.
    pub time: Option<TimeOfDay>,
    /// Day of the month, 1 to 31.
    pub day: Option<i8>,
    /// Month, 1 to 12.
    pub month: Option<i8>,
    /// Year.
    pub year: Option<i16>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn invalid_times_are_refused() {
        for text in ["", "s", "10", "10x", "-1s", "+1s", "1.5h", "0m", "99999999999s", "1é"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
        for text in ["", ":", "1:2:3:4", "10:60", "1:60:00", "-1", "99999999999"] {
            assert!(text.parse::<HmsInterval>().is_err(), "{text}");
        }
        for text in ["", "7", "24:00", "12:60", "12:00:00", "+1:00"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn times_round_trip(seconds in 1..u32::MAX, minute in 0..1440_u16) {
            let interval = Interval::from_seconds(seconds);
            prop_assert_eq!(interval.to_string().parse(), Ok(interval));
            let hms = HmsInterval::from_seconds(seconds);
            prop_assert_eq!(hms.to_string().parse(), Ok(hms));
            prop_assert_eq!(TimeOfDay(minute).to_string().parse(), Ok(TimeOfDay(minute)));
        }
    }
}
