//! Runs the procedure against a real access point.

use tokio::time::{Instant, sleep};

use crate::access_point::AccessPoint;
use crate::procedure::{Action, Input, OnboardingError, Plan, Procedure, Progress};

/// Tells whether the hub is at the relay. Another crate knows; this one only asks.
pub trait Presence {
    /// Whether the hub is there now. A question that fails counts as no.
    fn is_online(&mut self) -> impl Future<Output = bool> + Send;
}

/// Puts a hub on Wi-Fi and waits until it is at the relay.
pub async fn onboard(
    access_point: &AccessPoint,
    plan: Plan,
    presence: &mut (impl Presence + Send),
    mut progress: impl FnMut(Progress) + Send,
) -> Result<(), OnboardingError> {
    let began = Instant::now();
    let mut procedure = Procedure::new(plan);
    let mut action = Action::Scan;
    loop {
        let input = match action {
            Action::Scan => Input::Scanned(access_point.networks().await),
            Action::Join => {
                let plan = procedure.plan();
                Input::Joining(access_point.connect(&plan.ssid, plan.passkey.as_ref()).await)
            }
            Action::Poll(wait) => {
                sleep(wait).await;
                Input::Status(access_point.status().await)
            }
            Action::CloseAccessPoint => Input::Closed(access_point.close().await),
            Action::Restart => Input::Restarting(access_point.restart().await),
            Action::Look(wait) => {
                sleep(wait).await;
                Input::Looked(presence.is_online().await)
            }
            Action::Done => return Ok(()),
        };
        let (next, news) = procedure.step(began.elapsed(), input)?;
        if let Some(news) = news {
            tracing::info!(?news, "onboarding");
            progress(news);
        }
        action = next;
    }
}
