//! A short run of `cargo xtask soak`: the SDK against a cloud whose network breaks all the time.

use std::time::Duration;

use ezlo_tests::soak::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_the_invariants_hold() {
    for seed in [1, 2] {
        let report = run(Plan { seed, length: Duration::from_secs(2) }).await;
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        assert!(report.confirmed > 0 && report.faults > 0, "seed {seed} did nothing: {report:?}");
    }
}
