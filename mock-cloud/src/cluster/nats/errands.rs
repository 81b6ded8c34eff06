//! What is done by the control API at hubs that live in another process: one request, one answer.

use std::sync::Arc;

use async_nats::Message;

use super::{ANSWER_TIME, Done, Errand, Home, Inner, Node, Unreachable, unreachable};
use crate::cluster::Residence;
use crate::server::control;

impl Inner {
    /// Has something done in that process.
    pub(super) async fn errand(&self, node: Node, errand: Errand) -> Result<Done, Unreachable> {
        let wish = serde_json::to_vec(&errand).map_err(unreachable)?;
        let asked = self.client.request(format!("{}.node.{node}.errand", self.name), wish.into());
        let answer = tokio::time::timeout(ANSWER_TIME, asked).await.map_err(unreachable)?.map_err(unreachable)?;
        serde_json::from_slice(&answer.payload).map_err(unreachable)
    }

    /// Does what another process was asked for, if the hub lives here.
    pub(super) async fn run_errand(self: Arc<Self>, message: Message) {
        let (Some(reply), Ok(errand)) = (message.reply, serde_json::from_slice::<Errand>(&message.payload)) else {
            return;
        };
        let home = self.home(&errand.serial).await;
        let done = match (self.world(), home) {
            (Some(world), Ok(Home::Here(since))) => {
                let home = Residence::since(&errand.serial, since);
                control::run(&world, &errand, &home).await
            }
            (_, Err(error)) => control::away(&error),
            _ => control::away(&"the hub lives elsewhere by now; try again"),
        };
        if let Ok(done) = serde_json::to_vec(&done) {
            let _ = self.client.publish(reply, done.into()).await;
        }
    }
}
