//! mock-cloud as a measured process.

use std::io::Write as _;
use std::path::Path;

use ezlo_mock_cloud::{Config, MockCloud};

pub(super) async fn run(config: &Path, quiet: bool) -> Result<(), String> {
    let config = Config::from_file(config).map_err(|error| error.to_string())?;
    let cloud = MockCloud::builder().config(config).start().await.map_err(|error| error.to_string())?;
    let ready = cloud.ready();
    let line =
        if quiet { serde_json::json!({"http": ready.http, "https": ready.https}).to_string() } else { ready.line() };
    writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())?;
    std::future::pending().await
}
