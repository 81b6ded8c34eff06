//! Refusal of methods with too little evidence.

use ezlo_protocol::evidence::Evidence;
use ezlo_protocol::rpc::RpcError;

/// The name of `register` in the vendor's documents.
pub(crate) const LOGIN_CONTROLLER: &str = "nma.login.controller";

/// Evidence and source of the reply to [`LOGIN_CONTROLLER`].
pub(crate) const CONTROLLERS: (Evidence, &str) = (
    Evidence::Inferred,
    "the vendor's documents name it as the other name of register; its answer is that of register",
);

/// Returns the refusal of a relay or hub method that has less evidence than required; `None` if it may be answered.
pub(crate) fn refuse_method(required: Option<Evidence>, method: &str) -> Option<RpcError> {
    if method == LOGIN_CONTROLLER {
        return ezlo_hub_sim::evidence::refuse(required, method, CONTROLLERS.0);
    }
    ezlo_hub_sim::evidence::refuse_method(required, method)
}
