//! `Door`: what stands between an accepted connection and its first record: a balancer's header, a TLS handshake.
//!
//! In: a TCP connection and its address. Out: a [`Secured`] stream, whose connection it is, and who the sender proved to be;
//! or nothing, and why in [`Refusals`]. Bounds: handshakes open at once, those of one address, the time one may take.
//! Promise: an address that is not named as a balancer cannot speak for another one; a balancer that is named must.
//! Failure: a refused sender is told by a TLS alert where it speaks TLS, and closed.
//! Source: RFC 8446 section 6 (alerts); RFC 5425 section 4.2 (certificates of senders).

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nhatle_event::{Clock, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, PeerIncompatible, ServerConfig};

use super::identity::{Identity, Revoked};
use super::proxy::{self, Front};
use super::refusals::{Refusals, Why};
use super::stream::Secured;
use crate::enrich::Cidr;

/// The first byte of a TLS connection: a record of the handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;
/// How long a refused sender gets to read why.
const FAREWELL: Duration = Duration::from_millis(500);
/// How many bytes of a refused sender are read away, so that what we said reaches it.
const FAREWELL_BYTES_MAX: u64 = 64 << 10;

/// The bounds of a door.
#[derive(Clone, Copy, Debug)]
pub struct DoorLimits {
    /// How long header and handshake may take together.
    pub handshake: Duration,
    /// How many may be open at once.
    pub handshakes_max: usize,
    /// How many of them may be of one address.
    pub handshakes_per_address_max: usize,
}

impl Default for DoorLimits {
    fn default() -> DoorLimits {
        DoorLimits { handshake: Duration::from_secs(10), handshakes_max: 1024, handshakes_per_address_max: 256 }
    }
}

/// What the doors of a server share.
#[derive(Clone)]
pub struct House {
    /// Balancers: who may, and must, say whose connection it brings.
    pub proxy_from: Arc<[Cidr]>,
    /// Certificates that no longer count.
    pub revoked: Arc<Revoked>,
    /// Where refusals are noted.
    pub refusals: Arc<Refusals>,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
}

/// The door of one listener.
pub struct Door {
    input: Text,
    /// What TLS runs with; `None` = plain.
    tls: Option<TlsAcceptor>,
    house: House,
    limits: DoorLimits,
    open: Arc<Semaphore>,
    by_address: AddressCounts,
}

/// Who came in.
pub struct Entered {
    /// The connection, from its first byte of content on.
    pub stream: Secured,
    /// Whose it is: the socket's address, or the one a balancer names.
    pub peer: IpAddr,
    /// Who the sender proved to be.
    pub identity: Option<Identity>,
}

tokio::task_local! {
    /// The name in the certificate shown in this task's handshake: of one that is refused nothing else is left.
    static SHOWN: RefCell<Option<Text>>;
}

/// To be called by whoever verifies clients' certificates, with the certificate: a refusal can then name who was refused.
pub fn note_shown(certificate: &[u8]) {
    let name = Identity::read(certificate).ok().map(|identity| identity.name);
    // Outside of a handshake of ours nobody asks.
    drop(SHOWN.try_with(|shown| shown.replace(name)));
}

impl Door {
    /// A door without TLS.
    pub fn plain(input: &str, house: House) -> Door {
        Door::new(input, None, house, DoorLimits::default())
    }

    /// A door that speaks TLS.
    pub fn tls(input: &str, config: Arc<ServerConfig>, house: House, limits: DoorLimits) -> Door {
        Door::new(input, Some(TlsAcceptor::from(config)), house, limits)
    }

    fn new(input: &str, tls: Option<TlsAcceptor>, house: House, limits: DoorLimits) -> Door {
        let open = Arc::new(Semaphore::new(limits.handshakes_max.max(1)));
        Door { input: Text::from(input), tls, house, limits, open, by_address: AddressCounts::default() }
    }

    /// Whether this is a balancer, whose connections are those of many.
    pub fn is_balancer(&self, peer: IpAddr) -> bool {
        self.house.proxy_from.iter().any(|range| range.contains(peer))
    }

    /// Lets a connection in, or notes why not.
    pub async fn enter(&self, stream: TcpStream, peer: IpAddr) -> Option<Entered> {
        let is_balancer = self.is_balancer(peer);
        if self.tls.is_none() && !is_balancer {
            // There is nothing to wait for: a sender may connect long before it has something to say.
            let stream = Secured::plain(stream, self.guard(peer));
            return Some(Entered { stream, peer, identity: None });
        }
        let refuse = |peer, why, name| {
            self.house.refusals.note(self.house.clock.now(), peer, &self.input, why, name);
            None
        };
        let Ok(_slot) = Arc::clone(&self.open).try_acquire_owned() else { return refuse(peer, Why::TooMany, None) };
        let mut of = peer;
        let work = SHOWN.scope(RefCell::default(), async {
            let entered = self.shake(stream, peer, is_balancer, &mut of).await;
            (entered, SHOWN.try_with(RefCell::take).unwrap_or_default())
        });
        match tokio::time::timeout(self.limits.handshake, work).await {
            Ok((Ok(entered), _shown)) => entered,
            Ok((Err(why), shown)) => refuse(of, why, shown),
            Err(_elapsed) => refuse(of, Why::TooSlow, None),
        }
    }

    /// `Ok(None)`: it left without a word, as checks of balancers do. `of` is whose connection it is, once known.
    async fn shake(
        &self,
        mut stream: TcpStream,
        peer: IpAddr,
        is_balancer: bool,
        of: &mut IpAddr,
    ) -> Result<Option<Entered>, Why> {
        if is_balancer {
            match header(&mut stream).await? {
                Some(source) => *of = source.unwrap_or(peer),
                None => return Ok(None),
            }
        }
        let peer = *of;
        let Some(acceptor) = &self.tls else {
            let stream = Secured::plain(stream, None);
            return Ok(Some(Entered { stream, peer, identity: None }));
        };
        let _held = self.by_address.hold(peer, self.limits.handshakes_per_address_max).ok_or(Why::TooMany)?;
        let mut first = [0; 12];
        let seen = stream.peek(&mut first).await.map_err(|_gone| Why::Broken)?;
        match first[..seen] {
            [] => return Ok(None),
            [HANDSHAKE, ..] => {}
            // SSL 2.0 (RFC 6101 appendix E): a length with its high bit set, then a client's hello.
            [128..=255, _, 1, ..] => return Err(Why::OldVersion),
            _ => {
                let is_header = matches!(proxy::read(&first[..seen]), Ok(Front::Header { .. } | Front::More) | Err(_));
                say_plainly(&mut stream, &first[..seen]).await;
                return Err(if is_header { Why::ForeignProxyHeader } else { Why::PlainText });
            }
        }
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                // The verifier has read it already.
                let identity = shown.map(|first| Identity::read(first)).transpose();
                let identity = identity.map_err(|_nameless| Why::BadCertificate)?;
                let stream = Secured::tls(stream, identity.clone(), &self.house);
                Ok(Some(Entered { stream, peer, identity }))
            }
            Err((error, mut stream)) => {
                farewell(&mut stream).await;
                // The version stands behind the heads of record and handshake (RFC 5246 section 7.4.1.2). Old clients lack
                // other things too, which the library may name first.
                let is_old = first[..seen].get(9..11).is_some_and(|version| version < [3, 3].as_slice());
                Err(if is_old { Why::OldVersion } else { why(&error) })
            }
        }
    }

    /// Who is told when a plain connection begins with the header of a balancer that it is not.
    fn guard(&self, peer: IpAddr) -> Option<(House, Text, IpAddr)> {
        Some((self.house.clone(), self.input.clone(), peer))
    }
}

/// Reads a balancer's header, and not a byte more. `None`: the connection ended before its first byte.
async fn header(stream: &mut TcpStream) -> Result<Option<Option<IpAddr>>, Why> {
    let mut read = Vec::new();
    loop {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(0) if read.is_empty() => return Ok(None),
            Ok(0) | Err(_) => return Err(Why::NoProxyHeader),
            Ok(_) => read.push(byte[0]),
        }
        match proxy::read(&read) {
            Ok(Front::Header { source, .. }) => return Ok(Some(source)),
            Ok(Front::More) => {}
            Ok(Front::None) | Err(_) => return Err(Why::NoProxyHeader),
        }
    }
}

/// Tells a sender of plain text what this port is, where it speaks HTTP.
async fn say_plainly(stream: &mut TcpStream, first: &[u8]) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 37\r\n\r\nThis port speaks TLS: write https://.\n";
    let is_http =
        [b"GET ".as_slice(), b"POST ", b"HEAD ", b"PUT ", b"OPTIONS "].iter().any(|verb| first.starts_with(verb));
    if is_http {
        // Whoever does not want to hear it has gone.
        drop(tokio::time::timeout(FAREWELL, stream.write_all(ANSWER)).await);
    }
    farewell(stream).await;
}

/// Lets what was said arrive: closing with bytes unread would reset the connection.
async fn farewell(stream: &mut TcpStream) {
    let work = async {
        drop(stream.shutdown().await);
        let mut rest = stream.take(FAREWELL_BYTES_MAX);
        drop(tokio::io::copy(&mut rest, &mut tokio::io::sink()).await);
    };
    drop(tokio::time::timeout(FAREWELL, work).await);
}

/// The reason behind a broken handshake.
fn why(error: &std::io::Error) -> Why {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else { return Why::Broken };
    match error {
        Error::NoCertificatesPresented => Why::NoCertificate,
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Why::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Why::NotYetValid,
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Why::OtherAuthority,
            CertificateError::Revoked => Why::Revoked,
            _ => Why::BadCertificate,
        },
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => Why::OldVersion,
        Error::PeerIncompatible(_) => Why::NoCommonAlgorithm,
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => Why::DistrustsUs,
        Error::AlertReceived(AlertDescription::ProtocolVersion) => Why::OldVersion,
        Error::AlertReceived(AlertDescription::HandshakeFailure) => Why::NoCommonAlgorithm,
        _ => Why::Broken,
    }
}

/// How many of something each address holds; an address that holds nothing takes no room.
#[derive(Debug, Default)]
pub struct AddressCounts {
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of the things an address holds; given back when dropped.
#[derive(Debug)]
pub struct Held {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl AddressCounts {
    /// One more for this address, unless it has `max`. The map is as large as what is held, which others bound.
    pub fn hold(&self, address: IpAddr, max: usize) -> Option<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if max <= *count {
            return None;
        }
        *count += 1;
        Some(Held { counts: Arc::clone(&self.held), address })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}
