//! Switches of the house mode.

use std::time::Duration;

use ezlo_protocol::hub::ModeId;
use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::method::ModesSwitch;
use ezlo_protocol::hub::mode::{ModeSwitch as ModeRequest, SwitchStatus};
use ezlo_relay::RelayEvents;

use crate::error::Error;
use crate::hub::Hub;
use crate::wait::wait_for;

/// Time allowed for the report of a mode switch, in addition to its delay.
const REPORT_TIMEOUT: Duration = Duration::from_secs(15);

/// A switch of the house mode that the hub has accepted. Returned by [`Hub::switch_mode`].
///
/// Dropping it does not cancel the switch.
#[derive(Debug)]
pub struct ModeSwitch {
    events: RelayEvents,
    id: ModeId,
    delay_seconds: u64,
}

impl ModeSwitch {
    /// Returns the delay from the request to the switch, in seconds. It is 0 if the hub reports none.
    pub const fn delay_seconds(&self) -> u64 {
        self.delay_seconds
    }

    /// Waits until the house is in the new mode, for the delay and 15 s more.
    ///
    /// Waits for the broadcast `hub.modes.switched`; no further call is sent. The 15 s and the delay count from this call.
    ///
    /// # Errors
    ///
    /// - [`Error::Failed`] if the switch was cancelled, or if the house entered another mode first.
    /// - [`Error::Call`] with `CallError::OutcomeUnknown` if the connection is lost or the session is closed.
    /// - [`Error::ConfirmationTimeout`] if the broadcast does not arrive in time.
    ///
    /// # Cancel safety
    ///
    /// The switch continues on the hub if the future is dropped, but it can no longer be awaited.
    pub async fn reached(self) -> Result<(), Error> {
        let limit = REPORT_TIMEOUT + Duration::from_secs(self.delay_seconds);
        let id = self.id;
        let done = move |event: &Event| {
            let Event::ModesSwitched(switched) = event else { return None };
            let is_ours = switched.to.get() == Some(&id);
            match switched.status.get() {
                Some(SwitchStatus::Done) if is_ours => Some(Ok(())),
                Some(SwitchStatus::Done) => Some(Err("the house entered another mode first".to_owned())),
                Some(SwitchStatus::Cancel) if is_ours => Some(Err("the switch was cancelled".to_owned())),
                _ => None,
            }
        };
        wait_for(self.events, "the mode switch".into(), limit, done).await
    }
}

impl Hub {
    /// Requests a switch to the house mode with the given name, such as `Night`.
    ///
    /// Sends one `hub.modes.get` call to find the mode and one `hub.modes.switch` call (default timeout: 20 s each).
    /// Returns once the hub has accepted the call. The switch happens after a delay; [`ModeSwitch::reached`] waits for it.
    ///
    /// # Errors
    ///
    /// - [`Error::NotFound`] if the hub has no mode with this name; the switch was not requested.
    /// - [`Error::Call`] if a call is refused, cannot be sent, times out, or has an unknown outcome.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the switch may happen even if the future is dropped.
    pub async fn switch_mode(&self, name: &str) -> Result<ModeSwitch, Error> {
        let modes = self.modes().await?.modes;
        let id = modes.iter().find(|mode| mode.name.as_deref() == Some(name)).map(|mode| mode.id.clone());
        let known = || modes.iter().filter_map(|mode| mode.name.as_deref().map(str::to_owned)).collect();
        let id = id.ok_or_else(|| Error::NotFound { what: "house mode", name: name.into(), known: known() })?;
        let events = self.session().events();
        let request = ModeRequest { name: name.into(), ..ModeRequest::default() };
        let answer = self.session().call(ModesSwitch, request).await?;
        let delay = answer.switch_to_delay.get().map_or(0, |delay| *delay.get());
        Ok(ModeSwitch { events, id, delay_seconds: u64::try_from(delay).unwrap_or_default() })
    }
}
