//! The context of a new cloud, with the file of its CA certificate.

use std::path::Path;
use std::sync::Arc;

use ezlo_hub_sim::world_file::WorldFile;

use crate::config::Config;
use crate::core::control_token::ControlToken;
use crate::mock_cloud::error::StartError;
use crate::server::context::CloudContext;
use crate::tls::Authority;

/// Creates the context of a new cloud and writes its CA certificate.
pub(crate) fn context(
    config: Config,
    file: WorldFile,
    authority: Authority,
    begun_ms: i64,
) -> Result<Arc<CloudContext>, StartError> {
    let (folder, ca_path) = write_certificate(&config, authority.pem())?;
    let is_exposed = !config.control_bind.is_loopback();
    let control_token = config.control_token.clone().or_else(|| is_exposed.then(ControlToken::random));
    let (file, authority) = (Arc::new(file), Arc::new(authority));
    Ok(Arc::new(CloudContext { config, file, authority, _folder: folder, control_token, ca_path, begun_ms }))
}

/// Writes the CA certificate to the state directory, or to a temporary directory without one.
fn write_certificate(config: &Config, pem: &str) -> Result<(Option<tempfile::TempDir>, String), StartError> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |source: std::io::Error| StartError::Directory { path, source }
    };
    let (folder, path) = match &config.state_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(at(dir))?;
            (None, dir.join("ca.pem"))
        }
        None => {
            let place = std::env::temp_dir();
            remove_remains(&place);
            let prefix = format!("{PREFIX}{}-", std::process::id());
            let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&place).map_err(at(&place))?;
            let path = folder.path().join("ca.pem");
            (Some(folder), path)
        }
    };
    // Renamed into place, so that readers never see a part of it. A new file is never a link that another user has prepared.
    let beside = path.with_extension("pem.new");
    let _ = std::fs::remove_file(&beside);
    let created =
        std::fs::File::create_new(&beside).and_then(|mut file| std::io::Write::write_all(&mut file, pem.as_bytes()));
    created.and_then(|()| std::fs::rename(&beside, &path)).map_err(at(&path))?;
    // Clients run in other directories.
    let path = std::path::absolute(&path).map_err(at(&path))?;
    Ok((folder, path.display().to_string()))
}

/// Start of the names of temporary directories. The number of the process follows.
const PREFIX: &str = "mock-cloud-";

/// Maximum number of entries of the temporary directory that are examined.
const MAX_EXAMINED: usize = 10_000;

/// Removes the temporary directories of processes that were killed. Each holds only a CA certificate. Failures are ignored, because
/// they can belong to another user.
fn remove_remains(place: &Path) {
    let entries = std::fs::read_dir(place).into_iter().flatten().take(MAX_EXAMINED).flatten();
    for entry in entries {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok());
        if process.is_some_and(|process| !is_running(process)) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = std::fs::remove_file(entry.path().join("ca.pem"));
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

/// Returns whether a process exists. Systems other than Unix always return true.
fn is_running(process: i32) -> bool {
    #[cfg(unix)]
    return rustix::process::Pid::from_raw(process)
        .is_none_or(|process| rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH));
    #[cfg(not(unix))]
    return process >= 0;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn directories_of_ended_processes_are_removed() {
        let place = tempfile::tempdir().unwrap();
        // Process numbers above the limit of the system never exist.
        let (ended, own) = (place.path().join("mock-cloud-2147483000-x"), format!("{PREFIX}{}-x", std::process::id()));
        for folder in [&ended, &place.path().join(&own), &place.path().join("mock-cloud-old")] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("ca.pem"), "").unwrap();
        }
        remove_remains(place.path());
        assert!(!ended.exists() && place.path().join(own).exists() && place.path().join("mock-cloud-old").exists());
    }
}
