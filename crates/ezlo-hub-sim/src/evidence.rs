//! Refusal of methods whose simulated answer has too little evidence.

use ezlo_protocol::error::code;
use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::hub::method::spec;
use ezlo_protocol::rpc::RpcError;

/// Returns the refusal of a hub method that has less evidence than required; `None` if it may be answered.
pub fn refuse_method(required: Option<Evidence>, method: &str) -> Option<RpcError> {
    refuse(required, method, spec(method)?.evidence)
}

/// Returns the refusal of a call with this evidence if more is required.
pub fn refuse(required: Option<Evidence>, name: &str, evidence: Evidence) -> Option<RpcError> {
    let text = refusal_text(required, name, evidence)?;
    Some(RpcError::new(code::APPLICATION, "mock.unproven", &text))
}

/// Returns the text of the refusal of a call with this evidence if more is required.
pub fn refusal_text(required: Option<Evidence>, name: &str, evidence: Evidence) -> Option<String> {
    let required = required.filter(|required| evidence > *required)?;
    let (known, required) = (evidence.as_str(), required.as_str());
    Some(format!("mock-cloud: the evidence for {name} is {known}; --min-evidence requires {required} or better"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weaker_answers_are_refused_and_no_others() {
        assert!(refusal_text(None, "x", Evidence::Inferred).is_none());
        assert!(refusal_text(Some(Evidence::Vendor), "x", Evidence::Vendor).is_none());
        assert!(refusal_text(Some(Evidence::Vendor), "x", Evidence::Captured).is_none());
        let text = refusal_text(Some(Evidence::Vendor), "x", Evidence::Inferred).unwrap();
        assert!(text.contains("x is inferred") && text.contains("vendor or better"), "{text}");
    }
}
