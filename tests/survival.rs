//! A short run of `cargo xtask soak`: the SDK against a simulated cloud with continuous network faults.

use std::time::Duration;

use ezlo_tests::soak::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariants_hold_under_random_network_faults() {
    for seed in [1, 2] {
        let report = run(Plan { seed, length: Duration::from_secs(2) }).await;
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        assert!(report.confirmed > 0 && report.faults > 0, "seed {seed} had no effect: {report:?}");
    }
}
