//! The request for a fault: kind, trigger and matcher, with their checks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};

use crate::core::renamed;
use crate::faults::kinds::{CATALOGUE, FaultKind, FaultParameter};
use crate::faults::point::{InjectionContext, InjectionPoint, LISTENERS};

/// Maximum number of active faults of a cloud.
pub(crate) const MAX_FAULTS: usize = 256;

/// The trigger of a fault: it decides which of the matching events fire.
///
/// The count begins when the fault is added. It includes only events that match and to which the fault is applicable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FaultTrigger"))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Trigger {
    /// Fires for each event (default).
    #[default]
    Always,
    /// Fires for the first `n` events; `n` is at least 1.
    First(u64),
    /// Fires for every `n`-th event; `n` is at least 1.
    Every(u64),
    /// Fires for the `n`-th event only; `n` is at least 1.
    Nth(u64),
    /// Fires with this probability, 0 to 1. The value 0 never fires and draws no random number.
    Chance(f64),
}

/// The conditions of a fault on an event. All given fields have to match; absent fields match every event (default).
///
/// The injection point decides which fields are accepted, see [`InjectionPoint`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FaultMatcher"))]
#[serde(deny_unknown_fields, default)]
pub struct Matcher {
    /// Host name of the request, without port, in lower case.
    pub host: Option<String>,
    /// Prefix of the path of the request. Starts with `/`.
    pub path: Option<String>,
    /// HTTP method, method of a call or reply, or `msg_subclass` of a broadcast. Case-sensitive.
    pub method: Option<String>,
    /// Serial of the hub that the event concerns.
    pub hub: Option<String>,
    /// Name of the user, from the tokens of a request or the login of a connection. Case is ignored.
    pub user: Option<String>,
    /// UUID of the WebSocket connection, as in the journal.
    pub connection: Option<String>,
    /// Required parameters of a call, or of the query of a request, with their values. Query values are text.
    pub params: Option<Map<String, Value>>,
    /// Name of the listener: `cloud`, `access-point` or `lan`.
    pub listener: Option<String>,
}

/// A request for a fault: its kind, trigger and matcher.
///
/// The JSON form is the body of `POST /faults`: the fault and its parameters, `when` (default: always) and `match` (default:
/// every event). Unknown members are refused.
///
/// ```
/// use ezlo_mock_cloud::faults::{FaultKind, FaultSpec, Trigger};
///
/// let fault = FaultSpec::new(FaultKind::Status { status: 503, retry_after: Some(2) })
///     .path("/autha")
///     .when(Trigger::First(2));
/// let json = r#"{"fault":"status","status":503,"retry_after":2,"when":{"first":2},"match":{"path":"/autha"}}"#;
/// assert_eq!(serde_json::from_str::<FaultSpec>(json)?, fault);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FaultSpec {
    /// Kind of the fault, with its parameters.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Trigger (default: always).
    pub when: Trigger,
    /// Conditions on the event (default: none).
    #[serde(rename = "match")]
    pub matcher: Matcher,
}

impl<'de> Deserialize<'de> for FaultSpec {
    // The derived implementation ignores unknown members next to flattened ones, so a misspelt `when` would always fire.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let mut members = serde_json::Map::deserialize(deserializer)?;
        let when = members.remove("when").map_or_else(|| Ok(Trigger::Always), serde_json::from_value);
        let matcher = members.remove("match").map_or_else(|| Ok(Matcher::default()), serde_json::from_value);
        let name = members.get("fault").and_then(serde_json::Value::as_str).unwrap_or_default();
        if let Some(new) = renamed::present(renamed::FAULTS, name) {
            return Err(D::Error::custom(format!("fault `{name}` is now {new}")));
        }
        if let Some(entry) = CATALOGUE.iter().find(|entry| entry.fault == name) {
            let names: Vec<&str> =
                ["when", "match"].into_iter().chain(entry.parameters.iter().map(|p| p.name)).collect();
            if let Some(unknown) = members.keys().find(|member| *member != "fault" && !names.contains(&member.as_str()))
            {
                let text = format!("unknown member `{unknown}`; {name} takes {}", names.join(", "));
                return Err(D::Error::custom(text));
            }
        }
        let kind = FaultKind::deserialize(serde_json::Value::Object(members)).map_err(D::Error::custom)?;
        Ok(Self { kind, when: when.map_err(D::Error::custom)?, matcher: matcher.map_err(D::Error::custom)? })
    }
}

/// The error of a fault that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// A parameter is out of its bounds.
    #[error("{what} is not between {least} and {most}")]
    Bounds {
        /// Name of the parameter.
        what: String,
        /// Smallest value.
        least: i64,
        /// Largest value.
        most: i64,
    },
    /// The fault could never match, because its injection point does not provide the field.
    #[error("{fault} acts on {place}, which have no {member}; match by {knows}")]
    NeverMatches {
        /// Name of the fault.
        fault: &'static str,
        /// Injection point, in the plural.
        place: &'static str,
        /// Matcher field.
        member: &'static str,
        /// Accepted matcher fields.
        knows: String,
    },
    /// The listener does not exist.
    #[error("unknown listener {name:?}; expected one of {}", LISTENERS.join(", "))]
    Listener {
        /// Requested name.
        name: String,
    },
    /// No hub has the serial.
    #[error("no hub has the serial {0:?}; a fault on it would never be injected")]
    UnknownHub(String),
    /// The close code is reserved for closes without a close frame.
    #[error("close code {0} is never sent; `abort` ends a connection without a close frame")]
    CloseCode(u16),
    /// The path prefix does not start with `/`.
    #[error("path {0:?} does not start with `/`; use a prefix such as /autha")]
    Path(String),
    /// The trigger of `connection_refused` counts, but rejected connections cannot be counted.
    #[error(
        "`connection_refused` supports only when=\"always\": the system rejects these connections, so they cannot be counted"
    )]
    NotCounted,
    /// The fault is not available in a cluster.
    #[error(
        "{0} is not available in a cluster, whose processes do not share the order of logins; use a single process"
    )]
    SingleProcessOnly(&'static str),
    /// The fault of a call names no hub. In a cluster, such a fault acts in the process of a hub.
    #[error("{0} acts in the process that has the hub; in a cluster, name the hub with match.hub")]
    HubRequired(&'static str),
    /// The hub of the fault is active in another process of the cluster.
    #[error("{fault} acts in the process that has the hub, and another process has hub {serial}; add the fault there")]
    HubElsewhere {
        /// Name of the fault.
        fault: &'static str,
        /// Serial of the hub.
        serial: String,
    },
    /// The maximum number of active faults is reached.
    #[error("{MAX_FAULTS} faults are active already; remove some first")]
    TooMany,
}

impl FaultSpec {
    /// Returns a fault that fires for each event.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, when: Trigger::Always, matcher: Matcher::default() }
    }

    /// Sets the trigger (default: always).
    #[must_use]
    pub const fn when(mut self, when: Trigger) -> Self {
        self.when = when;
        self
    }

    /// Restricts the fault to requests whose path begins with `path`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.matcher.path = Some(path.into());
        self
    }

    /// Restricts the fault to an HTTP method, a method of calls or replies, or a broadcast.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.matcher.method = Some(method.into());
        self
    }

    /// Returns a hash that is equal for equal faults in every run.
    pub(crate) fn digest(&self) -> u64 {
        let digest = Sha1::digest(ezlo_protocol::wire::to_bytes(self));
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Restricts the fault to one hub.
    #[must_use]
    pub fn hub(mut self, serial: impl Into<String>) -> Self {
        self.matcher.hub = Some(serial.into());
        self
    }

    /// Checks that the injection point provides every field of the matcher.
    fn check_match(&self) -> Result<(), FaultError> {
        let place = self.kind.injection_point();
        let wanted = [
            ("host", self.matcher.host.is_some()),
            ("path", self.matcher.path.is_some()),
            ("method", self.matcher.method.is_some()),
            ("user", self.matcher.user.is_some()),
            ("connection", self.matcher.connection.is_some()),
            ("params", self.matcher.params.is_some()),
        ];
        for (member, is_wanted) in wanted {
            if is_wanted && !place.matchable_members().contains(&member) {
                let knows = [place.matchable_members(), &["hub", "listener"]].concat().join(", ");
                let fault = self.kind.name();
                return Err(FaultError::NeverMatches { fault, place: place.plural(), member, knows });
            }
        }
        let Matcher { hub, listener, user, .. } = &self.matcher;
        let is_cloud = matches!(place, InjectionPoint::Login | InjectionPoint::Token | InjectionPoint::Record);
        let local = listener.as_deref().is_some_and(|name| name != "cloud");
        // A connection to the cloud belongs to no hub before its first request.
        let is_without_hub =
            matches!(place, InjectionPoint::Listener | InjectionPoint::Connection | InjectionPoint::Upgrade)
                && listener.as_deref() == Some("cloud");
        // A login and a token belong to no hub, and only the cloud has users.
        let never = [
            ("hub", hub.is_some() && matches!(place, InjectionPoint::Login | InjectionPoint::Token)),
            ("listener", local && is_cloud),
            ("user on that listener", local && user.is_some()),
            ("hub on that listener", is_without_hub && hub.is_some()),
        ];
        if let Some((member, _)) = never.into_iter().find(|(_, never)| *never) {
            let knows = place.matchable_members().join(", ");
            return Err(FaultError::NeverMatches { fault: self.kind.name(), place: place.plural(), member, knows });
        }
        if let Some(path) = self.matcher.path.as_ref().filter(|path| !path.starts_with('/')) {
            return Err(FaultError::Path(path.clone()));
        }
        match &self.matcher.listener {
            Some(name) if !LISTENERS.contains(&name.as_str()) => Err(FaultError::Listener { name: name.clone() }),
            _ => Ok(()),
        }
    }

    /// Checks trigger, matcher and parameters.
    ///
    /// # Errors
    ///
    /// The [`FaultError`] of the first member that is not accepted.
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

    /// Refuses the invalid values inside the bounds of the catalogue.
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

impl Matcher {
    /// Returns `true` if the event matches.
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

/// Returns `true` if `params` has all of `wanted`. A number matches its text, because values of a query are text.
fn has(params: Option<&Value>, wanted: &Map<String, Value>) -> bool {
    let same = |have: &Value, want: &Value| {
        let text = want.to_string();
        have == want || have.as_str() == Some(&text)
    };
    wanted.iter().all(|(name, want)| params.and_then(|params| params.get(name)).is_some_and(|have| same(have, want)))
}
