//! Counters of a world in the Prometheus text format.

use std::fmt::Write as _;

use http::StatusCode;

use crate::server::http::message::{Reply, Request};
use crate::server::shared::Shared;

/// Returns the counters of the world.
pub(crate) fn text(shared: &Shared, _: &Request) -> Reply {
    let world = &shared.world;
    let mut text = String::new();
    let mut count = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        let _ = writeln!(text, "# HELP mock_cloud_{name} {help}\n# TYPE mock_cloud_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "mock_cloud_{name}{labels} {value}");
        }
    };
    let entries = world.journal.counts().map(|(kind, number)| (format!("{{kind=\"{kind}\"}}"), number));
    count("entries_total", "counter", "Journal entries by kind, dropped ones included.", &entries.collect::<Vec<_>>());
    let hubs = world.materialised_hubs();
    let online = hubs.iter().filter(|hub| hub.is_online()).count();
    count("hubs", "gauge", "Hubs of the world.", &[(String::new(), world.hub_count() as u64)]);
    count("hubs_touched", "gauge", "Hubs that are held in memory.", &[(String::new(), hubs.len() as u64)]);
    count("hubs_online", "gauge", "Hubs in memory that are connected to the relay.", &[(String::new(), online as u64)]);
    let fired = world.faults.fired().into_iter().map(|(name, times)| (format!("{{fault=\"{name}\"}}"), times));
    count("fault_fired_total", "counter", "Fired faults by name, removed faults included.", &fired.collect::<Vec<_>>());
    Reply::new(StatusCode::OK, "text/plain; version=0.0.4", text)
}
