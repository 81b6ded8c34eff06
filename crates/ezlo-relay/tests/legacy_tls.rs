//! `LegacyTls` against a server that accepts the one old cipher suite only, as Linux hubs do (client-source).
#![cfg(feature = "legacy-tls")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::method::InfoGet;
use ezlo_relay::{ConnectError, Endpoint, HubCredentials, LegacyTls, ModernTls, RelaySession, Trust};
use futures_util::{SinkExt as _, StreamExt as _};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVersion};
use openssl::x509::{X509, X509Name};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

const SERIAL: &str = "90000001";
const SUITE: &str = "AES256-SHA256";

/// A server with a self-signed certificate that has the serial as its common name and a short key, as old hubs have.
fn acceptor() -> SslAcceptor {
    let key = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", SERIAL).unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).unwrap();
    acceptor.set_cipher_list(&format!("{SUITE}:@SECLEVEL=0")).unwrap();
    acceptor.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate.build()).unwrap();
    acceptor.build()
}

/// Starts a hub that replies to every call with the negotiated cipher suite as `model`.
async fn hub() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let ssl = Ssl::new(acceptor.context()).unwrap();
            tokio::spawn(serve(ssl, stream));
        }
    });
    address
}

async fn serve(ssl: Ssl, stream: TcpStream) {
    let mut stream = tokio_openssl::SslStream::new(ssl, stream).unwrap();
    if Pin::new(&mut stream).accept().await.is_err() {
        return;
    }
    let suite = stream.ssl().current_cipher().unwrap().name();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    while let Some(Ok(Message::Text(text))) = socket.next().await {
        let call: Value = serde_json::from_str(&text).unwrap();
        let answer = json!({"id": call["id"], "error": null, "result": {"model": suite, "serial": SERIAL}});
        socket.send(Message::text(answer.to_string())).await.unwrap();
    }
}

fn endpoint(address: SocketAddr, serial: &str, pin: Option<[u8; 32]>) -> Endpoint {
    let trust = Trust::Hub { serial: serial.parse().unwrap(), pin };
    Endpoint::new(format!("wss://{address}")).trust(trust)
}

#[tokio::test]
async fn legacy_suite_is_negotiated_and_the_certificate_verified() {
    let address = hub().await;
    let legacy = |serial: &str, pin| endpoint(address, serial, pin).tls(Arc::new(LegacyTls));
    let session = RelaySession::connect(&legacy(SERIAL, None), &HubCredentials::Anonymous).await.unwrap();
    let info = session.call(InfoGet, Empty::default()).await.unwrap();
    assert_eq!(info.model.as_deref(), Some(SUITE));
    let pin = session.certificate_pin();
    assert!(pin.is_some() && RelaySession::connect(&legacy(SERIAL, pin), &HubCredentials::Anonymous).await.is_ok());
    for (serial, pin) in [("90000002", None), (SERIAL, Some([0; 32]))] {
        let refused = RelaySession::connect(&legacy(serial, pin), &HubCredentials::Anonymous).await;
        assert!(matches!(refused, Err(ConnectError::Dial { .. })), "{serial}");
    }
    let public = Endpoint::new(format!("wss://{address}")).tls(Arc::new(LegacyTls));
    let refused = RelaySession::connect(&public, &HubCredentials::Anonymous).await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("local network only"), "{cause}");
}

#[tokio::test]
async fn modern_tls_rejects_the_legacy_suite() {
    let modern = endpoint(hub().await, SERIAL, None).tls(Arc::new(ModernTls));
    assert!(matches!(RelaySession::connect(&modern, &HubCredentials::Anonymous).await, Err(ConnectError::Dial { .. })));
}
