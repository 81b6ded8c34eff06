//! Control calls to hubs that are active in another process.

use std::sync::Arc;

use async_nats::Message;
use async_nats::client::RequestErrorKind;

use crate::cluster::nats::{ANSWER_TIME, Done, Home, Inner, Node, RemoteCall, Unreachable, unreachable};
use crate::world::backplane::LeaseGuard;

impl Inner {
    /// Runs a control call in another process.
    pub(crate) async fn call_remote(&self, node: Node, remote_call: RemoteCall) -> Result<Done, Unreachable> {
        let request = serde_json::to_vec(&remote_call).map_err(unreachable)?;
        let asked = self.client.request(format!("{}.node.{node}.remote_call", self.name), request.into());
        let silent = || {
            let seconds = ANSWER_TIME.as_secs();
            Unreachable(format!(
                "the process of the hub did not answer within {seconds} s; the call may still have run"
            ))
        };
        let answer = tokio::time::timeout(ANSWER_TIME, asked)
            .await
            .map_err(|_| silent())?
            .map_err(|error| if error.kind() == RequestErrorKind::TimedOut { silent() } else { unreachable(error) })?;
        serde_json::from_slice(&answer.payload).map_err(unreachable)
    }

    /// Runs the control call of another process, if the hub is active here.
    pub(crate) async fn run_remote_call(self: Arc<Self>, message: Message) {
        let (Some(reply), Ok(remote_call)) = (message.reply, serde_json::from_slice::<RemoteCall>(&message.payload))
        else {
            return;
        };
        let home = self.home(&remote_call.serial).await;
        let done = match (self.world(), self.run_call.get(), home) {
            (Some(world), Some(run), Ok(Home::Here(since))) => {
                let home = LeaseGuard::since(&remote_call.serial, since);
                run(&world, &remote_call, &home).await
            }
            (_, _, Err(error)) => Done::unavailable(&error),
            _ => Done::unavailable(&"the hub moved to another process; try again"),
        };
        if let Ok(done) = serde_json::to_vec(&done) {
            let _ = self.client.publish(reply, done.into()).await;
        }
    }
}
