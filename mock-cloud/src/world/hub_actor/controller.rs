//! An external controller that answers for a hub instead of the simulated one.

use std::borrow::Cow;
use std::sync::Arc;

use ezlo_protocol::cloud::controller::CREDENTIALS_UPDATED;
use ezlo_protocol::rpc::FrameKind;
use serde_json::json;

use crate::world::hub_actor::HubActor;
use crate::world::outbox::Link;

impl HubActor {
    /// Marks the hub for the other processes of a cluster, which show whether a controller is connected. Only the process that has the
    /// hub may call it.
    pub(crate) fn mark_controller(&self) {
        if self.env.row_limit.get().is_some() {
            self.mark_dirty();
        }
    }

    /// Attaches an external controller. The previous one, if any, is closed.
    pub(crate) fn controller_registered(&self, link: Link) {
        let mut state = self.lock();
        let was_online = state.controller.is_some() || state.hub.wifi.at_relay();
        if let Some(before) = state.controller.replace(link) {
            before.close(1000, "another controller registered");
        }
        if !was_online {
            self.broadcast_presence(&mut state, true);
        }
    }

    /// Takes the UUID that a controller registers with, so that all documents of the cloud show the one that the hub shows.
    pub(crate) fn take_uuid(self: &Arc<Self>, uuid: &str) {
        if self.read(|hub| hub.uuid != uuid) {
            self.change(|hub, _| hub.uuid = uuid.to_owned(), |()| ());
        }
    }

    /// Tells the external controller, if one is connected, that the keys of its users have changed.
    pub(crate) fn announce_keys(&self, id: &str) {
        let controller = self.lock().controller.clone();
        if let Some(controller) = controller {
            let message = json!({"id": id, "method": CREDENTIALS_UPDATED, "params": {}});
            controller.send(&message.to_string());
        }
    }

    /// Detaches the external controller with this connection.
    pub(crate) fn controller_disconnected(&self, conn_id: &str) {
        let mut state = self.lock();
        if state.controller.as_ref().is_some_and(|controller| &*controller.conn_id == conn_id) {
            state.controller = None;
            self.mark_controller();
            if !state.hub.wifi.at_relay() {
                self.broadcast_presence(&mut state, false);
            }
        }
    }

    /// Forwards a message of the external controller: a broadcast to all subscribers, a reply to the requesting client.
    pub(crate) fn forward_to_clients(&self, kind: FrameKind, sender: Option<&str>, text: &str) {
        let mut state = self.lock();
        match kind {
            FrameKind::Broadcast => state.links.broadcast(|_| true, text),
            FrameKind::Reply => {
                let sender = sender.and_then(|sender| serde_json::from_str::<Sender<'_>>(sender).ok());
                let conn_id = sender.map(|sender| sender.conn_id).unwrap_or_default();
                state.links.reply(&conn_id, text);
            }
            FrameKind::Request | FrameKind::Unknown => {}
        }
    }
}

/// The member `sender` of a reply, which names the connection that it is for.
#[derive(serde::Deserialize)]
struct Sender<'a> {
    #[serde(borrow)]
    conn_id: Cow<'a, str>,
}
