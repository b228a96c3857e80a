//! SRTP and SRTCP: one context per participant and direction.
//!
//! RFC 3711 with AES_CM_128_HMAC_SHA1_80, RFC 7714 with AEAD_AES_128_GCM and AEAD_AES_256_GCM, keys from a DTLS
//! handshake (RFC 5764). Packets are encrypted ("sealed") and decrypted ("opened") in place, without allocation. Only
//! authenticated packets change the state of a stream (its roll-over counter and replay window), and the number of
//! streams is capped, so nobody without the key can change or fill anything.
//!
//! If a stream begins just below 65535 and its first packets are lost, it looks like one that begins at zero, with
//! another roll-over counter. So senders should begin below 32768, as browsers do and our own slots must.

mod cipher;
mod error;
mod keys;
mod replay;

pub use cipher::{RTCP_OVERHEAD_MAX, RTP_OVERHEAD_MAX};
pub use error::{BadKeyingMaterial, OpenError};

use cipher::{SessionCipher, read_u32};
use keys::{Use, split};
use replay::ReplayWindow;

use crate::core::fixed_hash::FixedMap;
use crate::core::ids::Ssrc;
use crate::core::input::SrtpProfile;
use crate::limits::SRTP_STREAMS_PER_PARTICIPANT_MAX;

/// The fixed part of an RTP header, bytes.
const RTP_HEADER_MIN: usize = 12;
/// RTP indices have 48 bits.
const RTP_INDEX_END: u64 = 1 << 48;
/// RTCP indices have 31 bits.
const RTCP_INDEX_END: u32 = 1 << 31;

/// An opened RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Length of header and payload, bytes.
    pub len: usize,
    /// The packet's index, 48 bits: roll-over counter and sequence number.
    pub index: u64,
}

/// Makes the contexts for both directions from a handshake's exported keying material (client key, server key, client
/// salt, server salt).
pub fn contexts(
    profile: SrtpProfile,
    material: &[u8],
    we_are_client: bool,
) -> Result<(SrtpReceiver, SrtpSender), BadKeyingMaterial> {
    let (client, server) = split(profile, material)?;
    let (ours, theirs) = if we_are_client { (client, server) } else { (server, client) };
    let receiver = SrtpReceiver {
        rtp: SessionCipher::new(profile, &theirs, Use::Rtp)?,
        rtcp: SessionCipher::new(profile, &theirs, Use::Rtcp)?,
        rtp_streams: FixedMap::default(),
        rtcp_streams: FixedMap::default(),
    };
    let sender = SrtpSender {
        rtp: SessionCipher::new(profile, &ours, Use::Rtp)?,
        rtcp: SessionCipher::new(profile, &ours, Use::Rtcp)?,
        next_rtcp_index: 1,
    };
    Ok((receiver, sender))
}

/// Decrypts what the peer sends.
pub struct SrtpReceiver {
    rtp: SessionCipher,
    rtcp: SessionCipher,
    rtp_streams: FixedMap<u32, ReplayWindow>,
    rtcp_streams: FixedMap<u32, ReplayWindow>,
}

impl SrtpReceiver {
    /// Opens an RTP packet in place. `header_len` counts CSRCs and extensions; `sequence` and `ssrc` are those of the
    /// header. After an error the payload's bytes are undefined.
    pub fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header_len: usize,
        sequence: u16,
        ssrc: u32,
    ) -> Result<Opened, OpenError> {
        if header_len < RTP_HEADER_MIN {
            return Err(OpenError::Malformed);
        }
        if let Some(window) = self.rtp_streams.get_mut(&ssrc) {
            let index = window.guess(sequence).ok_or(OpenError::TooOld)?;
            if index >= RTP_INDEX_END {
                return Err(OpenError::Malformed);
            }
            window.check(index)?;
            let len = self.rtp.open_rtp(packet, header_len, ssrc, index)?;
            window.accept(index);
            return Ok(Opened { len, index });
        }
        if self.rtp_streams.len() >= SRTP_STREAMS_PER_PARTICIPANT_MAX {
            return Err(OpenError::TooManyStreams);
        }
        let index = u64::from(sequence);
        let len = self.rtp.open_rtp(packet, header_len, ssrc, index)?;
        self.rtp_streams.insert(ssrc, ReplayWindow::starting_at(index));
        Ok(Opened { len, index })
    }

    /// Opens an RTCP compound in place and returns its length.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, OpenError> {
        let (ssrc, index) = self.rtcp.rtcp_claims(packet)?;
        let wide = u64::from(index);
        if let Some(window) = self.rtcp_streams.get_mut(&ssrc) {
            window.check(wide)?;
            let len = self.rtcp.open_rtcp(packet, ssrc, index)?;
            window.accept(wide);
            return Ok(len);
        }
        if self.rtcp_streams.len() >= SRTP_STREAMS_PER_PARTICIPANT_MAX {
            return Err(OpenError::TooManyStreams);
        }
        let len = self.rtcp.open_rtcp(packet, ssrc, index)?;
        self.rtcp_streams.insert(ssrc, ReplayWindow::starting_at(wide));
        Ok(len)
    }

    /// Makes room for another stream when one has ended for good. The caller must not accept its SSRC any more, because
    /// its old packets could be replayed after this.
    pub fn forget(&mut self, ssrc: Ssrc) {
        self.rtp_streams.remove(&ssrc.0);
        self.rtcp_streams.remove(&ssrc.0);
    }
}

impl std::fmt::Debug for SrtpReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpReceiver").field("streams", &self.rtp_streams.len()).finish_non_exhaustive()
    }
}

/// Encrypts what we send.
pub struct SrtpSender {
    rtp: SessionCipher,
    rtcp: SessionCipher,
    /// One counter for all our SSRCs, so that no nonce comes twice. Gaps are allowed, so no SSRC needs its own.
    next_rtcp_index: u32,
}

impl SrtpSender {
    /// Seals the RTP packet in `buffer[..plain_len]`, of which `header_len` bytes are header, with the tag behind
    /// it: the buffer needs [`RTP_OVERHEAD_MAX`] bytes more than the packet. Returns the sealed length; `None` if
    /// lengths or index are impossible.
    ///
    /// `index` is the roll-over counter and the header's sequence number, 48 bits. **Never seal two packets with one
    /// SSRC and index**: with GCM that gives away the key. A retransmission uses RTX, with an index of its own.
    pub fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header_len: usize,
        plain_len: usize,
        index: u64,
    ) -> Option<usize> {
        debug_assert_eq!(
            buffer.get(2..4),
            Some(&(index as u16).to_be_bytes()[..]),
            "index of another packet"
        );
        if header_len < RTP_HEADER_MIN || index >= RTP_INDEX_END {
            return None;
        }
        let ssrc = read_u32(buffer, 8)?;
        self.rtp.seal_rtp(buffer, header_len, plain_len, ssrc, index)
    }

    /// Seals the RTCP compound in `buffer[..plain_len]`; the buffer needs [`RTCP_OVERHEAD_MAX`] bytes more.
    /// Returns the sealed length; `None` if the lengths are impossible or 2^31 compounds have been sealed.
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], plain_len: usize) -> Option<usize> {
        let index = self.next_rtcp_index;
        if index >= RTCP_INDEX_END {
            return None;
        }
        self.next_rtcp_index += 1;
        self.rtcp.seal_rtcp(buffer, plain_len, index)
    }
}

impl std::fmt::Debug for SrtpSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpSender").field("next_rtcp_index", &self.next_rtcp_index).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod testing {
    /// Returns the bytes of hexadecimal digits.
    pub(super) fn hex(text: &str) -> Vec<u8> {
        let digit = |b: u8| (b as char).to_digit(16).unwrap() as u8;
        text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: [(SrtpProfile, usize); 3] = [
        (SrtpProfile::Aes128CmSha1_80, 60),
        (SrtpProfile::AeadAes128Gcm, 56),
        (SrtpProfile::AeadAes256Gcm, 88),
    ];
    const SSRC: u32 = 0xcafe_0001;

    fn client_and_server(profile: SrtpProfile, len: usize) -> [(SrtpReceiver, SrtpSender); 2] {
        let material: Vec<u8> = (0..len as u8).collect();
        [contexts(profile, &material, true).unwrap(), contexts(profile, &material, false).unwrap()]
    }

    fn packet(ssrc: u32, sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 96];
        packet.extend(sequence.to_be_bytes());
        packet.extend([1, 2, 3, 4]);
        packet.extend(ssrc.to_be_bytes());
        packet.extend((0..33).map(|i| i ^ sequence as u8));
        packet
    }

    fn sealed(sender: &SrtpSender, ssrc: u32, index: u64) -> Vec<u8> {
        let mut buffer = packet(ssrc, index as u16);
        let plain_len = buffer.len();
        buffer.resize(plain_len + RTP_OVERHEAD_MAX, 0xee);
        let len = sender.seal_rtp(&mut buffer, 12, plain_len, index).unwrap();
        buffer.truncate(len);
        buffer
    }

    fn open(receiver: &mut SrtpReceiver, bytes: &[u8]) -> Result<u64, OpenError> {
        let mut bytes = bytes.to_vec();
        let sequence = u16::from_be_bytes([bytes[2], bytes[3]]);
        let ssrc = read_u32(&bytes, 8).unwrap();
        let opened = receiver.open_rtp(&mut bytes, 12, sequence, ssrc)?;
        assert_eq!(&bytes[..opened.len], packet(ssrc, sequence));
        Ok(opened.index)
    }

    #[test]
    fn rtp_passes_both_ways_in_every_profile() {
        for (profile, len) in PROFILES {
            let [(mut client_in, client_out), (mut server_in, server_out)] = client_and_server(profile, len);
            assert_eq!(open(&mut server_in, &sealed(&client_out, SSRC, 7)), Ok(7));
            assert_eq!(open(&mut client_in, &sealed(&server_out, SSRC, 7)), Ok(7));
            assert_eq!(
                open(&mut server_in, &sealed(&server_out, SSRC, 8)),
                Err(OpenError::Forged),
                "reflected"
            );
        }
    }

    #[test]
    fn rtcp_passes_once_in_every_profile() {
        for (profile, len) in PROFILES {
            let [(_, mut client), (mut server, _)] = client_and_server(profile, len);
            let plain: Vec<u8> = [&[0x80, 201, 0, 1][..], &SSRC.to_be_bytes(), &[9; 24]].concat();
            for _ in 0..3 {
                let mut buffer = plain.clone();
                buffer.resize(plain.len() + RTCP_OVERHEAD_MAX, 0);
                let len = client.seal_rtcp(&mut buffer, plain.len()).unwrap();
                let mut forged = buffer[..len].to_vec();
                forged[9] ^= 1;
                assert_eq!(server.open_rtcp(&mut forged), Err(OpenError::Forged));
                let mut replay = buffer[..len].to_vec();
                assert_eq!(server.open_rtcp(&mut buffer[..len]), Ok(plain.len()));
                assert_eq!(&buffer[..plain.len()], plain);
                assert_eq!(server.open_rtcp(&mut replay), Err(OpenError::Replayed));
            }
        }
    }

    #[test]
    fn the_roll_over_counter_survives_reordering_at_the_wrap() {
        for (profile, len) in PROFILES {
            let [(_, client), (mut server, _)] = client_and_server(profile, len);
            for index in [65_533, 65_537, 65_535, 65_536, 65_534, 131_000, 131_080, 131_071] {
                // From 65537 to 131000 is more than half of the sequence numbers, so there are steps between.
                if index == 131_000 {
                    assert_eq!(open(&mut server, &sealed(&client, SSRC, 95_000)), Ok(95_000));
                    assert_eq!(open(&mut server, &sealed(&client, SSRC, 125_000)), Ok(125_000));
                }
                assert_eq!(open(&mut server, &sealed(&client, SSRC, index)), Ok(index), "{profile:?}");
            }
        }
    }

    #[test]
    fn a_replayed_or_ancient_packet_is_refused() {
        let [(_, client), (mut server, _)] = client_and_server(SrtpProfile::AeadAes256Gcm, 88);
        let first = sealed(&client, SSRC, 100);
        assert_eq!(open(&mut server, &first), Ok(100));
        assert_eq!(open(&mut server, &first), Err(OpenError::Replayed));
        assert_eq!(open(&mut server, &sealed(&client, SSRC, 1300)), Ok(1300));
        assert_eq!(open(&mut server, &first), Err(OpenError::TooOld));
    }

    #[test]
    fn a_forged_packet_changes_nothing() {
        for (profile, len) in PROFILES {
            let [(_, client), (mut server, _)] = client_and_server(profile, len);
            let mut forged = sealed(&client, SSRC, 30_000);
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(open(&mut server, &forged), Err(OpenError::Forged));
            assert!(server.rtp_streams.is_empty(), "no state for who cannot authenticate");
            assert_eq!(open(&mut server, &sealed(&client, SSRC, 5)), Ok(5));
            for at in [1, 15, forged.len() - 12] {
                let mut forged = sealed(&client, SSRC, 30_000);
                forged[at] ^= 0x10;
                assert_eq!(open(&mut server, &forged), Err(OpenError::Forged));
            }
            assert_eq!(open(&mut server, &sealed(&client, SSRC, 6)), Ok(6));
        }
    }

    #[test]
    fn streams_are_capped_and_can_be_forgotten() {
        let [(_, client), (mut server, _)] = client_and_server(SrtpProfile::AeadAes128Gcm, 56);
        for ssrc in 0..SRTP_STREAMS_PER_PARTICIPANT_MAX as u32 {
            assert_eq!(open(&mut server, &sealed(&client, ssrc, 1)), Ok(1));
        }
        assert_eq!(open(&mut server, &sealed(&client, SSRC, 1)), Err(OpenError::TooManyStreams));
        server.forget(Ssrc(3));
        assert_eq!(open(&mut server, &sealed(&client, SSRC, 1)), Ok(1));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut random = fastrand::Rng::with_seed(1);
        for (profile, len) in PROFILES {
            let [(_, mut client), (mut server, _)] = client_and_server(profile, len);
            for _ in 0..2000 {
                let len = random.usize(..64);
                let mut bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
                let header_len = random.usize(..80);
                assert!(server.open_rtp(&mut bytes, header_len, 1, 1).is_err());
                assert!(server.open_rtcp(&mut bytes).is_err());
                let _ = client.seal_rtcp(&mut bytes, header_len);
                if bytes.len() >= 4 {
                    let index = u64::from(u16::from_be_bytes([bytes[2], bytes[3]]));
                    let _ = client.seal_rtp(&mut bytes, header_len, random.usize(..80), index);
                }
            }
        }
    }
}
