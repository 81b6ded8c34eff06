//! Onboarding of a hub with an account: Wi-Fi, claim, relay.

use ezlo_mms::ErrorKind;
use ezlo_onboarding::{AccessPoint, ClaimError, Cloud, Plan, Progress, onboard};
use ezlo_protocol::cloud::call::AnswerError;
use ezlo_protocol::error::with_causes;
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;

use crate::account::Account;
use crate::error::Error;
use crate::hub::Hub;

impl Account {
    /// Puts a hub on Wi-Fi, claims it, waits until it is online at the relay, and connects to it.
    ///
    /// This machine must have joined the hub's own Wi-Fi network. It must reach the cloud once the hub has restarted.
    /// `serial` and `mac` are on the label of the hub. `progress` is called at each step.
    ///
    /// Sends HTTP calls to the access point, then `claim` calls to the cloud, then connects repeatedly until the hub is online.
    /// The hub has 180 s to join, of which the access point may be unreachable for 120 s. The claim and the wait for the hub
    /// have 300 s each. [`Plan`] changes these defaults.
    ///
    /// # Errors
    ///
    /// - [`Error::Onboarding`] if a step fails or times out; each cause has a variant.
    /// - The errors of [`Account::connect`] if the final connection fails.
    ///
    /// # Cancel safety
    ///
    /// The procedure stops at the current step if the future is dropped. Call again with [`Plan::resume`] to continue.
    pub async fn onboard(
        &self,
        access_point: &AccessPoint,
        plan: Plan,
        serial: &Serial,
        mac: MacAddress,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Hub, Error> {
        let mut cloud = AccountCloud { account: self, serial, mac, hub: None };
        onboard(access_point, plan, &mut cloud, progress).await?;
        match cloud.hub {
            Some(hub) => Ok(hub),
            None => self.connect(serial).await,
        }
    }
}

struct AccountCloud<'a> {
    account: &'a Account,
    serial: &'a Serial,
    mac: MacAddress,
    hub: Option<Hub>,
}

impl Cloud for AccountCloud<'_> {
    async fn claim(&mut self) -> Result<bool, ClaimError> {
        match self.account.claim(self.serial, self.mac).await {
            Ok(()) => Ok(true),
            Err(Error::Cloud(error)) => Err(refusal(&error)),
            Err(error) => Err(ClaimError::Refused(with_causes(&error))),
        }
    }

    async fn is_online(&mut self) -> bool {
        match self.account.connect(self.serial).await {
            Ok(hub) if hub.status().hub => {
                self.hub = Some(hub);
                true
            }
            _ => false,
        }
    }
}

/// Maps a refused claim to its cause. The status codes are inferred: the vendor's note shows the request only.
fn refusal(error: &ezlo_mms::MmsError) -> ClaimError {
    match error.kind() {
        ErrorKind::Refused(AnswerError::Status { status: 404, .. }) => ClaimError::UnknownSerial,
        ErrorKind::Refused(AnswerError::Status { status: 409, .. }) => ClaimError::OwnedByAnother,
        ErrorKind::Refused(AnswerError::Status { status: 403, text, .. }) if text.contains("Mac") => {
            ClaimError::WrongMac
        }
        _ if error.is_transient() => ClaimError::Unreachable(with_causes(error)),
        _ => ClaimError::Refused(with_causes(error)),
    }
}
