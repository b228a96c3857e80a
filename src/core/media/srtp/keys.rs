//! Key derivation: from exported keying material to session keys.
//!
//! RFC 5764 §4.2 (the order of the material), RFC 3711 §4.3 (the derivation, with its AES-CM function),
//! RFC 7714 §11 and RFC 6188 §3 (the same for the GCM suites: AES of the suite's key length, a salt of 12 bytes
//! taken as one of 14 with zeros behind). The key derivation rate is zero, as everywhere in WebRTC.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use super::error::BadKeyingMaterial;
use crate::core::input::SrtpProfile;

/// Longest master or session key, bytes.
pub(super) const KEY_BYTES_MAX: usize = 32;
/// A salt of the derivation, bytes. The suites' own salts are 14 (counter mode) or 12 (GCM).
pub(super) const SALT_BYTES_MAX: usize = 14;
/// Key of HMAC-SHA1, bytes.
pub(super) const AUTH_KEY_BYTES: usize = 20;

/// What a session key is for: RTP or RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Rtp,
    Rtcp,
}

/// A master key and salt of one direction, as DTLS handed them over.
pub(super) struct MasterKey<'a> {
    key: &'a [u8],
    salt: [u8; SALT_BYTES_MAX],
}

/// The session keys for one use in one direction.
pub(super) struct SessionKeys {
    key: [u8; KEY_BYTES_MAX],
    key_len: usize,
    /// The salt, of which a suite uses only its own length.
    pub(super) salt: [u8; SALT_BYTES_MAX],
    pub(super) auth: [u8; AUTH_KEY_BYTES],
}

impl SessionKeys {
    pub(super) fn key(&self) -> &[u8] {
        &self.key[..self.key_len]
    }
}

/// Lengths of master key and master salt, bytes.
const fn lengths(profile: SrtpProfile) -> (usize, usize) {
    match profile {
        SrtpProfile::Aes128CmSha1_80 => (16, 14),
        SrtpProfile::AeadAes128Gcm => (16, 12),
        SrtpProfile::AeadAes256Gcm => (32, 12),
    }
}

/// Splits the material into the client's and the server's master keys.
pub(super) fn split(
    profile: SrtpProfile,
    material: &[u8],
) -> Result<(MasterKey<'_>, MasterKey<'_>), BadKeyingMaterial> {
    let (key_len, salt_len) = lengths(profile);
    if material.len() != 2 * (key_len + salt_len) {
        return Err(BadKeyingMaterial);
    }
    let (keys, salts) = material.split_at(2 * key_len);
    let (client_key, server_key) = keys.split_at(key_len);
    let (client_salt, server_salt) = salts.split_at(salt_len);
    Ok((MasterKey::new(client_key, client_salt), MasterKey::new(server_key, server_salt)))
}

impl<'a> MasterKey<'a> {
    /// `salt` is not longer than [`SALT_BYTES_MAX`].
    fn new(key: &'a [u8], salt: &[u8]) -> Self {
        let mut padded = [0; SALT_BYTES_MAX];
        padded[..salt.len()].copy_from_slice(salt);
        Self { key, salt: padded }
    }

    /// All session keys for one use.
    pub(super) fn session_keys(&self, r#use: Use) -> Result<SessionKeys, BadKeyingMaterial> {
        let first_label = match r#use {
            Use::Rtp => 0,
            Use::Rtcp => 3,
        };
        let mut keys = SessionKeys {
            key: [0; KEY_BYTES_MAX],
            key_len: self.key.len(),
            salt: [0; SALT_BYTES_MAX],
            auth: [0; AUTH_KEY_BYTES],
        };
        self.derive(first_label, &mut keys.key[..self.key.len()])?;
        self.derive(first_label + 1, &mut keys.auth)?;
        self.derive(first_label + 2, &mut keys.salt)?;
        Ok(keys)
    }

    /// Fills `out` with the key stream for a label (RFC 3711 §4.3.1, §4.3.3).
    fn derive(&self, label: u8, out: &mut [u8]) -> Result<(), BadKeyingMaterial> {
        let mut iv = [0; 16];
        iv[..SALT_BYTES_MAX].copy_from_slice(&self.salt);
        iv[7] ^= label;
        out.fill(0);
        let algorithm = if self.key.len() == 32 { &AES_256 } else { &AES_128 };
        let key = UnboundCipherKey::new(algorithm, self.key).map_err(|_| BadKeyingMaterial)?;
        let key = EncryptingKey::ctr(key).map_err(|_| BadKeyingMaterial)?;
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        key.less_safe_encrypt(out, context).map_err(|_| BadKeyingMaterial)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::media::srtp::testing::hex;

    #[test]
    fn rfc_3711_b_3_derives_the_session_keys() {
        let key = hex("e1f97a0d3e018be0d64fa32c06de4139");
        let keys = MasterKey::new(&key, &hex("0ec675ad498afeebb6960b3aabe6")).session_keys(Use::Rtp).unwrap();
        assert_eq!(keys.key(), hex("c61e7a93744f39ee10734afe3ff7a087"));
        assert_eq!(keys.salt.as_slice(), hex("30cbbc08863d8c85d49db34a9ae1"));
        assert_eq!(keys.auth.as_slice(), hex("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
    }

    #[test]
    fn rfc_6188_7_derives_with_aes_256() {
        let key = hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
        let keys = MasterKey::new(&key, &hex("3b04803de51ee7c96423ab5b78d2")).session_keys(Use::Rtp).unwrap();
        assert_eq!(keys.key(), hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"));
        assert_eq!(keys.salt.as_slice(), hex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(keys.auth.as_slice(), hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
    }

    #[test]
    fn material_of_a_wrong_length_is_refused() {
        assert!(split(SrtpProfile::AeadAes128Gcm, &[0; 56]).is_ok());
        assert!(split(SrtpProfile::AeadAes128Gcm, &[0; 55]).is_err());
        assert!(split(SrtpProfile::AeadAes256Gcm, &[0; 56]).is_err());
        assert!(split(SrtpProfile::Aes128CmSha1_80, &[0; 60]).is_ok());
    }
}
