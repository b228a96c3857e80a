//! Engine: what `str0m` has to be told besides inputs and time, which [`session`](super::session) hands to it. It never
//! sees a client's session description.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::digest::{SHA256, digest};
use str0m::change::SdpOffer;
use str0m::crypto::Fingerprint;
use str0m::{IceCreds, Rtc, RtcError};

/// Returns the local address that the engine believes it has. Our real addresses stand in answers only: the engine
/// drops packets that come to an address it does not know, and this way it needs to know one.
pub fn engine_address(remote: SocketAddr) -> SocketAddr {
    match remote.ip() {
        IpAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)), 9),
        IpAddr::V6(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 200)), 9),
    }
}

/// An offer that only restarts ICE. The direct API cannot do that, and without a restart the engine would keep every
/// address that was ever checked. The offer is the same for everybody; its credentials are replaced at once.
const RESTART: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:anew\r\n\
    a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 00\r\na=setup:actpass\r\na=mid:0\r\n\
    a=inactive\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n";

/// Restarts ICE, with new credentials on both sides.
pub fn restart_ice(rtc: &mut Rtc, local: IceCreds, remote: IceCreds) -> Result<(), RtcError> {
    let offer = SdpOffer::from_sdp_string(RESTART).map_err(|error| RtcError::RemoteSdp(error.to_string()))?;
    rtc.sdp_api().accept_offer(offer)?;
    let mut api = rtc.direct_api();
    api.set_local_ice_credentials(local);
    api.set_remote_ice_credentials(remote);
    Ok(())
}

/// What the engine is shown instead of a certificate (DER): its SHA-256 digest, because the engine reads certificates into a
/// buffer that long ones do not fit into.
pub fn certificate_stand_in(certificate: &[u8]) -> Vec<u8> {
    digest(&SHA256, certificate).as_ref().to_vec()
}

/// Tells the engine that a certificate is the right one: it compares for itself, and knows SHA-256 only.
pub fn expect_certificate(rtc: &mut Rtc, certificate: &[u8]) {
    let bytes = digest(&SHA256, certificate).as_ref().to_vec();
    rtc.direct_api().set_remote_fingerprint(Fingerprint { hash_func: "sha-256".to_owned(), bytes });
}
