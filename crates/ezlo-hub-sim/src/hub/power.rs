//! A hub without power, until somebody plugs it in again. How a real one takes what became due meanwhile is not known; here it
//! happens once the hub is back, but for scenes at a time, whose time has passed (inferred).

use crate::context::{Context, Timer};
use crate::hub::Hub;

impl Hub {
    /// Whether the hub has no power.
    pub const fn is_unplugged(&self) -> bool {
        self.wifi.unplugged
    }

    /// Somebody pulls the plug.
    pub fn unplug(&mut self, context: &mut Context<'_>) {
        self.wifi.unplugged = true;
        self.go_down(context);
    }

    /// Somebody puts the plug in again: the hub starts.
    pub fn plug_in(&mut self, context: &mut Context<'_>) {
        if std::mem::take(&mut self.wifi.unplugged) {
            self.come_back_later(context);
        }
    }

    /// Keeps what became due for later, while there is no power; true when it did.
    pub(crate) fn defers_timer(&mut self, timer: &Timer) -> bool {
        let held = self.wifi.unplugged && *timer != Timer::Restarted;
        if held {
            self.overdue.push(timer.clone());
        }
        held
    }

    /// Lets what became due meanwhile happen.
    pub(crate) fn catch_up(&mut self, context: &mut Context<'_>) {
        let overdue = std::mem::take(&mut self.overdue);
        if overdue.is_empty() {
            return;
        }
        // Those of scenes get new timers, so that the old ones do nothing.
        self.watch_scenes(context);
        for timer in overdue {
            self.fire(&timer, context);
        }
    }
}
