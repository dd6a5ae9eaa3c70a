//! The line to the city: HTTP/1.1 over one connection that is kept, plain or TLS, by hyper.
//!
//! In: a method, a path, a body. Out: status, `Retry-After` and the body of the answer. Promise: every wait has an end,
//! an answer is bounded. Failure: a [`LineError`] that says how far it came; the next request connects anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Uri, header};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long connecting may take, TLS included.
const CONNECT_WAIT: Duration = Duration::from_secs(15);
/// How long an answer may take: the city waits for durability at most half as long.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// How long a connection that broke has to say why.
const WHY_WAIT: Duration = Duration::from_millis(100);
/// How long an answer may be.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Where the city is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct City {
    /// Host name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `https`.
    pub is_tls: bool,
}

impl City {
    /// Reads `https://host:port`; `http://` too, for the lab.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(url: &str) -> Result<City, String> {
        match City::with_path(url, 8443, 8080)? {
            (city, path) if path == "/" => Ok(city),
            _ => Err(format!("{url}: nothing may stand behind the host and port")),
        }
    }

    /// Reads `https://host:port/path`, or http; these are the ports where none stands. Out: the path with what is asked behind it, too.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn with_path(url: &str, port_of_https: u16, port_of_http: u16) -> Result<(City, String), String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("{url}: begins with neither https:// nor http://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| format!("{url}: no host"))?;
        let port = uri.port_u16().unwrap_or(if is_tls { port_of_https } else { port_of_http });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok((City { host: host.trim_matches(['[', ']']).to_owned(), port, is_tls }, path))
    }
}

/// How far a request came.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// No connection.
    #[error("cannot reach {host}:{port}")]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The other side is not who it should be, or does not take us.
    #[error("TLS with {host}:{port}")]
    Tls {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// It broke on the way, or no answer came.
    #[error("{what}")]
    Broken {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long to wait, where the answer says so.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

/// The line.
pub struct Client {
    city: City,
    tls: Option<Arc<ClientConfig>>,
    open: Option<SendRequest<Body>>,
    ended: Ended,
    /// How long an answer may be, and how long it may take.
    answers: (usize, Duration),
}

/// Why the last connection ended, where it did not end in order: a refusal by TLS comes only after the handshake.
type Ended = Arc<Mutex<Option<String>>>;

impl Client {
    /// A line to this city; TLS with this configuration.
    pub fn new(city: City, tls: Option<ClientConfig>) -> Client {
        Client {
            city,
            tls: tls.map(Arc::new),
            open: None,
            ended: Ended::default(),
            answers: (ANSWER_BYTES_MAX, ANSWER_WAIT),
        }
    }

    /// The same for answers of another length and patience.
    #[must_use]
    pub fn with_answers(self, bytes_max: usize, wait: Duration) -> Client {
        Client { answers: (bytes_max, wait), ..self }
    }

    /// Another certificate: the next connection is made with it.
    pub fn set_tls(&mut self, tls: ClientConfig) {
        self.tls = Some(Arc::new(tls));
        self.open = None;
    }

    /// Posts a body and waits for the answer.
    ///
    /// # Errors
    /// How far it came. The body may have been taken all the same.
    pub async fn post(
        &mut self,
        path: &str,
        headers: &[(header::HeaderName, String)],
        body: Vec<u8>,
    ) -> Result<Answer, LineError> {
        let broken = |what: &'static str| {
            move |source: Box<dyn std::error::Error + Send + Sync>| LineError::Broken { what, source }
        };
        let mut sender = match self.open.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let mut request = Request::post(path).header(header::HOST, format!("{}:{}", self.city.host, self.city.port));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body)).map_err(|error| broken("make the request")(error.into()))?;
        let (bytes_max, wait) = self.answers;
        let exchange = async {
            sender.ready().await.map_err(|error| broken("use the line")(error.into()))?;
            let answer =
                sender.send_request(request).await.map_err(|error| broken("send the request")(error.into()))?;
            let status = answer.status().as_u16();
            let retry = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let body = axum::body::to_bytes(Body::new(answer.into_body()), bytes_max).await;
            let body = body.map_err(|error| broken("read the answer")(error.into()))?;
            Ok(Answer { status, retry_after: retry.map(Duration::from_secs), body })
        };
        let answer = tokio::time::timeout(wait, exchange).await;
        let answer = answer.map_err(|elapsed| broken("wait for the answer")(elapsed.into()))?;
        match answer {
            Ok(answer) => {
                self.open = Some(sender);
                Ok(answer)
            }
            Err(LineError::Broken { what, source }) => Err(self.why(what, source).await),
            Err(error) => Err(error),
        }
    }

    /// A broken exchange, with what the connection itself ended for.
    async fn why(&self, what: &'static str, source: Box<dyn std::error::Error + Send + Sync>) -> LineError {
        tokio::time::sleep(WHY_WAIT).await;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        LineError::Broken { what, source: ended.map_or(source, Into::into) }
    }

    async fn connect(&self) -> Result<SendRequest<Body>, LineError> {
        let City { host, port, .. } = &self.city;
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let connect_error = |source| LineError::Connect { host: host.clone(), port: *port, source };
        let tls_error = |source| LineError::Tls { host: host.clone(), port: *port, source };
        let stream = tokio::time::timeout(CONNECT_WAIT, TcpStream::connect((host.as_str(), *port))).await;
        let stream = stream.map_err(|_late| connect_error(late()))?.map_err(connect_error)?;
        // What is sent is a whole request each time; waiting for more to go with it only delays it.
        drop(stream.set_nodelay(true));
        match &self.tls {
            None => begin(stream, self.ended.clone()).await,
            Some(config) => {
                let name =
                    ServerName::try_from(host.clone()).map_err(|error| tls_error(std::io::Error::other(error)))?;
                let connector = TlsConnector::from(config.clone());
                let stream = tokio::time::timeout(CONNECT_WAIT, connector.connect(name, stream)).await;
                begin(stream.map_err(|_late| tls_error(late()))?.map_err(tls_error)?, self.ended.clone()).await
            }
        }
    }
}

async fn begin<S>(stream: S, ended: Ended) -> Result<SendRequest<Body>, LineError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| LineError::Broken { what: "begin HTTP", source: error.into() })?;
    tokio::spawn(async move {
        let error = connection.await.err();
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = error.as_ref().map(|error| said(error));
        if let Some(error) = error {
            tracing::debug!(%error, "the line to the city ended");
        }
    });
    Ok(sender)
}

/// An error with its causes, in one line.
pub fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut words: Vec<String> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_cities() {
        let city = |host: &str, port, is_tls| City { host: host.to_owned(), port, is_tls };
        assert_eq!(City::read("https://10.45.0.10:9443/"), Ok(city("10.45.0.10", 9443, true)));
        assert_eq!(City::read("https://soc.example"), Ok(city("soc.example", 8443, true)));
        assert_eq!(City::read("http://[2001:db8::1]:80"), Ok(city("2001:db8::1", 80, false)));
        for bad in ["", "soc.example", "ftp://soc.example", "https://", "https://soc.example/path", "https://a b"] {
            assert!(City::read(bad).is_err(), "{bad}");
        }
    }
}
