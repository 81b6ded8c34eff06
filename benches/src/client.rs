//! A minimal WebSocket client that sends and receives text without parsing it.

use std::net::SocketAddr;

use ezlo::{Account, Credentials, Environment};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use ezlo_mock_cloud::MockCloud;

/// Size of the read buffer in bytes, as in the SDK. The library zeroes its larger default buffer on every read.
const READ_BUFFER: usize = 4 * 1024;

pub(crate) struct Client(WebSocketStream<TcpStream>);

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(to).await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let url = format!("ws://{to}/");
        let (socket, _) = client_async_with_config(url, stream, Some(config)).await.map_err(text)?;
        Ok(Self(socket))
    }

    /// Connects to the relay of the cloud, logs in and registers with a hub.
    pub(crate) async fn at_hub(cloud: &MockCloud, user: (&str, &str), serial: &str) -> Result<Self, String> {
        let environment = Environment::from_base_url(&cloud.ready().http).map_err(text)?;
        let account = Account::log_in(environment, &Credentials::new(user.0, user.1)).await.map_err(text)?;
        let pair = account.session().await.map_err(text)?.pair().clone();
        let to = cloud.ready().http.trim_start_matches("http://").parse().map_err(text)?;
        let mut client = Self::connect(to).await?;
        let login = json!({"id": "l", "method": "loginUserMios", "params": {"MMSAuth": pair.identity.expose(), "MMSAuthSig": pair.signature.expose()}});
        client.ask(login.to_string()).await?;
        let answer =
            client.ask(json!({"id": "r", "method": "register", "params": {"serial": serial}}).to_string()).await?;
        if answer.contains("\"registered\"") { Ok(client) } else { Err(answer) }
    }

    pub(crate) async fn send(&mut self, text_out: String) -> Result<(), String> {
        self.0.send(Message::text(text_out)).await.map_err(text)
    }

    pub(crate) async fn next(&mut self) -> Result<String, String> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(text(error)),
                None => return Err("the connection ended".into()),
            }
        }
    }

    pub(crate) async fn ask(&mut self, text: String) -> Result<String, String> {
        self.send(text).await?;
        self.next().await
    }
}
