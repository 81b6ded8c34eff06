//! Runs the procedure against a real access point and the cloud.

use tokio::time::{Instant, sleep};

use crate::access_point::AccessPoint;
use crate::error::{ClaimError, OnboardingError};
use crate::procedure::{Action, Input, Plan, Procedure, Progress};

/// The cloud's part. Another crate speaks to it; this one only asks.
pub trait Cloud {
    /// Claims the hub for the user; what is theirs already is a success. False, as it is unless this is overridden, for a hub
    /// that is claimed elsewhere.
    fn claim(&mut self) -> impl Future<Output = Result<bool, ClaimError>> + Send {
        async { Ok(false) }
    }

    /// Whether the hub is at the relay now. A question that fails counts as no.
    fn is_online(&mut self) -> impl Future<Output = bool> + Send;
}

/// Puts a hub on Wi-Fi, claims it and waits until it is at the relay. Can be dropped at any time; [`Plan::resume`] goes on.
pub async fn onboard(
    access_point: &AccessPoint,
    plan: Plan,
    cloud: &mut (impl Cloud + Send),
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
            Action::Claim(wait) => {
                sleep(wait).await;
                Input::Claimed(cloud.claim().await)
            }
            Action::Look(wait) => {
                sleep(wait).await;
                Input::Looked(cloud.is_online().await)
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
