//! Random bytes of the operating system, for secrets that no seed may predict.

/// Returns random bytes.
///
/// # Panics
///
/// If the operating system has no random numbers. A predictable secret in their place would hide that.
#[expect(clippy::expect_used, reason = "documented")]
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}
