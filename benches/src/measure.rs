//! Rounds, medians, ratios.

use std::time::{Duration, Instant};

use serde_json::json;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Quick,
    Usual,
    Full,
}

impl Scale {
    /// Rounds of each contestant.
    pub(crate) const fn rounds(self) -> usize {
        match self {
            Self::Quick => 3,
            Self::Usual => 7,
            Self::Full => 11,
        }
    }

    /// Length of a round.
    pub(crate) const fn round(self) -> Duration {
        match self {
            Self::Quick => Duration::from_millis(150),
            Self::Usual => Duration::from_millis(500),
            Self::Full => Duration::from_secs(1),
        }
    }
}

/// One number: ours beside a peer's.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) peer: String,
    /// Ours divided by the peer's.
    pub(crate) ratio: f64,
    pub(crate) goal: Goal,
    /// What stands behind the ratio, for people.
    pub(crate) detail: String,
}

/// What the ratio should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Reported, and nobody's goal.
    None,
}

impl Goal {
    /// Whether it is reached; nothing where there is none.
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

/// Operations a second of repeating an operation for that long.
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
