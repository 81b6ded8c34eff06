//! Certificates under strict verification, by OpenSSL and, with the feature `python`, by Python clients.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::seed::Program;
use crate::support::Folder;

/// A year in seconds.
const YEAR: i64 = 365 * 86_400;

fn ca(program: &Program) -> PathBuf {
    Path::new(program.ready["ca_pem"].as_str().unwrap()).to_owned()
}

fn openssl(arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).stdin(Stdio::null()).output().expect("openssl is installed")
}

/// Performs a strict handshake for a host name and returns the output of `openssl`, which contains the server's certificate.
fn handshake(program: &Program, name: &str) -> Result<String, String> {
    let address = format!("127.0.0.1:{}", program.port("/https"));
    let ca = ca(program);
    let common = ["s_client", "-connect", &address, "-CAfile", ca.to_str().unwrap(), "-x509_strict"];
    let check = ["-servername", name, "-verify_hostname", name, "-verify_return_error"];
    let output = openssl(&[&common[..], &check].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ok = output.status.success() && text.contains("Verify return code: 0 (ok)");
    if ok { Ok(text) } else { Err(text + &String::from_utf8_lossy(&output.stderr)) }
}

#[test]
fn openssl_accepts_the_certificate_for_each_name() {
    let program = Program::start(&["--tls-name", "hub.example.org", "--tls-name", "*.test"]);
    let names =
        ["vera-us-oem-autha.mios.com", "nma-server7-ui-cloud.ezlo.com", "localhost", "hub.example.org", "a.test"];
    for name in names {
        handshake(&program, name).unwrap_or_else(|text| panic!("{name}: {text}"));
    }
    handshake(&program, "elsewhere.example.org").unwrap_err();
}

#[test]
fn openssl_verify_accepts_the_chain() {
    let folder = Folder::new("strict-chain");
    std::fs::create_dir_all(&folder.0).unwrap();
    let program = Program::start(&[]);
    let text = handshake(&program, "localhost").unwrap();
    let (from, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let leaf = &text[text.find(from).unwrap()..text.find(end).unwrap() + end.len()];
    let path = folder.0.join("leaf.pem");
    std::fs::write(&path, leaf).unwrap();
    let (ca, path) = (ca(&program), path.to_str().unwrap());
    let verified = openssl(&["verify", "-x509_strict", "-CAfile", ca.to_str().unwrap(), path]);
    assert!(verified.status.success(), "{verified:?}");
    let shown = openssl(&["x509", "-in", path, "-noout", "-text"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for part in ["CA:FALSE", "Authority Key Identifier", "Subject Key Identifier", "Digital Signature"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let own = openssl(&["x509", "-in", ca.to_str().unwrap(), "-noout", "-text"]);
    let own = String::from_utf8(own.stdout).unwrap();
    for part in ["CA:TRUE", "Name Constraints: critical", "DNS:mios.com", "DNS:ezlo.com", "IP:127.0.0.1/"] {
        assert!(own.contains(part), "{part}: {own}");
    }
    let dates = openssl(&["x509", "-in", path, "-checkend", &YEAR.to_string()]);
    assert!(!dates.status.success(), "the certificate is valid for more than a year");
}

/// A restart keeps the persisted authority, unless its name constraints exclude a `--tls-name`.
#[test]
fn persisted_authority_is_replaced_once_when_it_does_not_permit_a_name() {
    let folder = Folder::new("authority");
    let read = |program: &Program| std::fs::read_to_string(ca(program)).unwrap();
    let start = |more: &[&str]| Program::start(&[&["--state-dir", folder.text()], more].concat());
    let first = start(&[]);
    let before = read(&first);
    first.stop("-TERM");
    let again = start(&[]);
    assert_eq!(read(&again), before);
    again.stop("-TERM");
    let named = ["--tls-name", "hub.example.org"];
    let other = start(&named);
    let after = read(&other);
    assert_ne!(after, before);
    handshake(&other, "hub.example.org").unwrap();
    other.stop("-TERM");
    let last = start(&named);
    assert_eq!(read(&last), after, "the authority was replaced twice");
    handshake(&last, "hub.example.org").unwrap();
    last.stop("-TERM");
}

#[test]
fn invalid_tls_name_is_refused() {
    let (code, _, text) = crate::support::mock_cloud(&["serve", "--tls-name", "https://hub"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("\"https://hub\" is neither a host name nor an IP address"), "{text}");
}

/// Needs the Python packages that `cargo xtask ci` installs. The client is `tests/python/strict_tls.py`.
#[cfg(feature = "python")]
#[test]
fn python_clients_connect_with_strict_verification() {
    let program = Program::start(&[]);
    let arguments = [program.ready["https"].as_str().unwrap(), ca(&program).to_str().unwrap()].map(str::to_owned);
    let text = crate::support::python("strict_tls.py", &arguments);
    assert!(text.contains("strict TLS: ok"), "{text}");
}
