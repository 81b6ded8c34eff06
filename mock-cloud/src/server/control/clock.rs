//! Control calls that read, advance and scale the world's clock.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::core::clock::Clock;
use crate::server::control::request::{parse_body, refusal};
use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;

/// Returns the time and the speed.
pub(crate) fn read(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&now(shared))
}

/// The time of a world.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ClockTime {
    /// Time in UTC, such as `2023-11-14T22:13:20Z`.
    now: String,
    /// The same time in Unix seconds.
    unix: i64,
    /// `true` while time stands still.
    frozen: bool,
    /// Seconds of the world for each second of the machine.
    speed: f64,
}

fn now(shared: &Shared) -> ClockTime {
    let clock = &shared.world.clock;
    ClockTime {
        now: clock.timestamp().to_string(),
        unix: clock.unix_seconds(),
        frozen: clock.is_frozen(),
        speed: clock.speed(),
    }
}

/// A speed of the clock.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockSpeed {
    /// Seconds of the world for each second of the machine: 0, or 0.001 to 86400.
    speed: f64,
}

/// Sets the speed of the clock: 0 freezes it, 1 is the speed of the machine's clock.
pub(crate) fn set_speed(shared: &Shared, request: &Request) -> Reply {
    match parse_body::<ClockSpeed>(&request.body, r#"{"speed": 60}"#) {
        Ok(ClockSpeed { speed }) if speed == 0.0 || (Clock::SLOWEST..=Clock::FASTEST).contains(&speed) => {
            shared.world.clock.set_speed(speed);
            shared.world.mark_clock();
            Reply::json(&now(shared))
        }
        Ok(ClockSpeed { speed }) => {
            let text = format!("speed {speed} is out of range; send 0 (frozen) or 0.001 to 86400 (a day in a second)");
            refusal(StatusCode::BAD_REQUEST, &text)
        }
        Err(refused) => refused,
    }
}

/// A step of the clock.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockStep {
    /// Seconds of the world, 0 to 315360000.
    seconds: f64,
}

/// Longest step, in seconds: ten years, the validity of the CA certificate.
const LONGEST_STEP: f64 = 315_360_000.0;

/// Moves the clock forward. Replies after everything that became due has happened, in order.
pub(crate) async fn advance(shared: &Shared, request: &Request) -> Reply {
    let step = match parse_body::<ClockStep>(&request.body, r#"{"seconds": 86400}"#) {
        Ok(step) if (0.0..=LONGEST_STEP).contains(&step.seconds) => Duration::from_secs_f64(step.seconds),
        Ok(step) => {
            let text = format!("seconds {} is out of range; send 0 to 315360000 (ten years)", step.seconds);
            return refusal(StatusCode::BAD_REQUEST, &text);
        }
        Err(refused) => return refused,
    };
    let left = Clock::END_MS - shared.world.clock.now_ms();
    if i64::try_from(step.as_millis()).is_ok_and(|step| step > left) {
        return refusal(
            StatusCode::BAD_REQUEST,
            "the step passes the end of the year 9999, where the clock ends; send fewer seconds",
        );
    }
    // A separate task finishes the step if the client disconnects.
    let moving = shared.world.clock.clone();
    let moved = tokio::spawn(async move { moving.advance(step).await });
    let moved = moved.await;
    shared.world.mark_clock();
    match moved {
        Ok(true) => Reply::json(&now(shared)),
        Ok(false) => refusal(
            StatusCode::CONFLICT,
            "POST /clock interrupted the step; GET /clock returns the time that was reached",
        ),
        Err(_) => {
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "the step failed; GET /clock returns the time that was reached")
        }
    }
}
