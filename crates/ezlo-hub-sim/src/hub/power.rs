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
    /// Timers that become due meanwhile are deferred. No network traffic and no broadcasts. Sets
    /// [`power_lost`](crate::Effects::power_lost) in the context. If the hub was at the relay, it leaves the timer
    /// [`Timer::RelayTimeout`], which is due after [`relay_timeout_ms`](crate::HubAssumptions::relay_timeout_ms) (default: 60 s).
    /// Until then [`Hub::is_silent`] returns true. Has no effect if the hub has no power.
    pub fn unplug(&mut self, context: &mut Context<'_>) {
        if std::mem::replace(&mut self.wifi.unplugged, true) {
            return;
        }
        self.stop_running();
        context.effects.power_lost = true;
        if self.wifi.at_relay {
            self.wifi.silent = true;
            context.later(context.assumptions.relay_timeout_ms, Timer::RelayTimeout(self.wifi.generation));
        }
    }

    /// Returns whether the hub answers nothing although the relay counts it as connected. Reads the local state.
    pub const fn is_silent(&self) -> bool {
        self.wifi.silent
    }

    /// Disconnects the hub at the relay, unless it has connected again.
    pub(crate) fn relay_timeout(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation == self.wifi.generation && std::mem::take(&mut self.wifi.silent) {
            self.wifi.at_relay = false;
            context.effects.at_relay = Some(false);
        }
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
        let is_outside = matches!(timer, Timer::Restarted | Timer::RelayTimeout(_));
        let held = self.wifi.unplugged && !is_outside;
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
