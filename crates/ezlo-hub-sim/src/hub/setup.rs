//! Faults of the first set-up of a hub. Users report all of them for real hubs; the behaviour of the access point is inferred.

use crate::context::Context;
use crate::hub::Hub;
use crate::state::setup_fault::SetupFault;

impl Hub {
    /// Sets the fault of the first set-up; `None` removes it.
    ///
    /// Also resets the count of status requests, on which faults of the address depend. Changes the local state; no network
    /// traffic, broadcasts or timers.
    pub const fn set_setup_fault(&mut self, fault: Option<SetupFault>) {
        self.wifi.fault = fault;
        self.wifi.asked = 0;
    }

    /// Applies the fault after a request to join a network.
    pub(crate) fn disturb_joining(&mut self, context: &mut Context<'_>) {
        match self.wifi.fault {
            Some(SetupFault::AccessPointVanishes) => self.wifi.vanish(),
            Some(SetupFault::RestartsOnce) => {
                self.wifi.fault = None;
                self.restart(context);
            }
            Some(SetupFault::KeepsRestarting) => self.restart(context),
            _ => {}
        }
    }
}
