//! The life of a lock code: the hub accepts it at once, and the lock receives, confirms or refuses it later.
//!
//! The tokens of `user_code_operation` are the vendor's. How the list of codes changes after a refusal is not published: the
//! simulator restores the former element (inferred).

use ezlo_protocol::hub::DeviceId;
use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::value::is_masked_code;
use ezlo_protocol::wire::Opaque;
use serde_json::{Value, json};

use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::state::device_traits::PendingCode;

/// The code that hubs report for a lock that does not disclose its codes (public client).
const MASK: &str = "**********";

/// Maximum number of changes that wait for a lock, which has far fewer codes. Further ones take effect without the lock.
const MAX_PENDING: usize = 1_000;

impl Hub {
    /// Queues a changed code for its lock, if the item holds lock codes.
    pub(crate) fn send_code(&mut self, pending: PendingCode, context: &mut Context<'_>) {
        let is_lock = |item: &&Item| item.name.as_deref() == Some("user_codes");
        let device = self.items.get(&pending.item).filter(is_lock).and_then(|item| item.device_id.get()).cloned();
        let Some(device) = device else { return };
        let traits = self.traits.entry(device.clone()).or_default();
        let is_same = |known: &PendingCode| (&known.item, &known.key) == (&pending.item, &pending.key);
        // A code that changes again before the lock has it is one change, from the first element to the last.
        if !traits.pending_codes.iter().any(is_same) && traits.pending_codes.len() < MAX_PENDING {
            traits.pending_codes.push(pending);
        }
        if !traits.asleep {
            context.later(context.assumptions.lock_code_ms, Timer::LockCodes(device));
        }
    }

    /// Delivers the pending codes to a lock that is awake and reachable.
    pub(crate) fn deliver_codes(&mut self, device: &DeviceId, context: &mut Context<'_>) {
        if !self.answers(device) {
            return;
        }
        let Some(traits) = self.traits.get_mut(device).filter(|traits| !traits.asleep) else { return };
        for pending in std::mem::take(&mut traits.pending_codes) {
            let operation = self.deliver_code(device, pending, context);
            let item = self.item_named(device, "user_code_operation");
            let item = item.filter(|item| item.holds(&json!(operation)).is_ok()).map(|item| item.id.clone());
            if let Some(item) = item {
                self.set_value(&item, operation.into(), context);
            }
        }
    }

    /// Returns the operation that the lock reports for a changed code.
    fn deliver_code(&mut self, device: &DeviceId, pending: PendingCode, context: &mut Context<'_>) -> &'static str {
        let PendingCode { item, key, before } = pending;
        let element = self.items.get(&item).and_then(|item| item.value.get()?.get(&key).cloned());
        let Some(mut element) = element else {
            if let Some(traits) = self.traits.get_mut(device) {
                traits.masked_codes.remove(&key);
            }
            return "single_user_code_deleted";
        };
        let code = element["code"].clone();
        let is_duplicate = self.codes_besides(device, &item, &key).contains(&code);
        let Some(traits) = self.traits.get_mut(device) else { return "no_operation" };
        if is_duplicate || traits.rejects_codes {
            match before {
                Some(before) => self.put_element(&item, &key, (*before).clone(), "updated", context),
                None => self.remove_element(&item, &key, context),
            }
            return if is_duplicate { "new_user_code_not_added_due_to_duplicated_code" } else { "no_operation" };
        }
        if traits.masks_codes && !is_masked_code(&code) {
            traits.masked_codes.insert(key.clone(), Opaque::from(code));
            element["code"] = MASK.into();
            self.put_element(&item, &key, element, "updated", context);
        }
        "new_user_code_added"
    }

    /// Returns the codes of a lock, except that of one key.
    fn codes_besides(&self, device: &DeviceId, item: &ezlo_protocol::hub::ItemId, key: &str) -> Vec<Value> {
        let elements = self.items.get(item).and_then(|item| item.value.get()).and_then(Value::as_object);
        let reported = elements.into_iter().flatten().map(|(key, element)| (key, &element["code"]));
        let masked = self.traits.get(device).into_iter().flat_map(|traits| &traits.masked_codes);
        let all = reported.chain(masked.map(|(key, code)| (key, &**code)));
        all.filter(|(other, code)| *other != key && !is_masked_code(code)).map(|(_, code)| code.clone()).collect()
    }

    /// Masks the codes that a lock has, or stops to mask new ones.
    pub(crate) fn mask_codes(&mut self, device: &DeviceId, masks: bool, context: &mut Context<'_>) {
        self.traits.entry(device.clone()).or_default().masks_codes = masks;
        let item = self.item_named(device, "user_codes").map(|item| item.id.clone());
        let elements = item.as_ref().and_then(|item| self.items.get(item)?.value.get()?.as_object()).cloned();
        for (key, element) in elements.into_iter().flatten().filter(|_| masks) {
            let pending = item.clone().map(|item| PendingCode { item, key, before: Some(Opaque::from(element)) });
            if let Some(pending) = pending {
                self.deliver_code(device, pending, context);
            }
        }
    }
}
