//! Function blocks: conditions whose result depends on the past of the conditions inside (d22, pi).

use serde_json::Value;

/// Maximum duration of a function, in seconds (inferred: a week exceeds the choices of every app).
const MAX_SECONDS: u64 = 7 * 86_400;
/// Maximum number of repetitions (inferred).
const MAX_TIMES: u64 = 1_000;

/// The settings of a function block. Its state is lost when the hub restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Function {
    /// The conditions inside have held for at least this time (`for` with `least`).
    HeldFor {
        /// Duration in seconds.
        seconds: u64,
    },
    /// The conditions inside have ended after less than this time (`for` with `less`).
    EndedWithin {
        /// Duration in seconds.
        seconds: u64,
    },
    /// The conditions inside have begun several times within a time (`repeat`).
    Repeated {
        /// Number of times, at least 2.
        times: u64,
        /// Duration in seconds.
        seconds: u64,
    },
    /// Holds with the conditions inside, and for a time after their end (`follow`).
    Follow {
        /// Delay of the end in seconds.
        delay_s: u64,
    },
    /// Holds periodically while the conditions inside hold (`pulse`).
    Pulse {
        /// Time for which it holds, in seconds.
        true_s: u64,
        /// Time for which it does not hold, in seconds; 0 for a single pulse.
        false_s: u64,
        /// Number of pulses; `None` for as long as the conditions hold.
        times: Option<u64>,
    },
    /// Holds from the first time that the condition inside holds, until it is reset (`latch`).
    Latch {
        /// `false` for a latch that does not hold.
        enabled: bool,
    },
}

impl Function {
    /// Reads the member `function` of `blockOptions`; `None` if a setting is missing or out of bounds.
    pub(super) fn read(settings: &Value) -> Option<Self> {
        let number = |of: &Value, name: &str, bounds: std::ops::RangeInclusive<u64>| {
            of.get(name)?.as_u64().filter(|number| bounds.contains(number))
        };
        let seconds = |of: &Value, name: &str| number(of, name, 0..=MAX_SECONDS);
        let (kind, of) = settings.as_object()?.iter().next()?;
        Some(match kind.as_str() {
            "for" => {
                let seconds = seconds(of, "seconds")?;
                match of.get("method")?.as_str()? {
                    "least" => Self::HeldFor { seconds },
                    "less" => Self::EndedWithin { seconds },
                    _ => return None,
                }
            }
            "repeat" => Self::Repeated { times: number(of, "times", 2..=MAX_TIMES)?, seconds: seconds(of, "seconds")? },
            "follow" => Self::Follow { delay_s: seconds(of, "delayReset")? },
            "pulse" => Self::Pulse {
                true_s: number(of, "truePeriod", 1..=MAX_SECONDS)?,
                false_s: if of.get("falsePeriod").is_none() { 0 } else { seconds(of, "falsePeriod")? },
                times: if of.get("times").is_none() { None } else { Some(number(of, "times", 1..=MAX_TIMES)?) },
            },
            "latch" => Self::Latch { enabled: of.get("enabled").is_none_or(|enabled| enabled != &Value::Bool(false)) },
            _ => return None,
        })
    }

    /// Returns the member `function` of `blockOptions`.
    pub(super) fn settings(self) -> Value {
        use serde_json::json;
        match self {
            Self::HeldFor { seconds } => json!({"for": {"method": "least", "seconds": seconds}}),
            Self::EndedWithin { seconds } => json!({"for": {"method": "less", "seconds": seconds}}),
            Self::Repeated { times, seconds } => json!({"repeat": {"times": times, "seconds": seconds}}),
            Self::Follow { delay_s } => json!({"follow": {"delayReset": delay_s}}),
            Self::Pulse { true_s, false_s, times: None } => {
                json!({"pulse": {"truePeriod": true_s, "falsePeriod": false_s}})
            }
            Self::Pulse { true_s, false_s, times: Some(times) } => {
                json!({"pulse": {"truePeriod": true_s, "falsePeriod": false_s, "times": times}})
            }
            Self::Latch { enabled } => json!({"latch": {"enabled": enabled}}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_read_as_they_are_written() {
        for function in [
            Function::HeldFor { seconds: 10 },
            Function::EndedWithin { seconds: 3 },
            Function::Repeated { times: 2, seconds: 60 },
            Function::Follow { delay_s: 0 },
            Function::Pulse { true_s: 1, false_s: 2, times: Some(3) },
            Function::Pulse { true_s: 1, false_s: 0, times: None },
            Function::Latch { enabled: true },
        ] {
            assert_eq!(Function::read(&function.settings()), Some(function));
        }
    }

    #[test]
    fn settings_out_of_bounds_are_no_function() {
        for settings in [
            json!({"for": {"method": "most", "seconds": 1}}),
            json!({"repeat": {"times": 1, "seconds": 5}}),
            json!({"follow": {"delayReset": 999_999_999}}),
            json!({"pulse": {"truePeriod": 0}}),
            json!({"hold": {}}),
            json!({}),
            json!(null),
        ] {
            assert_eq!(Function::read(&settings), None, "{settings}");
        }
    }
}
