//! The time: read, moved, made faster or slower.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::clock::Clock;
use crate::server::Shared;
use crate::server::control::{refusal, wish};
use crate::server::http::{Reply, Request};

pub(crate) fn read(shared: &Shared, _: &Request) -> Reply {
    Reply::json(&now(shared))
}

fn now(shared: &Shared) -> Value {
    let clock = &shared.world.clock;
    json!({
        "now": clock.timestamp().to_string(),
        "unix": clock.unix_seconds(),
        "frozen": clock.is_frozen(),
        "speed": clock.speed(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Speed {
    speed: f64,
}

/// Lets the time stand still (0), run as the machine's (1), or faster.
pub(crate) fn set_speed(shared: &Shared, request: &Request) -> Reply {
    match wish::<Speed>(&request.body, r#"{"speed": 60}"#) {
        Ok(wish) if wish.speed == 0.0 || (Clock::SLOWEST..=Clock::FASTEST).contains(&wish.speed) => {
            shared.world.clock.set_speed(wish.speed);
            shared.world.mark_clock();
            Reply::json(&now(shared))
        }
        Ok(_) => refusal(
            StatusCode::BAD_REQUEST,
            "speed is 0 (standing still) or between 0.001 and 86400 (a day in a second)",
        ),
        Err(refused) => refused,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

/// Longest step, in seconds: ten years, the life of the certificates.
const LONGEST_STEP: f64 = 315_360_000.0;

/// Moves the time on. The answer comes when everything that became due has happened, in order.
pub(crate) async fn advance(shared: &Shared, request: &Request) -> Reply {
    let step = match wish::<Advance>(&request.body, r#"{"seconds": 86400}"#) {
        Ok(step) if (0.0..=LONGEST_STEP).contains(&step.seconds) => Duration::from_secs_f64(step.seconds),
        Ok(_) => return refusal(StatusCode::BAD_REQUEST, "seconds is between 0 and ten years"),
        Err(refused) => return refused,
    };
    let left = Clock::END_MS - shared.world.clock.now_ms();
    if i64::try_from(step.as_millis()).is_ok_and(|step| step > left) {
        return refusal(StatusCode::BAD_REQUEST, "the time ends with the year 9999");
    }
    // In a task of its own: a caller who goes away does not leave the time half moved.
    let moving = shared.world.clock.clone();
    let moved = tokio::spawn(async move { moving.advance(step).await });
    let moved = moved.await;
    shared.world.mark_clock();
    match moved {
        Ok(true) => Reply::json(&now(shared)),
        Ok(false) => {
            refusal(StatusCode::CONFLICT, "POST /clock ended this before the time was there; GET /clock tells it")
        }
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the time could not be moved"),
    }
}
