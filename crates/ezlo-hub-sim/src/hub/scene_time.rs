//! Time conditions of scenes: moments such as a time of day, and windows such as a range of dates.
//!
//! The vendor's pages name the members of `isDate`, `isOnce`, `isDateRange` and `isSunState` (d22). Inferred: a week of the month
//! is counted from its first day, a week of the year is that of ISO 8601, the ends of a range include their minute, and a date
//! without times holds during the whole day.

use ezlo_protocol::hub::scene::{Condition, DateKind, DateLimit, DateRule, SunEvent, SunRange, SunTiming, TimeOfDay};
use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::hub::Hub;
use crate::sun;

/// Number of days in which the next moment of a weekly rule is searched: a week and a change of the clocks.
const WEEK: i64 = 9;
/// Number of days in which the next moment of another rule is searched. At its end the search goes on.
const SEARCH_DAYS: i64 = 62;

/// Returns whether a time condition holds for a while, not only at a moment.
pub(crate) fn is_window(condition: &Condition) -> bool {
    match condition {
        Condition::At(rule) => rule.times.is_empty(),
        Condition::Sun { range, .. } => matches!(range, SunRange::After | SunRange::Before),
        Condition::During { .. } => true,
        _ => false,
    }
}

impl Hub {
    fn local(&self, at_ms: i64) -> Option<ZonedDateTime> {
        Some(Timestamp::from_millisecond(at_ms).ok()?.to_zoned_datetime(self.place.zone()))
    }

    /// Returns the Unix milliseconds of a local time.
    fn unix_ms(&self, at: DateTime) -> Option<i64> {
        Some(at.to_zoned_datetime(self.place.zone()).ok()?.timestamp().as_millisecond())
    }

    /// Returns the next time at which a moment is due or a window can begin or end, in Unix milliseconds.
    pub(crate) fn next_time(&self, condition: &Condition, now_ms: i64) -> Option<i64> {
        match condition {
            Condition::Every(interval) => {
                let wait = i64::try_from(interval.seconds()).ok()?.checked_mul(1000)?;
                now_ms.checked_add(wait)
            }
            Condition::At(rule) if rule.times.is_empty() => self.next_midnight(now_ms),
            Condition::At(rule) => self.next_date(rule, now_ms),
            Condition::Once { time, day, month, year } => {
                let at = Date::new(*year, *month, *day).ok()?.to_datetime(civil(*time)?);
                self.unix_ms(at).filter(|at| *at > now_ms)
            }
            Condition::During { start, end } => self.next_limit(start, end, now_ms),
            Condition::Sun { event, timing, offset, range, .. } => {
                let place = &self.place;
                let moment =
                    sun::next_ms(event, signed_ms(timing, offset.seconds()), now_ms, place.latitude, place.longitude);
                match range {
                    SunRange::After | SunRange::Before => moment.into_iter().chain(self.next_midnight(now_ms)).min(),
                    _ => moment,
                }
            }
            _ => None,
        }
    }

    fn next_midnight(&self, now_ms: i64) -> Option<i64> {
        let tomorrow = self.local(now_ms)?.date().checked_add(1.days()).ok()?;
        self.unix_ms(tomorrow.to_datetime(Time::midnight()))
    }

    /// Returns the next time of a rule. If there is none for long, returns a later time, at which the search goes on.
    fn next_date(&self, rule: &DateRule, now_ms: i64) -> Option<i64> {
        let is_weekly = matches!(rule.kind, DateKind::Daily | DateKind::Weekly);
        let days = if is_weekly { WEEK } else { SEARCH_DAYS };
        let today = self.local(now_ms)?.date();
        let due = (0..days).find_map(|ahead| {
            let day = today.checked_add(ahead.days()).ok().filter(|day| includes(rule, *day))?;
            let times = rule.times.iter().filter_map(|time| self.unix_ms(day.to_datetime(civil(*time)?)));
            times.filter(|at| *at > now_ms).min()
        });
        let later = || self.unix_ms(today.checked_add(days.days()).ok()?.to_datetime(Time::midnight()));
        due.or_else(|| if is_weekly { None } else { later() })
    }

    /// Returns the next minute at which a range can begin or end.
    fn next_limit(&self, start: &DateLimit, end: &DateLimit, now_ms: i64) -> Option<i64> {
        let today = self.local(now_ms)?.date();
        let after_end = end.time.and_then(civil).and_then(|time| time.checked_add(1.minute()).ok());
        let times = [start.time.and_then(civil), after_end];
        let due = times.into_iter().flatten().flat_map(|time| {
            [0, 1].into_iter().filter_map(move |ahead| {
                self.unix_ms(today.checked_add(i64::from(ahead).days()).ok()?.to_datetime(time))
            })
        });
        due.filter(|at| *at > now_ms).chain(self.next_midnight(now_ms)).min()
    }

    /// Returns whether the day of a moment fits its condition.
    pub(crate) fn is_on_day(&self, condition: &Condition, now_ms: i64) -> bool {
        let Some(now) = self.local(now_ms) else { return false };
        match condition {
            // The search for a rare day can end at another one.
            Condition::At(rule) => {
                let minute = u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
                let is_time = rule.times.iter().any(|time| time.minute_of_day() == minute);
                includes(rule, now.date()) && (is_time || matches!(rule.kind, DateKind::Daily | DateKind::Weekly))
            }
            Condition::Sun { weekdays, days, .. } => {
                fits(weekdays, weekday(now.date())) && fits(days, now.day().into())
            }
            _ => true,
        }
    }

    /// Returns whether a window includes a time.
    pub(crate) fn is_within(&self, condition: &Condition, at_ms: i64) -> bool {
        let Some(at) = self.local(at_ms) else { return false };
        match condition {
            Condition::At(rule) => includes(rule, at.date()),
            Condition::During { start, end } => is_between(start, end, at.datetime()),
            Condition::Sun { event, timing, offset, weekdays, days, range } => {
                let is_day = fits(weekdays, weekday(at.date())) && fits(days, at.day().into());
                let moment = self.moment_of_day(event, signed_ms(timing, offset.seconds()), at.date());
                is_day
                    && moment.is_some_and(|moment| match range {
                        SunRange::After => at_ms >= moment,
                        SunRange::Before => at_ms < moment,
                        _ => false,
                    })
            }
            _ => false,
        }
    }

    /// Returns the moment of a sun condition on a local day; `None` if the sun does not rise or set on it.
    fn moment_of_day(&self, event: &SunEvent, offset_ms: i64, day: Date) -> Option<i64> {
        let begin = self.unix_ms(day.to_datetime(Time::midnight()))?;
        let end = self.unix_ms(day.checked_add(1.days()).ok()?.to_datetime(Time::midnight()))?;
        sun::next_before(event, offset_ms, begin - 1, end, (self.place.latitude, self.place.longitude))
    }
}

fn signed_ms(timing: &SunTiming, seconds: u32) -> i64 {
    let offset = i64::from(seconds) * 1000;
    match timing {
        SunTiming::Before => -offset,
        SunTiming::After => offset,
        _ => 0,
    }
}

fn civil(time: TimeOfDay) -> Option<Time> {
    let part = |number: u16| i8::try_from(number).ok();
    Time::new(part(time.minute_of_day() / 60)?, part(time.minute_of_day() % 60)?, 0, 0).ok()
}

fn weekday(day: Date) -> i64 {
    day.weekday().to_monday_one_offset().into()
}

/// Returns whether a list contains a number. An empty list contains all.
fn fits(list: &[i64], number: i64) -> bool {
    list.is_empty() || list.contains(&number)
}

/// Returns whether a rule includes a day.
fn includes(rule: &DateRule, day: Date) -> bool {
    let in_week = |week: i64, is_last: bool| fits(&rule.weeks, week) || is_last && rule.weeks.contains(&-1);
    match rule.kind {
        DateKind::Daily => true,
        DateKind::Weekly => fits(&rule.weekdays, weekday(day)),
        DateKind::Monthly => fits(&rule.days, day.day().into()),
        DateKind::Weeks => {
            let week = i64::from(day.day() - 1) / 7 + 1;
            fits(&rule.weekdays, weekday(day)) && in_week(week, day.day() > day.days_in_month() - 7)
        }
        DateKind::YearWeeks => {
            let iso = day.iso_week_date();
            fits(&rule.weekdays, weekday(day)) && in_week(iso.week().into(), iso.week() == iso.weeks_in_year())
        }
        _ => false,
    }
}

/// Returns whether a time is between two limits, in the parts that at least one of them has.
fn is_between(start: &DateLimit, end: &DateLimit, at: DateTime) -> bool {
    let minute = |time: TimeOfDay| i64::from(time.minute_of_day());
    let parts = [
        (start.year.map(i64::from), end.year.map(i64::from), i64::from(at.year())),
        (start.month.map(i64::from), end.month.map(i64::from), i64::from(at.month())),
        (start.day.map(i64::from), end.day.map(i64::from), i64::from(at.day())),
        (start.time.map(minute), end.time.map(minute), i64::from(at.hour()) * 60 + i64::from(at.minute())),
    ];
    let (mut low, mut high, mut now) = (Vec::new(), Vec::new(), Vec::new());
    for (start, end, part) in parts.into_iter().filter(|(start, end, _)| start.is_some() || end.is_some()) {
        low.push(start.unwrap_or(i64::MIN));
        high.push(end.unwrap_or(i64::MAX));
        now.push(part);
    }
    if low <= high { low <= now && now <= high } else { low <= now || now <= high }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn noon() -> [TimeOfDay; 1] {
        ["12:00".parse().unwrap()]
    }

    #[test]
    fn rules_include_their_days() {
        // 30 November 2026 is a Monday.
        assert!(includes(&DateRule::weekly([1], noon()), day("2026-11-30")));
        assert!(!includes(&DateRule::weekly([2, 7], noon()), day("2026-11-30")));
        assert!(includes(&DateRule::monthly([30], noon()), day("2026-11-30")));
        assert!(!includes(&DateRule::monthly([31], noon()), day("2026-11-30")));
        assert!(includes(&DateRule::weeks([5], [1], noon()), day("2026-11-30")));
        assert!(includes(&DateRule::weeks([-1], [1], noon()), day("2026-11-30")));
        assert!(!includes(&DateRule::weeks([-1], [1], noon()), day("2026-11-23")));
        let year =
            |weeks: &[i64]| DateRule { kind: DateKind::YearWeeks, ..DateRule::weeks(weeks.to_vec(), [4], noon()) };
        assert!(includes(&year(&[53]), day("2026-12-31")) && includes(&year(&[-1]), day("2026-12-31")));
        assert!(!includes(&year(&[52]), day("2026-12-31")));
    }

    #[test]
    fn ranges_include_both_ends_and_can_be_inverted() {
        let time = |text: &str| DateLimit { time: Some(text.parse().unwrap()), ..DateLimit::default() };
        let at = |text: &str| text.parse::<DateTime>().unwrap();
        let (morning, evening) = (time("08:00"), time("20:00"));
        for (text, inside) in [("07:59", false), ("08:00", true), ("20:00", true), ("20:01", false)] {
            let at = at(&format!("2026-11-30T{text}:30"));
            assert_eq!(is_between(&morning, &evening, at), inside, "{text}");
        }
        assert!(
            is_between(&evening, &morning, at("2026-11-30T23:00"))
                && is_between(&evening, &morning, at("2026-11-30T01:00"))
        );
        assert!(!is_between(&evening, &morning, at("2026-11-30T12:00")));
        let summer = (
            DateLimit { month: Some(6), ..DateLimit::default() },
            DateLimit { month: Some(8), ..DateLimit::default() },
        );
        assert!(
            is_between(&summer.0, &summer.1, at("2026-08-31T23:59"))
                && !is_between(&summer.0, &summer.1, at("2026-09-01T00:00"))
        );
        let from = DateLimit { year: Some(2027), ..DateLimit::default() };
        assert!(!is_between(&from, &DateLimit::default(), at("2026-12-31T00:00")));
        assert!(is_between(&from, &DateLimit::default(), at("2030-01-01T00:00")));
    }
}
