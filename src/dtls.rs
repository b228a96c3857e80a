//! One DTLS handshake, carried out by the library: the core's requests go in, and [`DtlsEvent`]s come out. The shell
//! and the simulator keep many of them, with their deadlines and their ends. When it is complete it carries the SCTP
//! association of the peer's data channels, if these were negotiated.
//!
//! It is DTLS 1.2 only, because with 1.3 the library negotiates the slower SRTP profile (`docs/architecture.md`).

mod doubt;
mod record;
mod rsa;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate};
use doubt::Doubt;
use tracing::{debug, warn};

use crate::core::channels::ChannelRequest;
use crate::core::ids::DtlsSession;
use crate::core::input::{DtlsEnd, DtlsEvent, SrtpProfile};
use crate::sctp::{Association, Shared};

/// The largest datagram, which leaves room for any tunnel on the way.
pub const MTU: usize = 1200;

/// The size of the buffer for an output of the library: a datagram or a certificate. It must be large enough for any,
/// or the library panics.
const OUTPUT_BYTES: usize = 1 << 16;

/// "handshake_failure", fatal, as a record in plaintext (RFC 5246, section 7.2). Its sequence number, 2^32, is above
/// those of all records of a handshake.
const REFUSAL: [u8; 15] = [record::ALERT, 254, 253, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 2, 40];

/// Events of handshakes, in order.
pub type DtlsEvents = Vec<(DtlsSession, DtlsEvent)>;

/// A certificate with its key, and the configurations. All handshakes share them, because building them costs more than
/// a handshake.
#[derive(Clone)]
pub struct Identity {
    /// For handshakes in which we are the server and also accept RSA certificates.
    server: Arc<Config>,
    client: Arc<Config>,
    certificate: DtlsCertificate,
    channels: Shared,
}

impl Identity {
    /// Makes a new certificate. The error says what the library refuses.
    pub fn new() -> Result<Self, String> {
        let certificate =
            dimpl::certificate::generate_self_signed_certificate().map_err(|error| error.to_string())?;
        let server = Config::builder().mtu(MTU - rsa::WIDENS_BY).with_crypto_provider(rsa::provider());
        let client = Config::builder().mtu(MTU);
        let [server, client] = [server, client].map(|builder| builder.use_server_cookie(false).build());
        let refusal = |error| format!("the DTLS library refuses its configuration: {error}");
        Ok(Self {
            server: Arc::new(server.map_err(refusal)?),
            client: Arc::new(client.map_err(refusal)?),
            certificate,
            channels: Shared::new(MTU),
        })
    }

    /// Returns the certificate in DER. Its fingerprint goes into answers.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate.certificate
    }
}

/// What happens to a handshake.
#[derive(Debug, Clone, Copy)]
pub enum Call<'a> {
    /// Time passes. The first time, an active handshake sends its first flight.
    Time,
    /// A datagram from the peer.
    Packet(&'a [u8]),
    /// The core asks something of the data channels.
    Channel(&'a ChannelRequest),
    /// We close the connection.
    Close,
}

/// How a handshake stands after a call.
#[derive(Debug)]
pub enum Standing {
    /// It goes on, and wants to be called at this time, which is later than now.
    Until(Instant),
    /// The peer closed the association.
    Goodbye,
    /// It cannot go on.
    Failed(dimpl::Error),
}

impl Standing {
    /// How it has ended; `None` if it goes on.
    pub fn end(&self) -> Option<DtlsEnd> {
        match self {
            Self::Until(_) => None,
            Self::Goodbye => Some(DtlsEnd::Goodbye),
            Self::Failed(dimpl::Error::SecurityError(dimpl::SecurityError::FatalAlert { description })) => {
                Some(DtlsEnd::Alert(*description))
            }
            Self::Failed(error) => Some(DtlsEnd::Failed(error.to_string())),
        }
    }
}

/// Where the library writes what it says; one serves any number of handshakes.
pub struct Scratch(Vec<u8>);

impl Default for Scratch {
    fn default() -> Self {
        Self(vec![0; OUTPUT_BYTES])
    }
}

/// One handshake.
pub struct Handshake {
    dtls: Dtls,
    is_server: bool,
    is_connected: bool,
    doubt: Doubt,
    /// The data channels, once they were negotiated. Boxed, because most peers have none.
    association: Option<Box<Association>>,
    channels: Shared,
}

impl Handshake {
    /// Makes a handshake that has sent nothing yet. `active` says that we are the client.
    pub fn new(identity: &Identity, now: Instant, active: bool) -> Self {
        let config = if active { &identity.client } else { &identity.server };
        let mut dtls = Dtls::new_12(config.clone(), identity.certificate.clone(), now);
        dtls.set_active(active);
        Self {
            dtls,
            is_server: !active,
            is_connected: false,
            doubt: Doubt::default(),
            association: None,
            channels: identity.channels.clone(),
        }
    }

    /// Makes one call into the library, and takes all its outputs.
    pub fn carry_out(
        &mut self,
        now: Instant,
        call: Call<'_>,
        session: DtlsSession,
        scratch: &mut Scratch,
        events: &mut DtlsEvents,
    ) -> Standing {
        let dtls = &mut self.dtls;
        let result = match call {
            Call::Channel(request) => {
                self.association
                    .get_or_insert_with(|| Box::new(Association::new(&self.channels)))
                    .request(now, request);
                Ok(())
            }
            Call::Time => dtls.handle_timeout(now),
            Call::Packet(datagram) => {
                let authentic = self.doubt.sift(now, datagram);
                dtls.handle_timeout(now).and_then(|()| match &*authentic {
                    [] => Ok(()),
                    authentic => dtls.handle_packet(authentic),
                })
            }
            Call::Close => dtls.close(),
        };
        // Polled even after an error, because an alert may be waiting to be sent.
        let mut polled = self.poll(now, scratch, session, events);
        let result = result.and_then(|()| self.carry_channels(now, &mut polled, scratch, session, events));
        let doubted_until = if self.is_connected { None } else { self.doubt.ends() };
        match result {
            Err(error) => {
                if !self.is_connected && !polled.spoke {
                    // The library sends an alert in some cases only. In the others the peer would go on trying.
                    events.push((session, DtlsEvent::Packet(REFUSAL.to_vec())));
                }
                Standing::Failed(error)
            }
            Ok(()) if polled.goodbye => Standing::Goodbye,
            Ok(()) => match doubted_until {
                Some((ends, error)) if ends <= now => Standing::Failed(error),
                doubted_until => {
                    let deadline =
                        doubted_until.map_or(polled.deadline, |(ends, _)| ends.min(polled.deadline));
                    // A deadline that has passed already means "soon"; taking it literally would spin.
                    Standing::Until(deadline.max(now + Duration::from_millis(1)))
                }
            },
        }
    }

    /// Ends the handshake for good. Returns the last datagram to the peer, if there is one, which ends the association
    /// or, before it is complete, the handshake.
    pub fn goodbye(mut self, now: Instant, session: DtlsSession, scratch: &mut Scratch) -> Option<Vec<u8>> {
        if !self.is_connected {
            return Some(REFUSAL.to_vec());
        }
        let mut events = DtlsEvents::new();
        self.carry_out(now, Call::Close, session, scratch, &mut events);
        let close = events.into_iter().find_map(|(_, event)| match event {
            DtlsEvent::Packet(bytes) => Some(bytes),
            _ => None,
        })?;
        // A client whose certificate is refused has not been sent our last flight, and cannot read what is encrypted yet.
        // One that can does not look at what is in plaintext.
        Some(if self.is_server { [&REFUSAL[..], &close].concat() } else { close })
    }

    /// Sends what the association has to send, and hands on what happened to it.
    fn carry_channels(
        &mut self,
        now: Instant,
        polled: &mut Polled,
        scratch: &mut Scratch,
        session: DtlsSession,
        events: &mut DtlsEvents,
    ) -> Result<(), dimpl::Error> {
        let Some(association) = &mut self.association else { return Ok(()) };
        // What came was taken already; this is for what is due.
        if association.deadline(now).is_some_and(|at| at <= now) {
            association.handle_timeout(now);
        }
        while let Some(packet) = self.association.as_mut().and_then(|association| association.next_packet()) {
            self.dtls.send_application_data(&packet)?;
            // One by one, because the library's queue is short.
            let Polled { deadline, goodbye, .. } = self.poll(now, scratch, session, events);
            (polled.deadline, polled.goodbye) = (deadline, polled.goodbye || goodbye);
        }
        if let Some(association) = &mut self.association {
            while let Some(event) = association.next_event() {
                events.push((session, DtlsEvent::Channel(event)));
            }
            polled.deadline = association.deadline(now).map_or(polled.deadline, |at| at.min(polled.deadline));
        }
        Ok(())
    }

    /// Drains the library until it names its deadline.
    fn poll(
        &mut self,
        now: Instant,
        Scratch(scratch): &mut Scratch,
        session: DtlsSession,
        events: &mut DtlsEvents,
    ) -> Polled {
        let (mut spoke, mut goodbye) = (false, false);
        loop {
            let event = match self.dtls.poll_output(scratch) {
                dimpl::Output::Packet(bytes) if self.is_server => {
                    DtlsEvent::Packet(rsa::widened_datagram(bytes))
                }
                dimpl::Output::Packet(bytes) => DtlsEvent::Packet(bytes.to_vec()),
                dimpl::Output::PeerCert(der) => DtlsEvent::PeerCertificate(der.to_vec()),
                dimpl::Output::KeyingMaterial(material, profile) => {
                    let Some(profile) = srtp_profile(profile) else {
                        warn!(
                            session = session.0,
                            ?profile,
                            "an SRTP profile that is not served was negotiated"
                        );
                        continue;
                    };
                    DtlsEvent::KeyingMaterial { profile, material: material.to_vec() }
                }
                dimpl::Output::Connected => {
                    debug!(session = session.0, "DTLS connected");
                    self.is_connected = true;
                    DtlsEvent::Connected
                }
                dimpl::Output::CloseNotify => {
                    goodbye = true;
                    continue;
                }
                dimpl::Output::BufferTooSmall { needed } => {
                    scratch.resize(needed, 0);
                    continue;
                }
                dimpl::Output::Timeout(deadline) => return Polled { spoke, goodbye, deadline },
                dimpl::Output::ApplicationData(packet) => {
                    if let Some(association) = &mut self.association {
                        association.receive(now, packet);
                    }
                    continue;
                }
                _ => continue,
            };
            spoke |= matches!(event, DtlsEvent::Packet(_));
            events.push((session, event));
        }
    }
}

/// The library's outputs besides events.
struct Polled {
    /// Whether there was a datagram for the peer.
    spoke: bool,
    /// Whether the peer closed the association.
    goodbye: bool,
    /// When it wants to be called again.
    deadline: Instant,
}

/// Returns the SRTP profile, or `None` for one that this code does not know. Without keys no media flows, and the
/// participant is given up by the time-out.
fn srtp_profile(profile: dimpl::SrtpProfile) -> Option<SrtpProfile> {
    match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmSha1_80),
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(SrtpProfile::AeadAes128Gcm),
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(SrtpProfile::AeadAes256Gcm),
        _ => None,
    }
}

#[cfg(test)]
mod rsa_client;
#[cfg(test)]
mod tests;
