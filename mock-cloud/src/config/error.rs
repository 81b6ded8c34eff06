//! Errors of the configuration.

use std::path::PathBuf;

/// The error of a configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// A file has a syntax error, or an unknown or malformed key.
    #[error("{}: {text}", path.display())]
    Syntax {
        /// Path of the file.
        path: PathBuf,
        /// Line, key and reason.
        text: String,
    },
    /// A value is out of its bounds.
    #[error("{key}: {text}")]
    Value {
        /// Key of the value.
        key: &'static str,
        /// Reason and bounds.
        text: String,
    },
    /// The world is neither a bundled world nor the path of a file.
    #[error("no world is called {name:?} and no such file exists; bundled worlds: {bundled}")]
    NoWorld {
        /// Requested name or path.
        name: String,
        /// Names of the bundled worlds.
        bundled: String,
    },
}
