//! What is done by the control API at hubs that live in another process: one request, one answer.

use crate::server::control::hubs::{away, run};
use std::sync::Arc;

use async_nats::Message;

use crate::cluster::LeaseGuard;
use crate::cluster::nats::{ANSWER_TIME, Done, Home, Inner, Node, RemoteCall, Unreachable, unreachable};

impl Inner {
    /// Has something done in that process.
    pub(crate) async fn errand(&self, node: Node, errand: RemoteCall) -> Result<Done, Unreachable> {
        let wish = serde_json::to_vec(&errand).map_err(unreachable)?;
        let asked = self.client.request(format!("{}.node.{node}.errand", self.name), wish.into());
        let answer = tokio::time::timeout(ANSWER_TIME, asked).await.map_err(unreachable)?.map_err(unreachable)?;
        serde_json::from_slice(&answer.payload).map_err(unreachable)
    }

    /// Does what another process was asked for, if the hub lives here.
    pub(crate) async fn run_errand(self: Arc<Self>, message: Message) {
        let (Some(reply), Ok(errand)) = (message.reply, serde_json::from_slice::<RemoteCall>(&message.payload)) else {
            return;
        };
        let home = self.home(&errand.serial).await;
        let done = match (self.world(), home) {
            (Some(world), Ok(Home::Here(since))) => {
                let home = LeaseGuard::since(&errand.serial, since);
                run(&world, &errand, &home).await
            }
            (_, Err(error)) => away(&error),
            _ => away(&"the hub lives elsewhere by now; try again"),
        };
        if let Ok(done) = serde_json::to_vec(&done) {
            let _ = self.client.publish(reply, done.into()).await;
        }
    }
}
