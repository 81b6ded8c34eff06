//! Servers with one fixed response: hyper and wiremock.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) async fn hyper(length: usize) -> Result<(), String> {
    let body = Bytes::from(vec![b'x'; length]);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    super::print_address(listener.local_addr().map_err(text)?)?;
    loop {
        let (stream, _) = listener.accept().await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let body = body.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |_| {
                let body = body.clone();
                async move { Ok::<_, Infallible>(http::Response::new(Full::new(body))) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

pub(super) async fn wiremock(length: usize) -> Result<(), String> {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_bytes(vec![b'x'; length]);
    Mock::given(any()).respond_with(answer).mount(&server).await;
    super::print_address(*server.address())?;
    std::future::pending().await
}
