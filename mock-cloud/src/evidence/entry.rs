//! Evidence of one simulated answer.

use ezlo_protocol::evidence::Evidence;
use serde::Serialize;

/// The evidence of one simulated reply, refusal, broadcast or group of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "EvidenceEntry"))]
#[non_exhaustive]
pub struct Entry {
    /// Surface: `cloud`, `access-point`, `lan` (a hub's HTTP server), `hub` (including the methods of the relay), `broadcast`,
    /// `error` and `http-error` (refusals), or `fields` (groups of members).
    pub surface: &'static str,
    /// Name of the call, method, broadcast, refusal or group.
    pub name: &'static str,
    /// Evidence level.
    #[cfg_attr(test, schemars(with = "String"))]
    pub evidence: Evidence,
    /// Source of the evidence.
    pub source: &'static str,
}
