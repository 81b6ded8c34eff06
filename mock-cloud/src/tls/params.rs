//! Parameters of certificates.

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use crate::core::clock::Clock;

/// Validity of a server certificate in days. Some TLS stacks refuse more than 398 days.
pub(crate) const LEAF_DAYS: i64 = 364;

/// Days before and after now in which the authority is valid. They are many, so that clients can trust a persisted authority.
pub(crate) const AUTHORITY_DAYS: i64 = 3650;

/// A day in seconds.
pub(crate) const DAY: i64 = 86_400;

/// Returns a validity that includes the world's time and the machine's time, by which most clients check.
pub(crate) fn authority_validity(clock: &Clock) -> (i64, i64) {
    let (world, machine) = (clock.unix_seconds(), Clock::real().unix_seconds());
    let span = AUTHORITY_DAYS * DAY;
    (world.min(machine).saturating_sub(span), world.max(machine).saturating_add(span))
}

/// Returns the parameters of a server certificate that strict verifiers accept.
pub(crate) fn leaf_params(common_name: &str, validity: (i64, i64)) -> CertificateParams {
    let mut params = params(common_name, validity);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub(crate) fn params(common_name: &str, (from, until): (i64, i64)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let ((year, month, day), (last_year, last_month, last_day)) = (date(from), date(until));
    params.not_before = rcgen::date_time_ymd(year, month, day);
    params.not_after = rcgen::date_time_ymd(last_year, last_month, last_day);
    params
}

/// Returns year, month and day of a Unix time in seconds.
pub(crate) fn date(unix_seconds: i64) -> (i32, u8, u8) {
    let day = jiff::Timestamp::from_second(unix_seconds)
        .unwrap_or_default()
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .date();
    let byte = |part: i8| u8::try_from(part).unwrap_or(1);
    (i32::from(day.year()), byte(day.month()), byte(day.day()))
}

/// The reasons for which certificates cannot be created or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot create a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot use a certificate")]
    Tls(#[from] rustls::Error),
}
