//! Refusal of calls whose simulated reply has less evidence than required.

use ezlo_protocol::error::code;
use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::hub::method::spec;
use ezlo_protocol::rpc::RpcError;

/// Returns the refusal of a hub method that has less evidence than required.
///
/// Returns `None` if the method may be answered or is not in the registry of `ezlo-protocol`.
pub fn refuse_method(required: Option<Evidence>, method: &str) -> Option<RpcError> {
    refuse(required, method, spec(method)?.evidence)
}

/// Returns the refusal of a call if `evidence` is less than required. The member `data` of the error is `mock.unproven`.
pub fn refuse(required: Option<Evidence>, name: &str, evidence: Evidence) -> Option<RpcError> {
    let text = refusal_text(required, name, evidence)?;
    Some(RpcError::new(code::APPLICATION, "mock.unproven", &text))
}

/// Returns the text of the refusal of a call if `evidence` is less than required.
pub fn refusal_text(required: Option<Evidence>, name: &str, evidence: Evidence) -> Option<String> {
    let required = required.filter(|required| evidence > *required)?;
    let (known, required) = (evidence.as_str(), required.as_str());
    Some(format!("mock-cloud: the evidence for {name} is {known}; --min-evidence requires {required} or better"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_with_less_evidence_than_required_are_refused() {
        assert!(refusal_text(None, "x", Evidence::Inferred).is_none());
        assert!(refusal_text(Some(Evidence::Vendor), "x", Evidence::Vendor).is_none());
        assert!(refusal_text(Some(Evidence::Vendor), "x", Evidence::Captured).is_none());
        let text = refusal_text(Some(Evidence::Vendor), "x", Evidence::Inferred).unwrap();
        assert!(text.contains("x is inferred") && text.contains("vendor or better"), "{text}");
    }
}
