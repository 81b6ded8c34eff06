//! The life of a lock code: the hub accepts it at once, and the lock receives, confirms or refuses it later.
//!
//! The tokens of `user_code_operation` are the vendor's. How the list of codes changes after a refusal is not published: the
//! simulator restores the former element (inferred).

use ezlo_protocol::hub::value::is_masked_code;
use ezlo_protocol::hub::{DeviceId, ItemId};
use ezlo_protocol::wire::Opaque;
use serde_json::{Value, json};

use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::hub::dictionary::Edit;
use crate::state::device_traits::{DeviceTraits, PendingCode};

/// The code that hubs report for a lock that does not disclose its codes (public client).
const MASK: &str = "**********";

/// Name of the item with the codes of a lock.
pub(crate) const CODES: &str = "user_codes";
/// Maximum number of changes that wait for a lock, which has far fewer codes. Further ones take effect without the lock.
const MAX_PENDING: usize = 1_000;
/// Maximum number of changes that a lock receives at once. The others follow later.
const MAX_DELIVERED: usize = 30;

impl Hub {
    /// Queues the codes of a lock that differ from former ones, if the item holds lock codes.
    pub(crate) fn send_changed_codes(&mut self, id: &ItemId, before: &Value, context: &mut Context<'_>) {
        let item = self.items.get(id).filter(|item| item.name.as_deref() == Some(CODES));
        let Some((device, now)) = item.and_then(|item| Some((item.device_id.get()?.clone(), item.value.get()?))) else {
            return;
        };
        let of = |elements: &Value| elements.as_object().cloned().unwrap_or_default();
        let (before, now) = (of(before), of(now));
        let gone = before.keys().filter(|key| !now.contains_key(*key));
        let changed = now.iter().filter(|(key, element)| before.get(*key) != Some(element)).map(|(key, _)| key);
        let traits = self.traits.entry(device.clone()).or_default();
        for key in gone.chain(changed) {
            // A code that changes again before the lock has it is one change, from the first element to the last.
            let is_known = traits.pending_codes.iter().any(|known| known.item == *id && known.key == *key);
            if !is_known && traits.pending_codes.len() < MAX_PENDING {
                let before = before.get(key).cloned().map(Opaque::from);
                traits.pending_codes.push(PendingCode { item: id.clone(), key: key.clone(), before });
            }
        }
        if !traits.asleep && !traits.pending_codes.is_empty() {
            context.later(context.assumptions.lock_code_ms, Timer::LockCodes(device));
        }
    }

    /// Delivers the pending codes to a lock that is awake and answers.
    pub(crate) fn deliver_codes(&mut self, device: &DeviceId, context: &mut Context<'_>) {
        if !self.answers(device) {
            return;
        }
        let Some(traits) = self.traits.get_mut(device).filter(|traits| !traits.asleep) else { return };
        let count = traits.pending_codes.len().min(MAX_DELIVERED);
        let delivered: Vec<PendingCode> = traits.pending_codes.drain(..count).collect();
        if !traits.pending_codes.is_empty() {
            context.later(context.assumptions.lock_code_ms.max(1), Timer::LockCodes(device.clone()));
        }
        for pending in delivered {
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
        let Some(element) = element else {
            if let Some(traits) = self.traits.get_mut(device) {
                traits.masked_codes.remove(&key);
            }
            return "single_user_code_deleted";
        };
        let is_duplicate = code_of(&element).is_some_and(|code| self.has_code_besides(device, &item, &key, code));
        let Some(traits) = self.traits.get_mut(device) else { return "no_operation" };
        if is_duplicate || traits.rejects_codes {
            let restored = before.map(|before| (*before).clone());
            self.edit_elements(&item, vec![(key, restored)], context);
            return if is_duplicate { "new_user_code_not_added_due_to_duplicated_code" } else { "no_operation" };
        }
        if traits.masks_codes {
            let edits = traits.masked(key, element).into_iter().collect();
            self.edit_elements(&item, edits, context);
        }
        "new_user_code_added"
    }

    /// Returns whether a lock has a code under another key. Codes that the hub reports as stars are included.
    fn has_code_besides(&self, device: &DeviceId, item: &ItemId, key: &str, code: &str) -> bool {
        let elements = self.items.get(item).and_then(|item| item.value.get()).and_then(Value::as_object);
        let mut reported = elements.into_iter().flatten().map(|(key, element)| (key, code_of(element)));
        let masked = self.traits.get(device).map(|traits| &traits.masked_codes);
        let mut masked = masked.into_iter().flatten().map(|(key, code)| (key, code.as_str()));
        let is_same = |(other, known): (&String, Option<&str>)| other != key && known == Some(code);
        reported.any(is_same) || masked.any(is_same)
    }

    /// Masks the codes that a lock has, or stops to mask new ones.
    pub(crate) fn mask_codes(&mut self, device: &DeviceId, masks: bool, context: &mut Context<'_>) {
        let item = self.item_named(device, CODES);
        let known = item.and_then(|item| Some((item.id.clone(), item.value.get()?.as_object()?.clone())));
        let traits = self.traits.entry(device.clone()).or_default();
        traits.masks_codes = masks;
        let Some((item, elements)) = known.filter(|_| masks) else { return };
        let edits = elements.into_iter().filter_map(|(key, element)| traits.masked(key, element)).collect();
        self.edit_elements(&item, edits, context);
    }
}

impl DeviceTraits {
    /// Stores the code of an element and returns the edit that masks it; `None` for an element without a code to mask.
    fn masked(&mut self, key: String, mut element: Value) -> Option<Edit> {
        let code = element.as_object_mut()?.get_mut("code")?;
        if is_masked_code(code) || !code.is_string() {
            return None;
        }
        let code = std::mem::replace(code, MASK.into());
        self.masked_codes.insert(key.clone(), Opaque::from(code));
        Some((key, Some(element)))
    }
}

/// Returns the code of an element, unless it is masked.
fn code_of(element: &Value) -> Option<&str> {
    element.get("code").filter(|code| !is_masked_code(code))?.as_str()
}
