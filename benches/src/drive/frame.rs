//! WebSocket frames of the load generator.

/// Returns a text frame of a client. Its mask is zero, so the payload is not changed.
pub(crate) fn masked(text: &str) -> Vec<u8> {
    let length = text.len();
    let mut frame = match u8::try_from(length) {
        Ok(short @ 0..126) => vec![0x81, 0x80 | short],
        _ => match u16::try_from(length) {
            Ok(middle) => [&[0x81, 0xfe][..], &middle.to_be_bytes()].concat(),
            Err(_) => [&[0x81, 0xff][..], &(length as u64).to_be_bytes()].concat(),
        },
    };
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Returns the opcode byte and the payload range of the first frame, or `None` if the frame is incomplete.
pub(crate) fn first(bytes: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    let (code, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, head) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    (bytes.len() >= head + length).then_some((code, head..head + length))
}
