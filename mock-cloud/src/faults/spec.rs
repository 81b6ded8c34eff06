//! A fault as it is wished for: what, when, for whom; and what cannot be wished for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};

use crate::faults::kinds::{CATALOGUE, FaultKind, FaultParameter};
use crate::faults::point::{InjectionContext, InjectionPoint, LISTENERS};

/// Former names of faults.
const RENAMED: &[(&str, &str)] = &[
    ("slices", "fragment_writes"),
    ("half_open", "unresponsive"),
    ("storm", "broadcast_storm"),
    ("slow_head", "slow_headers"),
    ("foreign_answer", "unsolicited_reply"),
    ("no_answer", "drop_reply"),
    ("refuse", "connection_refused"),
];

/// Most faults of a cloud at the same time.
pub(crate) const MAX_FAULTS: usize = 256;

/// When it goes wrong, counted over what matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Trigger {
    /// Each time.
    #[default]
    Always,
    /// The first so many times.
    First(u64),
    /// Each so manieth time.
    Every(u64),
    /// The so manieth time only.
    Nth(u64),
    /// In that share of times, 0 to 1; 0 changes nothing.
    Chance(f64),
}

/// What has to be so. What is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Host name of the request, without port.
    pub host: Option<String>,
    /// Beginning of the path of the request.
    pub path: Option<String>,
    /// HTTP method, or method of the call or message; a broadcast's `msg_subclass`.
    pub method: Option<String>,
    /// Serial of the hub that the connection talks to.
    pub hub: Option<String>,
    /// Name of the user who asks: of the tokens of a request, or of the login of a connection.
    pub user: Option<String>,
    /// Uuid of the WebSocket connection, as in the journal.
    pub connection: Option<String>,
    /// Parameters of a call, or of the query of a request, and the values that they have to have.
    pub params: Option<Map<String, Value>>,
    /// Name of the listener: `cloud`, `access-point` or `lan`. The control API has no faults.
    pub listener: Option<String>,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// When.
    pub when: Trigger,
    /// For whom.
    #[serde(rename = "match")]
    pub matching: Match,
}

impl<'de> Deserialize<'de> for Fault {
    /// By hand: what is derived for flattened members passes over members that nobody knows, and a misspelt `when` would make
    /// a fault that always fires.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let mut wish = serde_json::Map::deserialize(deserializer)?;
        let when = wish.remove("when").map_or_else(|| Ok(Trigger::Always), serde_json::from_value);
        let matching = wish.remove("match").map_or_else(|| Ok(Match::default()), serde_json::from_value);
        let name = wish.get("fault").and_then(serde_json::Value::as_str).unwrap_or_default();
        if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
            return Err(D::Error::custom(format!("fault `{name}` is now called `{new}`")));
        }
        if let Some(entry) = CATALOGUE.iter().find(|entry| entry.fault == name) {
            let names: Vec<&str> =
                ["when", "match"].into_iter().chain(entry.parameters.iter().map(|p| p.name)).collect();
            if let Some(unknown) = wish.keys().find(|member| *member != "fault" && !names.contains(&member.as_str())) {
                let text = format!("unknown member `{unknown}`; {name} takes {}", names.join(", "));
                return Err(D::Error::custom(text));
            }
        }
        let kind = FaultKind::deserialize(serde_json::Value::Object(wish)).map_err(D::Error::custom)?;
        Ok(Self { kind, when: when.map_err(D::Error::custom)?, matching: matching.map_err(D::Error::custom)? })
    }
}

/// A fault cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// A number is out of bounds.
    #[error("{what} is not between {least} and {most}")]
    Bounds {
        /// Which.
        what: String,
        /// The smallest.
        least: i64,
        /// The largest.
        most: i64,
    },
    /// It could never match.
    #[error("{fault} is about {place}, which have no {member}; match by {knows}")]
    NeverMatches {
        /// Name of the fault.
        fault: &'static str,
        /// What it is about.
        place: &'static str,
        /// Member of the match.
        member: &'static str,
        /// What can be matched by.
        knows: String,
    },
    /// There is no such listener.
    #[error("no listener is called {name:?}; there are {}", LISTENERS.join(", "))]
    Listener {
        /// What was asked for.
        name: String,
    },
    /// A close code that stands for closes without one.
    #[error("close code {0} is never sent; `abort` ends a connection without one")]
    CloseCode(u16),
    /// No path begins so.
    #[error("path is the beginning of a path, as /autha; none begins with {0:?}")]
    Path(String),
    /// Nobody can count connections that are not taken.
    #[error(
        "`connection_refused` supports only when=\"always\": the system rejects these connections, so they cannot be counted"
    )]
    NotCounted,
    /// The processes of a cluster do not share what it needs.
    #[error("{0} is for a cloud of one process: each process of a cluster counts its own logins")]
    OfOneProcess(&'static str),
    /// There are too many.
    #[error("there are {MAX_FAULTS} faults already; remove some")]
    TooMany,
}

impl Fault {
    /// Each time, for everybody.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, when: Trigger::Always, matching: Match::default() }
    }

    /// When.
    #[must_use]
    pub const fn when(mut self, when: Trigger) -> Self {
        self.when = when;
        self
    }

    /// Only for requests whose path begins so.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.matching.path = Some(path.into());
        self
    }

    /// Only for that HTTP method, or that method of a call or message.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.matching.method = Some(method.into());
        self
    }

    /// The same for equal faults, in every run.
    pub(crate) fn digest(&self) -> u64 {
        let digest = Sha1::digest(serde_json::to_vec(self).unwrap_or_default());
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Only for that hub.
    #[must_use]
    pub fn hub(mut self, serial: impl Into<String>) -> Self {
        self.matching.hub = Some(serial.into());
        self
    }

    /// What a match may name depends on where the fault is: a connection has no path yet.
    fn check_match(&self) -> Result<(), FaultError> {
        let place = self.kind.injection_point();
        let wanted = [
            ("host", self.matching.host.is_some()),
            ("path", self.matching.path.is_some()),
            ("method", self.matching.method.is_some()),
            ("user", self.matching.user.is_some()),
            ("connection", self.matching.connection.is_some()),
            ("params", self.matching.params.is_some()),
        ];
        for (member, is_wanted) in wanted {
            if is_wanted && !place.knows().contains(&member) {
                let knows = [place.knows(), &["hub", "listener"]].concat().join(", ");
                let fault = self.kind.name();
                return Err(FaultError::NeverMatches { fault, place: place.plural(), member, knows });
            }
        }
        let Match { hub, listener, user, .. } = &self.matching;
        let is_cloud = matches!(place, InjectionPoint::Login | InjectionPoint::Token | InjectionPoint::Record);
        let local = listener.as_deref().is_some_and(|name| name != "cloud");
        // A connection to the cloud is nobody's hub's before it says something.
        let of_nobody =
            matches!(place, InjectionPoint::Listener | InjectionPoint::Connection | InjectionPoint::Upgrade)
                && listener.as_deref() == Some("cloud");
        // A login and a token are nobody's hub's; users are known to the cloud alone.
        let never = [
            ("hub", hub.is_some() && matches!(place, InjectionPoint::Login | InjectionPoint::Token)),
            ("listener", local && is_cloud),
            ("user on that listener", local && user.is_some()),
            ("hub on that listener", of_nobody && hub.is_some()),
        ];
        if let Some((member, _)) = never.into_iter().find(|(_, never)| *never) {
            let knows = place.knows().join(", ");
            return Err(FaultError::NeverMatches { fault: self.kind.name(), place: place.plural(), member, knows });
        }
        if let Some(path) = self.matching.path.as_ref().filter(|path| !path.starts_with('/')) {
            return Err(FaultError::Path(path.clone()));
        }
        match &self.matching.listener {
            Some(name) if !LISTENERS.contains(&name.as_str()) => Err(FaultError::Listener { name: name.clone() }),
            _ => Ok(()),
        }
    }

    pub(crate) fn check(&self) -> Result<(), FaultError> {
        self.check_match()?;
        self.check_trigger()?;
        if let Some(parameter) = self.kind.out_of_bounds() {
            let FaultParameter { name, minimum, maximum, json_type, .. } = *parameter;
            let what = if json_type == "string" { format!("length of {name}") } else { name.to_owned() };
            return Err(FaultError::Bounds { what, least: minimum, most: maximum });
        }
        self.check_gaps()
    }

    fn check_trigger(&self) -> Result<(), FaultError> {
        if self.kind == FaultKind::ConnectionRefused && self.when != Trigger::Always {
            return Err(FaultError::NotCounted);
        }
        let out_of_bounds = |what: &str, most| FaultError::Bounds { what: what.to_owned(), least: 1, most };
        match self.when {
            Trigger::First(0) => Err(out_of_bounds("first", i64::MAX)),
            Trigger::Every(0) => Err(out_of_bounds("every", i64::MAX)),
            Trigger::Nth(0) => Err(out_of_bounds("nth", i64::MAX)),
            Trigger::Chance(chance) if !(0.0..=1.0).contains(&chance) => {
                Err(FaultError::Bounds { what: "chance".into(), least: 0, most: 1 })
            }
            Trigger::Always | Trigger::First(_) | Trigger::Every(_) | Trigger::Nth(_) | Trigger::Chance(_) => Ok(()),
        }
    }

    /// Values inside the bounds of the table that are refused nevertheless.
    fn check_gaps(&self) -> Result<(), FaultError> {
        if let FaultKind::Close { code: code @ (1005 | 1006 | 1015) } = &self.kind {
            return Err(FaultError::CloseCode(*code));
        }
        if let FaultKind::UpgradeRefused { status: 201..400 } = &self.kind {
            return Err(FaultError::Bounds { what: "status (other than 200)".into(), least: 400, most: 599 });
        }
        if let FaultKind::ClockSkew { seconds: 0 } = &self.kind {
            return Err(FaultError::Bounds { what: "absolute value of seconds".into(), least: 1, most: 31_536_000 });
        }
        Ok(())
    }
}

impl Match {
    pub(crate) fn holds(&self, facts: &InjectionContext<'_>) -> bool {
        let same = |wanted: &Option<String>, have: &str| wanted.as_deref().is_none_or(|wanted| wanted == have);
        same(&self.host, facts.host)
            && same(&self.method, facts.method)
            && same(&self.hub, facts.hub)
            && same(&self.connection, facts.connection)
            && self.user.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(facts.user))
            && self.params.as_ref().is_none_or(|wanted| has(facts.params, wanted))
            && same(&self.listener, facts.listener)
            && self.path.as_deref().is_none_or(|start| facts.path.starts_with(start))
    }
}

/// Whether all of these are there, with these values. Values of a query are text.
fn has(params: Option<&Value>, wanted: &Map<String, Value>) -> bool {
    let same = |have: &Value, want: &Value| {
        let text = want.to_string();
        have == want || have.as_str() == Some(&text)
    };
    wanted.iter().all(|(name, want)| params.and_then(|params| params.get(name)).is_some_and(|have| same(have, want)))
}
