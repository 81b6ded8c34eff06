//! Bundled worlds, world files, and the conversion of replies of real hubs into world files.

use std::path::{Path, PathBuf};

pub use ezlo_hub_sim::describe::{HubSummary, Summary, TemplateSummary, templates};
use ezlo_hub_sim::world_file::{MAX_BYTES, WorldFile};
pub use ezlo_hub_sim::{Conversion, Difference, Fate};
use ezlo_hub_sim::{DumpError, describe};

use crate::config::error::ConfigError;

/// Maximum length of one file of a dump, in bytes.
const MAX_DUMP_BYTES: u64 = 64 * 1024 * 1024;

/// Returns the names of the bundled worlds, such as `demo`. Reads no files.
pub fn bundled() -> impl Iterator<Item = &'static str> {
    WorldFile::bundled_names()
}

/// Loads a bundled world by name, or a world file by path. The name of a bundled world has precedence.
pub(crate) fn load(name_or_path: &str) -> Result<WorldFile, ConfigError> {
    if let Some(world) = WorldFile::bundled(name_or_path) {
        return Ok(world);
    }
    let path = Path::new(name_or_path);
    if !path.is_file() {
        let bundled = bundled().collect::<Vec<_>>().join(", ");
        return Err(ConfigError::NoWorld { name: name_or_path.to_owned(), bundled });
    }
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(read)?.len() > MAX_BYTES {
        let text = format!("longer than {MAX_BYTES} bytes");
        return Err(ConfigError::Syntax { path: path.to_owned(), text });
    }
    parse(path, &std::fs::read_to_string(path).map_err(read)?)
}

fn parse(path: &Path, text: &str) -> Result<WorldFile, ConfigError> {
    WorldFile::parse(&path.display().to_string(), text)
        .map_err(|error| ConfigError::Syntax { path: path.to_owned(), text: error.text })
}

/// Loads a world, bundled by name or from a file, and summarises it. Reads at most one file.
///
/// # Errors
///
/// - [`ConfigError::NoWorld`] if no bundled world has this name and no such file exists.
/// - [`ConfigError::Read`] if the file cannot be read.
/// - [`ConfigError::Syntax`] if the file is too long or not a valid world. The text names line and key.
pub fn summary(name_or_path: &str) -> Result<Summary, ConfigError> {
    Ok(describe::summarize(&load(name_or_path)?))
}

/// Checks the text of a world file and summarises the world. The path is used in errors only.
///
/// # Errors
///
/// - [`ConfigError::Syntax`] if the text is not a valid world. The text of the error names line and key.
pub fn check(path: &Path, text: &str) -> Result<Summary, ConfigError> {
    Ok(describe::summarize(&parse(path, text)?))
}

/// The errors of [`from_dump`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpFolderError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Path of the file or folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A file is longer than 64 MiB.
    #[error("{}: longer than {MAX_DUMP_BYTES} bytes", path.display())]
    TooLong {
        /// Path of the file.
        path: PathBuf,
    },
    /// The replies of the hub cannot be converted.
    #[error("cannot convert the dump in {}", folder.display())]
    Dump {
        /// Path of the folder.
        folder: PathBuf,
        /// Cause.
        source: DumpError,
    },
}

/// Converts a folder with the replies of a hub into the text of a world file.
///
/// Reads every file `*.json` of the folder; each holds one reply, recognised by its content. Used are the replies to
/// `hub.info.get`, `hub.devices.list`, `hub.items.list`, `hub.room.list`, `hub.scenes.list`, `hub.modes.get` and
/// `hub.gateways.list`; only the devices are required. Personal values are replaced by pseudonyms.
///
/// # Errors
///
/// - [`DumpFolderError::Read`] if the folder or a file cannot be read.
/// - [`DumpFolderError::TooLong`] if a file is longer than 64 MiB.
/// - [`DumpFolderError::Dump`] if a reply cannot be decoded, no devices are found, or the result is not a valid world file.
pub fn from_dump(folder: &Path) -> Result<Conversion, DumpFolderError> {
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| DumpFolderError::Read { path, source }
    };
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(read(folder))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut documents = Vec::new();
    for path in files {
        if std::fs::metadata(&path).map_err(read(&path))?.len() > MAX_DUMP_BYTES {
            return Err(DumpFolderError::TooLong { path });
        }
        let text = std::fs::read(&path).map_err(read(&path))?;
        documents.push((path.display().to_string(), text));
    }
    let documents = documents.iter().map(|(name, text)| (name.as_str(), text.as_slice()));
    ezlo_hub_sim::from_dump(documents).map_err(|source| DumpFolderError::Dump { folder: folder.to_owned(), source })
}
