//! Times of sunrise and sunset from the sunrise equation, accurate to one or two minutes, like the times of real hubs.

use ezlo_protocol::hub::scene::SunEvent;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Time in which the next event is searched: longer than any polar night.
const YEAR_MS: i64 = 366 * DAY_MS;
/// Altitude of the centre of the sun when its upper edge touches the horizon, with refraction, in degrees.
const HORIZON: f64 = -0.833;
/// Tilt of the earth's axis, in degrees.
const TILT: f64 = 23.44;
/// Unix time of noon on 1 January 2000, in days.
const EPOCH_2000: f64 = 10_957.5;

/// Returns the time of the event on a day (days since 1970, UTC), in Unix milliseconds.
///
/// Returns `None` if the sun does not cross the horizon on that day or the event is not known.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "day numbers are small")]
pub(super) fn event_ms(event: &SunEvent, day: i64, latitude: f64, longitude: f64) -> Option<i64> {
    let mean_noon = day as f64 + 0.5 - EPOCH_2000 - longitude / 360.0;
    let anomaly = (0.985_600_28f64.mul_add(mean_noon, 357.5291)).rem_euclid(360.0).to_radians();
    let center =
        0.0003f64.mul_add((3.0 * anomaly).sin(), 0.02f64.mul_add((2.0 * anomaly).sin(), 1.9148 * anomaly.sin()));
    let ecliptic = (anomaly.to_degrees() + center + 180.0 + 102.9372).rem_euclid(360.0).to_radians();
    let transit = 0.0053f64.mul_add(anomaly.sin(), mean_noon) - 0.0069 * (2.0 * ecliptic).sin();
    let declination = (ecliptic.sin() * TILT.to_radians().sin()).asin();
    let height = latitude.to_radians();
    let hour_angle =
        (HORIZON.to_radians().sin() - height.sin() * declination.sin()) / (height.cos() * declination.cos());
    if !(-1.0..=1.0).contains(&hour_angle) {
        return None;
    }
    let half_day = hour_angle.acos().to_degrees() / 360.0;
    let days = match event {
        SunEvent::Sunrise => transit - half_day,
        SunEvent::Sunset => transit + half_day,
        SunEvent::Unknown(_) | _ => return None,
    };
    Some(((days + EPOCH_2000) * DAY_MS as f64) as i64)
}

/// Returns the next time after `now_ms` at which the event, shifted by `offset_ms`, happens.
///
/// Returns `None` if it does not happen within a year.
pub(super) fn next_ms(event: &SunEvent, offset_ms: i64, now_ms: i64, latitude: f64, longitude: f64) -> Option<i64> {
    next_before(event, offset_ms, now_ms, now_ms.saturating_add(YEAR_MS), (latitude, longitude))
}

/// Returns the next time between `now_ms` and `end_ms`, both excluded, at which the event, shifted by `offset_ms`, happens.
///
/// The place is a latitude and a longitude. The time of a search is proportional to the days between both limits.
pub(super) fn next_before(
    event: &SunEvent,
    offset_ms: i64,
    now_ms: i64,
    end_ms: i64,
    (latitude, longitude): (f64, f64),
) -> Option<i64> {
    // The day of an event in UTC and its local day differ by at most one.
    let day = |at_ms: i64| at_ms.saturating_sub(offset_ms).div_euclid(DAY_MS);
    let times = (day(now_ms) - 2..=day(end_ms) + 2).filter_map(|day| event_ms(event, day, latitude, longitude));
    times.map(|at| at + offset_ms).find(|at| *at > now_ms).filter(|at| *at < end_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-06-21, in days.
    const MIDSUMMER: i64 = 19_895;

    fn minutes(at: i64) -> i64 {
        at.rem_euclid(DAY_MS) / 60_000
    }

    #[test]
    fn sunrise_and_sunset_match_almanacs() {
        // Almanacs: Berlin 04:43 and 21:33 CEST, that is 02:43 and 19:33 UTC; Quito 06:12 local, 11:12 UTC.
        let berlin = |event| minutes(event_ms(&event, MIDSUMMER, 52.52, 13.405).unwrap());
        assert!((berlin(SunEvent::Sunrise) - 163).abs() <= 3);
        assert!((berlin(SunEvent::Sunset) - 1173).abs() <= 3);
        let quito = minutes(event_ms(&SunEvent::Sunrise, MIDSUMMER, -0.18, -78.47).unwrap());
        assert!((quito - 672).abs() <= 3, "{quito}");
        assert_eq!(event_ms(&SunEvent::Sunset, MIDSUMMER, 69.65, 18.96), None, "midnight sun in Tromsø");
    }

    #[test]
    fn next_sunset_is_always_in_the_future() {
        let noon = MIDSUMMER * DAY_MS + DAY_MS / 2;
        for offset in [-3_600_000, 0, 3_600_000, 90_000_000] {
            let next = next_ms(&SunEvent::Sunset, offset, noon, 52.52, 13.405).unwrap();
            assert!(next > noon && next - noon <= DAY_MS, "{offset}");
        }
        assert!(next_ms(&SunEvent::Sunset, 0, noon, 69.65, 18.96).unwrap() > noon + 20 * DAY_MS);
    }
}
