//! `Trust`: the certificates of a running server, and the doors of its listeners.
//!
//! In: the configuration and the data folder. Out: a [`Door`] for each listener; certificates renewed while it runs; who was
//! refused. Failure: [`PkiError`] at the start; later a warning, and what was in force stays.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use nhatle_collector::listen::tls::door::{Door, DoorLimits, House};
use nhatle_event::Clock;
use tracing::{info, warn};

use super::{Authority, ClientCert, FORWARD_ALPN, Own, PkiError, ServerCertificate, ServerNames};
use crate::config::Config;

/// What a server and its senders know each other by.
pub struct Trust {
    /// The city's authority.
    pub authority: Authority,
    /// What all doors share: revoked certificates, refused senders, balancers.
    pub house: House,
    shown: Arc<ServerCertificate>,
    own: Option<Own>,
    public_url: Option<String>,
    listening: Vec<SocketAddr>,
}

impl Trust {
    /// Opens the authority of the data folder and the server's certificate; makes them on the first start.
    ///
    /// # Errors
    /// Files cannot be read or written, or are not what they should be.
    pub fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<Trust>, PkiError> {
        let now = clock.now();
        let authority = Authority::open(&config.data, now)?;
        let listening: Vec<SocketAddr> =
            [config.https, config.syslog_tls, config.postgres.listen].into_iter().flatten().collect();
        let names = ServerNames::of(config.public_url.as_deref(), &listening);
        let shown = ServerCertificate::open(&authority, &names, config.own_certificate.as_ref(), now)?;
        let house = House {
            proxy_from: config.proxy_from.clone().into(),
            revoked: Arc::default(),
            refusals: Arc::default(),
            clock: Arc::clone(clock),
        };
        let (own, public_url) = (config.own_certificate.clone(), config.public_url.clone());
        Ok(Arc::new(Trust { authority, house, shown, own, public_url, listening }))
    }

    /// What the server may be called.
    pub fn names(&self) -> ServerNames {
        ServerNames::of(self.public_url.as_deref(), &self.listening)
    }

    /// The host of the public address.
    pub fn public_host(&self) -> Option<&str> {
        self.public_url.as_deref().and_then(super::names::host_of)
    }

    /// SHA-256 of the authority's certificate, as `openssl x509 -fingerprint -sha256` prints it.
    pub fn fingerprint_text(&self) -> String {
        let bytes: Vec<String> = self.authority.fingerprint().iter().map(|byte| format!("{byte:02X}")).collect();
        format!("sha256 Fingerprint={}", bytes.join(":"))
    }

    /// Looks whether the server's certificate must be made anew, and reads the operator's own again.
    pub fn renew(&self) {
        match self.shown.renew(&self.authority, &self.names(), self.own.as_ref(), self.house.clock.now()) {
            Ok(true) => info!("certificate of the server made anew"),
            Ok(false) => {}
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                warn!(%error, cause, "certificate of the server not renewed");
            }
        }
    }

    /// Takes these fingerprints for revoked, in place of those before.
    pub fn revoke(&self, fingerprints: BTreeSet<String>) {
        self.house.revoked.replace(fingerprints);
    }

    /// The door of a listener without TLS.
    pub fn plain(&self, input: &str) -> Door {
        Door::plain(input, self.house.clone())
    }

    /// The door of syslog over TLS.
    ///
    /// # Errors
    /// The library takes no such configuration.
    pub fn syslog(&self, input: &str, client: ClientCert) -> Result<Door, PkiError> {
        self.tls(input, client, &[])
    }

    /// The door of HTTPS; a client's certificate is asked for, and nobody needs one.
    ///
    /// # Errors
    /// As [`Trust::syslog`].
    pub fn https(&self) -> Result<Door, PkiError> {
        self.tls("https", ClientCert::Optional, &[b"http/1.1", FORWARD_ALPN])
    }

    /// What TLS runs with for clients of PostgreSQL, which ask for it in their own protocol (ALPN: PostgreSQL 17).
    ///
    /// # Errors
    /// As [`Trust::syslog`].
    pub fn postgres(&self) -> Result<Arc<rustls::ServerConfig>, PkiError> {
        self.shown.config(&self.authority, ClientCert::None, &self.house.revoked, &[b"postgresql"])
    }

    fn tls(&self, input: &str, client: ClientCert, alpn: &[&[u8]]) -> Result<Door, PkiError> {
        let config = self.shown.config(&self.authority, client, &self.house.revoked, alpn)?;
        Ok(Door::tls(input, config, self.house.clone(), DoorLimits::default()))
    }
}
