//! The filter of journal entries.

use serde_json::{Map, Value};

use crate::journal::entry::{Entry, EntryKind};

/// A filter of journal entries. All given fields have to match; absent fields match every entry (default).
///
/// The JSON form is the member `match` of `POST /expectations`.
///
/// ```
/// use ezlo_mock_cloud::journal::{EntryKind, Filter};
///
/// let not_found = Filter { status: Some(404), ..Filter::kind(EntryKind::Answer).name("/locator") };
/// let json = r#"{"kind":"answer","name":"/locator","status":404}"#;
/// assert_eq!(serde_json::from_str::<Filter>(json)?, not_found);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "JournalFilter"))]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Entries after the entry with this number (default: 0, all entries).
    pub since: u64,
    /// Entries of this kind.
    pub kind: Option<EntryKind>,
    /// Entries with exactly this name.
    pub name: Option<String>,
    /// Entries of the WebSocket connection with this UUID.
    pub connection: Option<String>,
    /// Entries that the entry with this number led to.
    pub cause: Option<u64>,
    /// Entries with this HTTP status or close code.
    pub status: Option<u16>,
    /// Entries whose name begins with this text, such as requests by their path.
    pub path: Option<String>,
    /// Entries with this HTTP method or hub method in their content.
    pub method: Option<String>,
    /// Requests with this host name, without port.
    pub host: Option<String>,
    /// Calls whose `params` have at least these members with these values. Secrets are masked before the comparison.
    pub params: Option<Map<String, Value>>,
    /// Changes, control calls, requests and faults of the hub with this serial. Messages are selected by `connection`.
    pub hub: Option<String>,
}

/// Returns whether a content has these parameters.
fn has_params(content: &Value, params: &Map<String, Value>) -> bool {
    params.iter().all(|(name, wanted)| content["params"].get(name) == Some(wanted))
}

impl Filter {
    /// Returns a filter for entries of this kind.
    pub fn kind(kind: EntryKind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    /// Restricts the filter to entries with exactly this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Returns `true` if the entry matches.
    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        entry.seq > self.since
            && self.kind.is_none_or(|kind| kind == entry.kind)
            && self.name.as_ref().is_none_or(|name| *name == entry.name)
            && self.connection.as_ref().is_none_or(|connection| *connection == entry.connection)
            && self.cause.is_none_or(|cause| Some(cause) == entry.cause)
            && self.status.is_none_or(|status| Some(status) == entry.status)
            && self.path.as_ref().is_none_or(|path| entry.name.starts_with(path))
            && self.hub.as_ref().is_none_or(|hub| entry.is_about(hub))
            && self.params.as_ref().is_none_or(|params| has_params(&entry.content, params))
            && [("method", &self.method), ("host", &self.host)]
                .into_iter()
                .all(|(name, wanted)| wanted.as_ref().is_none_or(|wanted| entry.content[name] == **wanted))
    }
}
