//! Encodes messages for subjects. Messages are split, because the payload of a server is limited, and numbered, so that a
//! gap is detected.

use bytes::{Bytes, BytesMut};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Maximum length of a part, in bytes. The default maximum payload of a server is 1 MiB.
const PART: usize = 256 * 1024;
/// Maximum length of a message, in bytes. It equals the limit of WebSocket messages.
const LONGEST: usize = 16 * 1024 * 1024;
/// Length of the header in bytes: a flag for further parts, and the number of the part.
const HEAD: usize = 5;

/// The encoder of one direction.
#[derive(Debug, Default)]
pub(crate) struct Sent(u32);

impl Sent {
    /// Returns the parts of a message, in order.
    pub(crate) fn parcels(&mut self, text: &Utf8Bytes) -> Vec<Bytes> {
        let whole = text.as_str().as_bytes();
        let last = whole.len().saturating_sub(1) / PART;
        // An empty message has one part.
        let parts = (0..=last).map(|at| &whole[(at * PART).min(whole.len())..((at + 1) * PART).min(whole.len())]);
        let parcel = |(at, part): (usize, &[u8])| {
            let mut parcel = BytesMut::with_capacity(HEAD + part.len());
            parcel.extend_from_slice(&[u8::from(at < last)]);
            parcel.extend_from_slice(&self.0.to_le_bytes());
            parcel.extend_from_slice(part);
            self.0 = self.0.wrapping_add(1);
            parcel.freeze()
        };
        parts.enumerate().map(parcel).collect()
    }
}

/// The error for a missing or invalid part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gap;

/// The decoder of one direction.
#[derive(Debug, Default)]
pub(crate) struct Received {
    next: u32,
    parts: BytesMut,
}

impl Received {
    /// Returns the message that this part completes; `None` if further parts follow.
    ///
    /// # Errors
    ///
    /// [`Gap`] if a part is missing, invalid or too long.
    pub(crate) fn message(&mut self, parcel: &Bytes) -> Result<Option<Utf8Bytes>, Gap> {
        let (head, _) = parcel.split_first_chunk::<HEAD>().ok_or(Gap)?;
        let [more, number @ ..] = *head;
        if u32::from_le_bytes(number) != self.next || more > 1 || self.parts.len() + parcel.len() > LONGEST {
            return Err(Gap);
        }
        self.next = self.next.wrapping_add(1);
        let part = parcel.slice(HEAD..);
        if more == 0 && self.parts.is_empty() {
            return Utf8Bytes::try_from(part).map(Some).map_err(|_| Gap);
        }
        self.parts.extend_from_slice(&part);
        if more == 1 {
            return Ok(None);
        }
        Utf8Bytes::try_from(self.parts.split().freeze()).map(Some).map_err(|_| Gap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn messages_round_trip(lengths in proptest::collection::vec(0..3 * PART, 1..6)) {
            let (mut sent, mut received) = (Sent::default(), Received::default());
            for (at, length) in lengths.iter().enumerate() {
                let text = Utf8Bytes::from("ö".repeat(length / 2) + &at.to_string());
                let parcels = sent.parcels(&text);
                prop_assert!(parcels.iter().all(|parcel| parcel.len() <= HEAD + PART));
                let (last, first) = parcels.split_last().unwrap();
                for parcel in first {
                    prop_assert_eq!(received.message(parcel), Ok(None));
                }
                prop_assert_eq!(received.message(last), Ok(Some(text)));
            }
        }

        #[test]
        fn a_missing_part_is_detected(length in 0..3 * PART, missing in 0usize..8) {
            let mut sent = Sent::default();
            let parcels: Vec<_> = ["x".repeat(length), "end".into()].iter().flat_map(|text| sent.parcels(&text.into())).collect();
            let missing = missing % (parcels.len() - 1);
            let mut received = Received::default();
            let outcomes: Vec<_> = parcels.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, parcel)| received.message(parcel)).collect();
            prop_assert!(outcomes[missing..].contains(&Err(Gap)));
        }

        #[test]
        fn invalid_parts_never_panic(parcel in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Received::default().message(&parcel.into());
        }
    }
}
