//! The ciphers: encrypt and decrypt one packet in place, without state.
//!
//! RFC 3711 §4.1.1 and §4.2 (counter mode with HMAC-SHA1), §3.4 (SRTCP); RFC 7714 §8 and §9 (GCM). SRTCP is
//! always encrypted, as WebRTC demands: a packet without the E flag is malformed here.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};

use super::error::{BadKeyingMaterial, OpenError};
use super::keys::{MasterKey, SALT_BYTES_MAX, SessionKeys, Use};
use crate::core::input::SrtpProfile;

const GCM_TAG: usize = 16;
const HMAC_TAG: usize = 10;
const GCM_SALT: usize = 12;
/// The E flag and the 31-bit index of SRTCP.
const RTCP_INDEX: usize = 4;
/// How many bytes of a compound are never encrypted: header and sender's SSRC.
pub(super) const RTCP_CLEAR: usize = 8;
const ENCRYPTED: u32 = 1 << 31;

/// The most bytes that sealing adds to an RTP packet.
pub const RTP_OVERHEAD_MAX: usize = GCM_TAG;
/// The most bytes that sealing adds to an RTCP compound.
pub const RTCP_OVERHEAD_MAX: usize = GCM_TAG + RTCP_INDEX;

/// The session keys of one use and direction, ready for packets.
pub(super) enum SessionCipher {
    Gcm {
        key: LessSafeKey,
        salt: [u8; GCM_SALT],
    },
    /// Boxed, because it has 1.7 KiB and is rare.
    CounterMode {
        key: Box<EncryptingKey>,
        salt: [u8; SALT_BYTES_MAX],
        auth: Box<hmac::Key>,
    },
}

impl SessionCipher {
    pub(super) fn new(
        profile: SrtpProfile,
        master: &MasterKey<'_>,
        r#use: Use,
    ) -> Result<Self, BadKeyingMaterial> {
        Self::with_session_keys(profile, &master.session_keys(r#use)?)
    }

    fn with_session_keys(profile: SrtpProfile, keys: &SessionKeys) -> Result<Self, BadKeyingMaterial> {
        let algorithm = match profile {
            SrtpProfile::AeadAes128Gcm => &AES_128_GCM,
            SrtpProfile::AeadAes256Gcm => &AES_256_GCM,
            SrtpProfile::Aes128CmSha1_80 => {
                let key = UnboundCipherKey::new(&AES_128, keys.key()).map_err(|_| BadKeyingMaterial)?;
                let key = EncryptingKey::ctr(key).map_err(|_| BadKeyingMaterial)?;
                let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.auth);
                return Ok(Self::CounterMode { key: Box::new(key), salt: keys.salt, auth: Box::new(auth) });
            }
        };
        let key = UnboundKey::new(algorithm, keys.key()).map_err(|_| BadKeyingMaterial)?;
        let mut salt = [0; GCM_SALT];
        salt.copy_from_slice(&keys.salt[..GCM_SALT]);
        Ok(Self::Gcm { key: LessSafeKey::new(key), salt })
    }

    /// Seals `buffer[..plain_len]`, the first `header_len` bytes only authenticated. Returns the sealed length, or
    /// `None` if the lengths are impossible or the buffer is too short.
    pub(super) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header_len: usize,
        plain_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        if header_len > plain_len {
            return None;
        }
        match self {
            Self::Gcm { key, salt } => {
                let sealed_len = plain_len.checked_add(GCM_TAG)?;
                let (header, rest) = buffer.get_mut(..sealed_len)?.split_at_mut(header_len);
                let (payload, tag) = rest.split_at_mut(plain_len - header_len);
                let nonce = gcm_rtp_nonce(salt, ssrc, index);
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload).ok()?;
                tag.copy_from_slice(made.as_ref());
                Some(sealed_len)
            }
            Self::CounterMode { key, salt, auth } => {
                let sealed_len = plain_len.checked_add(HMAC_TAG)?;
                let packet = buffer.get_mut(..sealed_len)?;
                counter_mode(key, salt, ssrc, index, &mut packet[header_len..plain_len])?;
                let made = rtp_tag(auth, packet, plain_len, index);
                packet[plain_len..].copy_from_slice(&made);
                Some(sealed_len)
            }
        }
    }

    /// Opens a packet. Returns the length of header and payload. A forged packet's bytes are lost.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, OpenError> {
        let tag_len = match self {
            Self::Gcm { .. } => GCM_TAG,
            Self::CounterMode { .. } => HMAC_TAG,
        };
        let plain_len = packet.len().checked_sub(tag_len).ok_or(OpenError::Malformed)?;
        if header_len > plain_len {
            return Err(OpenError::Malformed);
        }
        match self {
            Self::Gcm { key, salt } => {
                let (header, sealed) = packet.split_at_mut(header_len);
                let nonce = gcm_rtp_nonce(salt, ssrc, index);
                key.open_in_place(nonce, Aad::from(&*header), sealed).map_err(|_| OpenError::Forged)?;
            }
            Self::CounterMode { key, salt, auth } => {
                let mut claimed = [0; HMAC_TAG];
                claimed.copy_from_slice(&packet[plain_len..]);
                let made = rtp_tag(auth, packet, plain_len, index);
                constant_time::verify_slices_are_equal(&made, &claimed).map_err(|_| OpenError::Forged)?;
                counter_mode(key, salt, ssrc, index, &mut packet[header_len..plain_len])
                    .ok_or(OpenError::Forged)?;
            }
        }
        Ok(plain_len)
    }

    /// Seals a compound of `plain_len` bytes. Returns the sealed length, or `None` as [`seal_rtp`](Self::seal_rtp).
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], plain_len: usize, index: u32) -> Option<usize> {
        if plain_len < RTCP_CLEAR || index & ENCRYPTED != 0 {
            return None;
        }
        let ssrc = read_u32(buffer, 4)?;
        let trailer = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Gcm { key, salt } => {
                let tag_end = plain_len.checked_add(GCM_TAG)?;
                let packet = buffer.get_mut(..tag_end + RTCP_INDEX)?;
                let aad = rtcp_aad(packet, trailer);
                let nonce = gcm_rtcp_nonce(salt, ssrc, index);
                let payload = &mut packet[RTCP_CLEAR..plain_len];
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload).ok()?;
                packet[plain_len..tag_end].copy_from_slice(made.as_ref());
                packet[tag_end..].copy_from_slice(&trailer);
                Some(packet.len())
            }
            Self::CounterMode { key, salt, auth } => {
                let index_end = plain_len.checked_add(RTCP_INDEX)?;
                let packet = buffer.get_mut(..index_end + HMAC_TAG)?;
                counter_mode(key, salt, ssrc, u64::from(index), &mut packet[RTCP_CLEAR..plain_len])?;
                packet[plain_len..index_end].copy_from_slice(&trailer);
                let made = short_tag(auth, &packet[..index_end]);
                packet[index_end..].copy_from_slice(&made);
                Some(packet.len())
            }
        }
    }

    /// Returns the SSRC and the index that a sealed compound claims. They are only authentic once it is opened.
    pub(super) fn rtcp_claims(&self, packet: &[u8]) -> Result<(u32, u32), OpenError> {
        let (at, shortest) = match self {
            Self::Gcm { .. } => (packet.len().checked_sub(RTCP_INDEX), RTCP_CLEAR + RTCP_OVERHEAD_MAX),
            Self::CounterMode { .. } => {
                (packet.len().checked_sub(RTCP_INDEX + HMAC_TAG), RTCP_CLEAR + RTCP_INDEX + HMAC_TAG)
            }
        };
        let trailer = at.and_then(|at| read_u32(packet, at)).ok_or(OpenError::Malformed)?;
        let ssrc = read_u32(packet, 4).ok_or(OpenError::Malformed)?;
        if packet.len() < shortest || trailer & ENCRYPTED == 0 {
            return Err(OpenError::Malformed);
        }
        Ok((ssrc, trailer & !ENCRYPTED))
    }

    /// Opens a compound whose [`rtcp_claims`](Self::rtcp_claims) were read. Returns its length.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, OpenError> {
        let trailer = (index | ENCRYPTED).to_be_bytes();
        let overhead = match self {
            Self::Gcm { .. } => RTCP_OVERHEAD_MAX,
            Self::CounterMode { .. } => RTCP_INDEX + HMAC_TAG,
        };
        let plain_len = packet.len().checked_sub(overhead).ok_or(OpenError::Malformed)?;
        if plain_len < RTCP_CLEAR {
            return Err(OpenError::Malformed);
        }
        match self {
            Self::Gcm { key, salt } => {
                let aad = rtcp_aad(packet, trailer);
                let nonce = gcm_rtcp_nonce(salt, ssrc, index);
                let sealed = &mut packet[RTCP_CLEAR..plain_len + GCM_TAG];
                key.open_in_place(nonce, Aad::from(aad), sealed).map_err(|_| OpenError::Forged)?;
            }
            Self::CounterMode { key, salt, auth } => {
                let (authentic, claimed) = packet.split_at_mut(plain_len + RTCP_INDEX);
                let made = short_tag(auth, authentic);
                constant_time::verify_slices_are_equal(&made, claimed).map_err(|_| OpenError::Forged)?;
                counter_mode(key, salt, ssrc, u64::from(index), &mut authentic[RTCP_CLEAR..plain_len])
                    .ok_or(OpenError::Forged)?;
            }
        }
        Ok(plain_len)
    }
}

/// Returns a big-endian word of a packet; `None` if the packet is too short.
pub(super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

fn rtcp_aad(packet: &[u8], trailer: [u8; RTCP_INDEX]) -> [u8; RTCP_CLEAR + RTCP_INDEX] {
    let mut aad = [0; RTCP_CLEAR + RTCP_INDEX];
    aad[..RTCP_CLEAR].copy_from_slice(&packet[..RTCP_CLEAR]);
    aad[RTCP_CLEAR..].copy_from_slice(&trailer);
    aad
}

/// RFC 7714 §8.1: two zero bytes, SSRC, roll-over counter, sequence number, all XOR the salt.
fn gcm_rtp_nonce(salt: &[u8; GCM_SALT], ssrc: u32, index: u64) -> Nonce {
    let low = (u128::from(ssrc) << 48) | u128::from(index & 0xffff_ffff_ffff);
    gcm_nonce(salt, low)
}

/// RFC 7714 §9.1: two zero bytes, SSRC, two zero bytes, the index, all XOR the salt.
fn gcm_rtcp_nonce(salt: &[u8; GCM_SALT], ssrc: u32, index: u32) -> Nonce {
    gcm_nonce(salt, (u128::from(ssrc) << 48) | u128::from(index))
}

fn gcm_nonce(salt: &[u8; GCM_SALT], low: u128) -> Nonce {
    let mut nonce = *salt;
    for (byte, mask) in nonce.iter_mut().zip(&low.to_be_bytes()[4..]) {
        *byte ^= mask;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// RFC 3711 §4.1.1: IV = salt·2^16 XOR SSRC·2^64 XOR index·2^16. The same call encrypts and decrypts.
fn counter_mode(
    key: &EncryptingKey,
    salt: &[u8; SALT_BYTES_MAX],
    ssrc: u32,
    index: u64,
    bytes: &mut [u8],
) -> Option<()> {
    let mask = ((u128::from(ssrc) << 64) | (u128::from(index) << 16)).to_be_bytes();
    let mut iv = [0; 16];
    iv[..SALT_BYTES_MAX].copy_from_slice(salt);
    for (byte, mask) in iv.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from(iv))).ok()?;
    Some(())
}

/// Returns the tag over a packet and its roll-over counter, which is written into the tag's place for that.
fn rtp_tag(auth: &hmac::Key, packet: &mut [u8], plain_len: usize, index: u64) -> [u8; HMAC_TAG] {
    let roll_over = ((index >> 16) as u32).to_be_bytes();
    packet[plain_len..plain_len + 4].copy_from_slice(&roll_over);
    short_tag(auth, &packet[..plain_len + 4])
}

fn short_tag(auth: &hmac::Key, bytes: &[u8]) -> [u8; HMAC_TAG] {
    let whole = hmac::sign(auth, bytes);
    let mut tag = [0; HMAC_TAG];
    tag.copy_from_slice(&whole.as_ref()[..HMAC_TAG]);
    tag
}

#[cfg(test)]
#[path = "vectors.rs"]
mod vectors;
