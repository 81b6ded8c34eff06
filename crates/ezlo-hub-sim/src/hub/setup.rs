//! What can go wrong while a hub is set up, on demand. All of it is what people report of real hubs; how a hub shows it at its
//! access point is inferred.

use crate::context::Context;
use crate::hub::Hub;
use crate::state::setup_fault::SetupFault;

impl Hub {
    /// Switches a fault on, or the one that is on off.
    pub const fn set_setup_fault(&mut self, fault: Option<SetupFault>) {
        self.wifi.fault = fault;
        self.wifi.asked = 0;
    }

    /// What goes wrong once the hub was told to join.
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
