//! Loss of power. Timers that become due without power fire when the hub is back, except time conditions of scenes, whose time
//! has passed (inferred: the behaviour of real hubs is not known).

use crate::context::{Context, Timer};
use crate::hub::Hub;

impl Hub {
    /// Returns whether the hub has no power. Reads the local state.
    pub const fn is_unplugged(&self) -> bool {
        self.wifi.unplugged
    }

    /// Cuts the power until [`Hub::plug_in`]. Running scenes and Z-Wave actions end without a broadcast.
    ///
    /// Timers that become due meanwhile are deferred. No network traffic, broadcasts or timers. Sets
    /// [`drop_local`](crate::Effects::drop_local) in the context and, if the hub was at the relay,
    /// [`at_relay`](crate::Effects::at_relay) to false.
    pub fn unplug(&mut self, context: &mut Context<'_>) {
        self.wifi.unplugged = true;
        self.go_down(context);
    }

    /// Restores the power; the hub starts. Has no effect if it has power.
    ///
    /// No network traffic and no broadcasts. Leaves the timer [`Timer::Restarted`], which is due after
    /// [`restart_ms`](crate::HubAssumptions::restart_ms) (default: 100 ms). It fires the deferred timers.
    pub fn plug_in(&mut self, context: &mut Context<'_>) {
        if std::mem::take(&mut self.wifi.unplugged) {
            self.come_back_later(context);
        }
    }

    /// Defers a timer while there is no power. Returns true if it was deferred.
    pub(crate) fn defers_timer(&mut self, timer: &Timer) -> bool {
        let held = self.wifi.unplugged && *timer != Timer::Restarted;
        if held {
            self.overdue.push(timer.clone());
        }
        held
    }

    /// Fires the timers that were deferred without power.
    pub(crate) fn catch_up(&mut self, context: &mut Context<'_>) {
        let overdue = std::mem::take(&mut self.overdue);
        if overdue.is_empty() {
            return;
        }
        // Scenes get new timers, so that their deferred time conditions have no effect.
        self.watch_scenes(context);
        for timer in overdue {
            self.fire(&timer, context);
        }
    }
}
