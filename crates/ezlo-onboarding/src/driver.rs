//! The driver, which runs the procedure against an access point and the cloud.

use tokio::time::{Instant, sleep};

use crate::access_point::AccessPoint;
use crate::error::{ClaimError, OnboardingError};
use crate::procedure::{Input, NextAction, Plan, Procedure, Progress};

/// The part of the cloud in onboarding. Implement it with a client of the account cloud and the relay.
///
/// `Account::onboard` of the crate `ezlo` contains an implementation.
pub trait Cloud {
    /// Claims the hub for the user and returns true. A hub that already belongs to the user is a success.
    ///
    /// Returns false if the hub is not claimed here but by other means (default).
    ///
    /// # Errors
    ///
    /// A [`ClaimError`]. [`ClaimError::Unreachable`] is retried within [`Plan::appear_time`]; all others end the procedure.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped if [`onboard`] is dropped. A later run claims again.
    fn claim(&mut self) -> impl Future<Output = Result<bool, ClaimError>> + Send {
        async { Ok(false) }
    }

    /// Returns true if the hub is connected to the relay now. Report a failed request as false.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped if [`onboard`] is dropped.
    fn is_online(&mut self) -> impl Future<Output = bool> + Send;
}

/// Puts a hub on Wi-Fi, claims it and waits until it is connected to the relay.
///
/// Sends calls to the access point and runs `cloud`. Polls first after 100 ms, then with doubled waits
/// up to 3 s. `progress` receives each [`Progress`].
///
/// ```no_run
/// use ezlo_onboarding::{AccessPoint, Cloud, Plan, onboard};
///
/// struct MyCloud;
///
/// impl Cloud for MyCloud {
///     async fn is_online(&mut self) -> bool {
///         // Request the state of the hub from the relay.
///         true
///     }
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let access_point = AccessPoint::usual()?;
/// let plan = Plan::new("NETWORK_SSID", Some("WIFIPASS".into()));
/// onboard(&access_point, plan, &mut MyCloud, |progress| println!("{progress:?}")).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// One variant of [`OnboardingError`] for each way to fail, as described there.
///
/// # Cancel safety
///
/// The future can be dropped at any time. A new run with [`Plan::resume()`] continues.
pub async fn onboard(
    access_point: &AccessPoint,
    plan: Plan,
    cloud: &mut (impl Cloud + Send),
    mut progress: impl FnMut(Progress) + Send,
) -> Result<(), OnboardingError> {
    let began = Instant::now();
    let mut procedure = Procedure::new(plan);
    let mut action = NextAction::Scan;
    loop {
        let input = match action {
            NextAction::Scan => Input::Scanned(access_point.networks().await),
            NextAction::Join => {
                let plan = procedure.plan();
                Input::Joining(access_point.connect(&plan.ssid, plan.passkey.as_ref()).await)
            }
            NextAction::Poll(wait) => {
                sleep(wait).await;
                Input::Status(access_point.status().await)
            }
            NextAction::CloseAccessPoint => Input::Closed(access_point.close().await),
            NextAction::Restart => Input::Restarting(access_point.restart().await),
            NextAction::Claim(wait) => {
                sleep(wait).await;
                Input::Claimed(cloud.claim().await)
            }
            NextAction::Look(wait) => {
                sleep(wait).await;
                Input::Looked(cloud.is_online().await)
            }
            NextAction::Done => return Ok(()),
        };
        let (next, news) = procedure.step(began.elapsed(), input)?;
        if let Some(news) = news {
            tracing::info!(?news, "onboarding");
            progress(news);
        }
        action = next;
    }
}
