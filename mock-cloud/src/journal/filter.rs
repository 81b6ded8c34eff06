//! Which entries somebody wants.

use crate::journal::{Entry, EntryKind};

/// Which entries are meant; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Only later ones than this number.
    pub since: u64,
    /// Only of that kind.
    pub kind: Option<EntryKind>,
    /// Only with that name.
    pub name: Option<String>,
    /// Only of that connection.
    pub connection: Option<String>,
    /// Only what that entry led to.
    pub cause: Option<u64>,
    /// Only with that HTTP status or close code.
    pub status: Option<u16>,
    /// Only whose name begins so, as requests by their path.
    pub path: Option<String>,
    /// Only of that HTTP method, or about that method of a hub.
    pub method: Option<String>,
    /// Only with that host.
    pub host: Option<String>,
    /// Only about that hub, by its serial: its changes, control calls and requests about it, faults that hit it. Messages are
    /// told apart by their connection.
    pub hub: Option<String>,
}

impl Filter {
    /// That kind.
    pub fn kind(kind: EntryKind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    /// That name too.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        entry.seq > self.since
            && self.kind.is_none_or(|kind| kind == entry.kind)
            && self.name.as_ref().is_none_or(|name| *name == entry.name)
            && self.connection.as_ref().is_none_or(|connection| *connection == entry.connection)
            && self.cause.is_none_or(|cause| Some(cause) == entry.cause)
            && self.status.is_none_or(|status| Some(status) == entry.status)
            && self.path.as_ref().is_none_or(|path| entry.name.starts_with(path))
            && self.hub.as_ref().is_none_or(|hub| entry.is_about(hub))
            && [("method", &self.method), ("host", &self.host)]
                .into_iter()
                .all(|(name, wanted)| wanted.as_ref().is_none_or(|wanted| entry.content[name] == **wanted))
    }
}
