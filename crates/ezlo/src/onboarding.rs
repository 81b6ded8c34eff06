//! A hub brought in: Wi-Fi, claim, relay, as one procedure.

use ezlo_mms::ErrorKind;
use ezlo_onboarding::{AccessPoint, ClaimError, Cloud, Plan, Progress, onboard};
use ezlo_protocol::cloud::call::AnswerError;
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;

use crate::account::Account;
use crate::error::Error;
use crate::hub::Hub;

impl Account {
    /// Brings a hub in: puts it on Wi-Fi through its access point, claims it with serial and MAC address from its label, waits
    /// until it is at the relay, and connects. This machine must have joined the hub's own network, and be on one with the
    /// cloud when the hub restarts. Can be dropped at any time: [`Plan::resume`] goes on where it was cut short.
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
            Err(error) => Err(ClaimError::Refused(error.to_string())),
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

/// Which status says what is inferred: the vendor's note shows the request only.
fn refusal(error: &ezlo_mms::Error) -> ClaimError {
    match error.kind() {
        ErrorKind::Refused(AnswerError::Status { status: 404, .. }) => ClaimError::UnknownSerial,
        ErrorKind::Refused(AnswerError::Status { status: 409, .. }) => ClaimError::OwnedByAnother,
        ErrorKind::Refused(AnswerError::Status { status: 403, text, .. }) if text.contains("Mac") => {
            ClaimError::WrongMac
        }
        _ if error.is_transient() => ClaimError::Unreachable(error.to_string()),
        _ => ClaimError::Refused(error.to_string()),
    }
}
