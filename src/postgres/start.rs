//! The beginning of a connection: TLS, a request to cancel, the sign-in.
//!
//! In: an accepted connection. Out: a session, or a refusal that names no reason a stranger could use. Promise: beyond loopback
//! no password is asked for outside of TLS; all of it ends within [`SIGN_IN_WAIT`]. Failure: an `ErrorResponse`, and the end.
//! Source: PostgreSQL 15, chapters 55.2 and 55.7.

use std::net::IpAddr;
use std::time::Duration;

use nhatle_ui::Viewer;
use nhatle_ui::entry::{NotIn, Pass};
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::startup::{Authentication, NegotiateProtocolVersion};
use tokio::net::TcpStream;

use super::Shared;
use super::problem::Problem;
use super::wire::{Asked, Broken, First, PASSWORD_MESSAGE_BYTES_MAX, Stream, Wire};

/// How long a connection may take until somebody has signed in.
pub const SIGN_IN_WAIT: Duration = Duration::from_secs(15);
/// The newest version of the protocol spoken here: 3.2, for its longer secrets.
const MINOR_MAX: u16 = 2;

/// The stream of a session, whatever lies below it.
pub type AnyStream = Box<dyn Stream>;

/// Somebody who has signed in.
pub struct Begun {
    /// The connection.
    pub wire: Wire<AnyStream>,
    /// Who it is.
    pub viewer: Viewer,
    /// With what.
    pub pass: Pass,
    /// The name it gave.
    pub user: String,
    /// Settings it asks for.
    pub pairs: Vec<(String, String)>,
    /// The protocol's minor version.
    pub minor: u16,
}

/// Brings a connection to its session; `None` where it ends before.
///
/// # Errors
/// It breaks.
pub async fn begin(shared: &Shared, stream: TcpStream, peer: IpAddr) -> Result<Option<Begun>, Broken> {
    drop(stream.set_nodelay(true));
    let mut first_byte = [0];
    // TLS at once, without being asked (`sslnegotiation=direct`, PostgreSQL 17).
    let is_direct = stream.peek(&mut first_byte).await? == 1 && first_byte[0] == 0x16;
    if is_direct {
        let Some(tls) = &shared.tls else { return Ok(None) };
        let stream: AnyStream = Box::new(tls.accept(stream).await?);
        let mut wire = Wire::new(stream);
        let first = wire.first().await?;
        return greeted(shared, wire, first, peer, true).await;
    }
    let mut wire = Wire::new(stream);
    loop {
        match wire.first().await? {
            First::Gss => wire.send_byte(b'N').await?,
            First::Tls => match &shared.tls {
                None => wire.send_byte(b'N').await?,
                Some(tls) => {
                    wire.send_byte(b'S').await?;
                    // Bytes before the handshake would be taken for ones within it (CVE-2021-23214).
                    let Some(stream) = wire.into_stream() else {
                        return Err(Broken::Protocol("received unencrypted data after a request for TLS"));
                    };
                    let stream: AnyStream = Box::new(tls.accept(stream).await?);
                    let mut wire = Wire::new(stream);
                    let first = wire.first().await?;
                    return greeted(shared, wire, first, peer, true).await;
                }
            },
            first => return greeted(shared, wire.boxed(), first, peer, false).await,
        }
    }
}

async fn greeted(
    shared: &Shared,
    mut wire: Wire<AnyStream>,
    first: First,
    peer: IpAddr,
    is_secure: bool,
) -> Result<Option<Begun>, Broken> {
    let (minor, pairs) = match first {
        First::Cancel { pid, key } => {
            shared.cancels.cancel(pid, &key);
            return Ok(None);
        }
        First::Start { minor, pairs } => (minor, pairs),
        First::OtherVersion(major) => {
            let problem = Problem::new("0A000", format!("unsupported frontend protocol {major}: this server speaks 3"));
            return refuse(wire, &problem).await;
        }
        First::Tls | First::Gss => return Err(Broken::Protocol("a request for encryption out of place")),
    };
    if !is_secure && shared.must_be_secure {
        let problem = Problem::new("28000", "this server takes no connection without TLS; use sslmode=verify-full");
        return refuse(wire, &problem).await;
    }
    let unknown: Vec<String> =
        pairs.iter().map(|(name, _)| name).filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if MINOR_MAX < minor || minor == 1 || !unknown.is_empty() {
        let newest = (3 << 16) | i32::from(minor.min(MINOR_MAX));
        wire.put(&Message::NegotiateProtocolVersion(NegotiateProtocolVersion::new(newest, unknown)));
    }
    let value = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    if value("replication").is_some_and(|value| !matches!(value, "false" | "off" | "no" | "0")) {
        return refuse(wire, &Problem::not_built("replication")).await;
    }
    let user = value("user").unwrap_or_default().to_owned();
    if user.is_empty() {
        return refuse(wire, &Problem::new("28000", "no user name was given")).await;
    }
    // As PostgreSQL, where no database is named it is that of the user's name, which every client then shows.
    let database = value("database").unwrap_or(&user);
    if database != super::DATABASE && database != user && database != "postgres" {
        let problem = Problem::new("3D000", format!("there is one database: \"{}\"", super::DATABASE));
        return refuse(wire, &problem).await;
    }
    wire.put(&Message::Authentication(Authentication::CleartextPassword));
    wire.send().await?;
    let Asked::Password(password) = wire.next(PASSWORD_MESSAGE_BYTES_MAX).await? else {
        return refuse(wire, &Problem::protocol("expected password response")).await;
    };
    match shared.entry.admit(&user, &password, &peer.to_string()).await {
        Ok((viewer, pass)) => Ok(Some(Begun { wire, viewer, pass, user, pairs, minor: minor.min(MINOR_MAX) })),
        Err(why) => {
            let problem = match why {
                NotIn::Wrong => Problem::new("28P01", format!("password authentication failed for user \"{user}\"")),
                NotIn::TooMany => Problem::new("28P01", "too many tries; wait ten minutes"),
                NotIn::Forbidden => Problem::new("42501", "this account may not search"),
                NotIn::Unavailable => Problem::new("57P03", "the server cannot look at the sign-in now"),
            };
            refuse(wire, &problem).await
        }
    }
}

/// Says why, and ends.
pub async fn refuse<T>(wire: Wire<AnyStream>, problem: &Problem) -> Result<Option<T>, Broken> {
    let mut wire = wire;
    wire.put(&problem.response("FATAL", ""));
    wire.close().await;
    Ok(None)
}
