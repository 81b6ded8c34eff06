//! Rounds, medians and ratios.

use std::time::{Duration, Instant};

use serde_json::json;

/// The number and length of the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Quick,
    Usual,
    Full,
}

impl Scale {
    /// Returns the number of rounds of each process.
    pub(crate) const fn rounds(self) -> usize {
        match self {
            Self::Quick => 3,
            Self::Usual => 7,
            Self::Full => 11,
        }
    }

    /// Returns the length of a round.
    pub(crate) const fn round(self) -> Duration {
        match self {
            Self::Quick => Duration::from_millis(150),
            Self::Usual => Duration::from_millis(500),
            Self::Full => Duration::from_secs(1),
        }
    }
}

/// The result of one comparison.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) peer: String,
    /// Our value divided by that of the peer.
    pub(crate) ratio: f64,
    pub(crate) goal: Goal,
    /// The absolute values, as text.
    pub(crate) detail: String,
}

/// The goal for a ratio.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// No goal: the ratio is only reported.
    None,
}

impl Goal {
    /// Returns true if the ratio reaches the goal, or `None` without a goal.
    fn met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(ratio >= least),
            Self::AtMost(most) => Some(ratio <= most),
            Self::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::None => "none".into(),
        }
    }
}

impl Measure {
    pub(crate) fn print(&self, as_json: bool) {
        let Self { name, peer, ratio, goal, detail } = self;
        let met = goal.met(*ratio);
        let rounded = (ratio * 1000.0).round() / 1000.0;
        if as_json {
            let line = json!({"name": name, "peer": peer, "ratio": rounded, "goal": goal.text(), "met": met, "detail": detail});
            println!("{line}");
        } else {
            let mark = match met {
                Some(true) => format!(" (goal {}, met)", goal.text()),
                Some(false) => format!(" (goal {}, not met)", goal.text()),
                None => String::new(),
            };
            println!("{name:32} {rounded:8.3} of {peer}{mark}; {detail}");
        }
    }
}

pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Repeats an operation for a round and returns the operations per second.
#[expect(clippy::cast_precision_loss, reason = "counts of a second fit")]
pub(crate) async fn rate<E>(round: Duration, mut operation: impl AsyncFnMut() -> Result<(), E>) -> Result<f64, E> {
    let start = Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < round {
        operation().await?;
        count += 1;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
