//! A hub with its own time and timers.

use std::time::Duration;

use ezlo_protocol::rpc::RpcError;
use serde_json::Value;

use crate::assumptions::HubAssumptions;
use crate::context::{Context, Effects, HubBroadcast};
use crate::hub::Hub;
use crate::timers::{Timers, Waiting};
use crate::world_file::{HubFile, WifiFile, WorldFile};

/// A hub with its own simulated time. It fires its timers and collects its broadcasts.
///
/// Time passes only in [`SimulatedHub::advance`]. The same world, seed and calls produce the same replies and broadcasts.
/// There is no network traffic.
///
/// ```
/// use ezlo_hub_sim::SimulatedHub;
/// use ezlo_hub_sim::world_file::WorldFile;
/// use serde_json::json;
///
/// let world = WorldFile::bundled("demo").expect("a bundled world");
/// let mut hub = SimulatedHub::new(&world, "90000001", 1).expect("a hub of the world");
/// let modes = hub.call("hub.modes.current.get", &json!({}))?;
/// assert_eq!(modes["modeId"], "1");
/// # Ok::<(), ezlo_protocol::rpc::RpcError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SimulatedHub {
    hub: Hub,
    timers: Timers,
    now_ms: i64,
    assumptions: HubAssumptions,
    networks: Vec<WifiFile>,
    broadcasts: Vec<Broadcast>,
}

/// A broadcast that a [`SimulatedHub`] has sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// Simulated time of the broadcast, in Unix milliseconds.
    pub at_ms: i64,
    /// Name, such as `hub.item.updated`.
    pub name: &'static str,
    /// Member `result` of the message.
    pub content: Value,
}

/// The reply to a call: the member `result` or the member `error` of the message.
pub type Reply = Result<Value, RpcError>;

/// Capacity of the buffer of broadcasts. The oldest are dropped when it is full.
const MAX_BROADCASTS: usize = 100_000;

impl SimulatedHub {
    /// Creates a hub of a world with the default assumptions, at Unix time 0.
    ///
    /// The seed determines all ids and random numbers. Returns `None` if the world has no hub with this serial.
    pub fn new(world: &WorldFile, serial: &str, seed: u64) -> Option<Self> {
        Self::with_assumptions(world, serial, seed, HubAssumptions::default())
    }

    /// Creates a hub of a world with the given assumptions, at Unix time 0.
    ///
    /// Returns `None` if the world has no hub with this serial.
    pub fn with_assumptions(world: &WorldFile, serial: &str, seed: u64, assumptions: HubAssumptions) -> Option<Self> {
        let serial = serial.parse().ok()?;
        let file = world.hubs.iter().find(|hub: &&HubFile| hub.has(&serial))?;
        let hub = Hub::from_file(file, &serial, seed, &assumptions, 0);
        let networks = world.wifi.clone();
        let mut simulated =
            Self { hub, timers: Timers::default(), now_ms: 0, assumptions, networks, broadcasts: Vec::new() };
        simulated.change(Hub::start);
        Some(simulated)
    }

    /// Answers a method call, such as `hub.devices.list`, and collects the broadcasts that it causes at once.
    ///
    /// # Errors
    ///
    /// Returns the error that a real hub would send as the member `error` of its reply.
    pub fn call(&mut self, method: &str, params: &Value) -> Reply {
        let params = params.to_string();
        let reply = self.change(|hub, context| hub.call(method, Some(&params), context))?;
        Ok(serde_json::from_str(reply.as_str()).unwrap_or_default())
    }

    /// Applies an action to the hub, such as [`Hub::report`] or [`Hub::press`], and returns its result.
    ///
    /// Collects the broadcasts and timers that the action causes.
    pub fn change<R>(&mut self, action: impl FnOnce(&mut Hub, &mut Context<'_>) -> R) -> R {
        let mut context = Context::new(self.now_ms, &self.assumptions);
        context.networks = &self.networks;
        let result = action(&mut self.hub, &mut context);
        let effects = context.effects;
        self.apply(effects);
        result
    }

    /// Advances the simulated time and fires all timers that become due, in order.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now_ms.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
        while let Some((due, waiting)) = self.timers.next_due_with_time(end) {
            self.now_ms = self.now_ms.max(due);
            if waiting.epoch == self.hub.epoch {
                self.change(|hub, context| hub.fire(&waiting.timer, context));
            }
        }
        self.now_ms = end;
    }

    /// Removes and returns the broadcasts since the last call, oldest first.
    ///
    /// At most 100,000 broadcasts are buffered; beyond that the oldest are dropped.
    pub fn take_broadcasts(&mut self) -> Vec<Broadcast> {
        std::mem::take(&mut self.broadcasts)
    }

    /// Returns the simulated time in Unix milliseconds.
    pub const fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Returns the state of the hub.
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    fn apply(&mut self, effects: Effects) {
        for HubBroadcast { name, content, .. } in effects.broadcasts {
            let content = serde_json::from_str(content.as_str()).unwrap_or_default();
            self.broadcasts.push(Broadcast { at_ms: self.now_ms, name, content });
        }
        let excess = self.broadcasts.len().saturating_sub(MAX_BROADCASTS);
        self.broadcasts.drain(..excess);
        for (ms, timer) in effects.timers {
            let due = self.now_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
            self.timers.add(due, Waiting { timer, epoch: self.hub.epoch, cause: None });
        }
        let hub = &self.hub;
        self.timers.sweep(|waiting| waiting.epoch == hub.epoch && hub.waits_for(&waiting.timer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn demo() -> SimulatedHub {
        SimulatedHub::new(&WorldFile::bundled("demo").unwrap(), "90000001", 1).unwrap()
    }

    #[test]
    fn mode_switch_completes_when_its_delay_has_passed() {
        let mut hub = demo();
        hub.call("hub.modes.switch", &json!({"modeId": "2"})).unwrap();
        let current = |hub: &mut SimulatedHub| hub.call("hub.modes.current.get", &json!({})).unwrap();
        assert_eq!(current(&mut hub)["modeId"], "1");
        hub.advance(Duration::from_secs(60));
        assert_eq!(current(&mut hub)["modeId"], "2");
        let broadcasts = hub.take_broadcasts();
        let done = broadcasts.iter().find(|broadcast| broadcast.content["status"] == "done").unwrap();
        assert_eq!((done.name, done.at_ms), ("hub.modes.switched", 30_000));
        assert!(hub.take_broadcasts().is_empty());
    }

    #[test]
    fn refusal_is_that_of_a_real_hub() {
        assert_eq!(demo().call("hub.nothing", &json!({})).unwrap_err().data(), "rpc.method.notfound");
        assert!(SimulatedHub::new(&WorldFile::bundled("demo").unwrap(), "12345678", 1).is_none());
    }

    #[test]
    fn same_calls_give_same_broadcasts() {
        let run = || {
            let mut hub = demo();
            hub.call("hub.extensions.plugin.run", &json!({"script": "HUB:zwave/scripts/start_include"})).unwrap();
            hub.advance(Duration::from_secs(60));
            hub.take_broadcasts()
        };
        let first = run();
        assert!(first.iter().any(|broadcast| broadcast.name == "hub.device.added"));
        assert_eq!(first, run());
    }
}
