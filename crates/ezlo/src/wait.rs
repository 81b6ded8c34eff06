//! Waiting for the event that ends an operation.

use std::time::Duration;

use ezlo_protocol::hub::broadcast::Event;
use ezlo_relay::{CallError, RelayEvent, RelayEvents};

use crate::error::Error;

/// Waits until `end` returns a result for an event, for at most `limit`.
///
/// # Errors
///
/// - [`Error::Failed`] if `end` returns `Err`.
/// - [`Error::Call`] with [`CallError::OutcomeUnknown`] if the connection is lost or the session is closed.
/// - [`Error::ConfirmationTimeout`] if no event ends the wait in time, or if the events have ended already.
pub(crate) async fn wait_for<T>(
    mut events: RelayEvents,
    what: String,
    limit: Duration,
    mut end: impl FnMut(&Event) -> Option<Result<T, String>>,
) -> Result<T, Error> {
    let waiting = async {
        loop {
            match events.next().await {
                Some(RelayEvent::Hub(event)) => match end(&event) {
                    Some(Ok(value)) => return Ok(value),
                    Some(Err(text)) => return Err(Error::Failed { what: what.clone(), text }),
                    None => {}
                },
                Some(RelayEvent::Disconnected(reason) | RelayEvent::Closed(reason)) => {
                    return Err(CallError::OutcomeUnknown { method: what.clone(), reason }.into());
                }
                // The expected event may be among those that were dropped; then the timeout ends the wait.
                Some(_) => {}
                None => return Err(Error::ConfirmationTimeout { what: what.clone(), limit }),
            }
        }
    };
    match tokio::time::timeout(limit, waiting).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::ConfirmationTimeout { what, limit }),
    }
}
