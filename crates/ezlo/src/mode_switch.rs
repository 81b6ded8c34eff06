//! House modes: requesting a switch and waiting for it.

use std::time::Duration;

use ezlo_protocol::hub::ModeId;
use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::method::ModesSwitch;
use ezlo_protocol::hub::mode::{ModeSwitch as ModeRequest, SwitchStatus};
use ezlo_relay::RelayEvents;

use crate::error::Error;
use crate::hub::Hub;
use crate::wait::wait_for;

/// How long the start of a mode switch may take to be reported.
const REPORT_TIMEOUT: Duration = Duration::from_secs(15);

/// A switch of the house mode that the hub has taken.
#[derive(Debug)]
pub struct ModeSwitch {
    events: RelayEvents,
    id: ModeId,
    delay_seconds: u64,
}

impl ModeSwitch {
    /// Seconds from the request to the switch.
    pub const fn delay_seconds(&self) -> u64 {
        self.delay_seconds
    }

    /// Waits until the house is in the new mode.
    pub async fn reached(self) -> Result<(), Error> {
        let limit = REPORT_TIMEOUT + Duration::from_secs(self.delay_seconds);
        let id = self.id;
        let done = move |event: &Event| {
            let Event::ModesSwitched(switched) = event else { return None };
            let is_ours = switched.to.get() == Some(&id);
            match switched.status.get() {
                Some(SwitchStatus::Done) if is_ours => Some(Ok(())),
                Some(SwitchStatus::Done) => Some(Err("another switch overtook it".to_owned())),
                Some(SwitchStatus::Cancel) if is_ours => Some(Err("the switch was called off".to_owned())),
                _ => None,
            }
        };
        wait_for(self.events, "the mode switch".into(), limit, done).await
    }
}

impl Hub {
    /// Asks for a mode by name. The switch takes its delay; [`ModeSwitch::reached`] waits for it.
    pub async fn switch_mode(&self, name: &str) -> Result<ModeSwitch, Error> {
        let modes = self.modes().await?.modes;
        let id = modes.iter().find(|mode| mode.name.as_deref() == Some(name)).map(|mode| mode.id.clone());
        let known = || modes.iter().filter_map(|mode| mode.name.as_deref().map(str::to_owned)).collect();
        let id = id.ok_or_else(|| Error::NotFound { what: "house mode", name: name.into(), known: known() })?;
        let events = self.session().events();
        let wish = ModeRequest { name: name.into(), ..ModeRequest::default() };
        let answer = self.session().call(ModesSwitch, wish).await?;
        let delay = answer.switch_to_delay.get().map_or(0, |delay| *delay.get());
        Ok(ModeSwitch { events, id, delay_seconds: u64::try_from(delay).unwrap_or_default() })
    }
}
