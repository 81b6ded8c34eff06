//! Errors of the persisted state.

use std::path::PathBuf;

/// The reasons for which a state cannot be read, written, exported or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// This build cannot persist state, because it lacks the Cargo feature `state`.
    #[error("this build cannot persist state; enable the Cargo feature `state` of ezlo-mock-cloud")]
    Unsupported,
    /// The operating system refused to read or write.
    #[error("cannot read or write the state in {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Another process has the state open.
    #[error("{} is in use by another mock-cloud; stop it, or use another --state-dir", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Other users can change the file.
    #[error("other users can change {}; make it private with chmod 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged, or it is not a state.
    #[error(
        "{} is damaged or not a state of mock-cloud: {reason}; it was left unchanged: move it away to start a new state, \
         or replace it by an export with `mock-cloud state import --replace`", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The defect.
        reason: String,
    },
    /// A document is not a valid export.
    #[error("the document is not an export of `mock-cloud state export`: {reason}")]
    Document {
        /// The defect.
        reason: String,
    },
    /// The setting `simulate_behaviours` differs from the first start of the state.
    #[error(
        "{} was created {with} --simulate-behaviours; start it {with} that flag, or use another --state-dir", path.display(),
        with = if *living { "with" } else { "without" }
    )]
    Living {
        /// The file.
        path: PathBuf,
        /// True if the state was created with simulated behaviours.
        living: bool,
    },
    /// The seed differs from that of the first start of the state.
    #[error(
        "{} was created with the seed {persisted}, not {requested}; omit --seed, or use another --state-dir", path.display()
    )]
    OtherSeed {
        /// The file.
        path: PathBuf,
        /// Seed at the first start.
        persisted: u64,
        /// Requested seed.
        requested: u64,
    },
    /// The state belongs to a world file with other content.
    #[error(
        "{} belongs to the world {world:?} with the content at its first start; start with that world, or use another \
         --state-dir", path.display()
    )]
    OtherWorld {
        /// The file.
        path: PathBuf,
        /// Name or path of the world at the first start.
        world: String,
    },
    /// The directory already holds a state.
    #[error("{} already exists; use --replace to replace it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The state cannot be written to the cluster.
    #[error("cannot share the state with the cluster: {reason}")]
    Cluster {
        /// The reason.
        reason: String,
    },
    /// The directory holds no state.
    #[error("{} holds no state; `mock-cloud serve --state-dir` creates one", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
}
