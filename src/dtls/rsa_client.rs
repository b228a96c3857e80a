//! A DTLS client with a certificate of any kind: the library's client with a key of ours. It is for the tests beside it
//! and for `benches/handshake.rs`, which includes this file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use dimpl::crypto::{
    Buf, CryptoProvider, HashAlgorithm, KeyProvider, SignatureAlgorithm, SigningKey, aws_lc_rs as library,
};
use dimpl::{Config, CryptoError, CryptoOperation, Dtls, DtlsCertificate, Output};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

/// Makes an RSA key of a size.
pub fn rsa(bits: RsaKeySize) -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, bits).expect("a key")
}

/// A provider of RSA keys besides those that the library loads.
#[derive(Debug)]
pub struct Keys {
    /// Whether one bit of every signature is flipped.
    pub lies: bool,
}

/// A key that hides that it is RSA until it is asked to sign, because the library's client has no cipher suite for RSA
/// keys. The library asks for the hash only after the server has asked for a certificate.
#[derive(Debug)]
struct RsaKey {
    key: RsaKeyPair,
    is_wanted: AtomicBool,
}

/// A key that flips a bit of another key's signatures.
#[derive(Debug)]
struct Liar(Box<dyn SigningKey>);

impl KeyProvider for Keys {
    fn load_private_key(&self, der: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let key: Box<dyn SigningKey> = match RsaKeyPair::from_pkcs8(der) {
            Ok(key) => Box::new(RsaKey { key, is_wanted: AtomicBool::new(false) }),
            Err(_) => library::default_provider().key_provider.load_private_key(der)?,
        };
        Ok(if self.lies { Box::new(Liar(key)) } else { key })
    }
}

impl SigningKey for RsaKey {
    fn sign(&mut self, data: &[u8], _hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature)
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::Sign))?;
        out.clear();
        out.extend_from_slice(&signature);
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        let is_wanted = self.is_wanted.load(Ordering::Relaxed);
        if is_wanted { SignatureAlgorithm::RSA } else { SignatureAlgorithm::ECDSA }
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.is_wanted.store(true, Ordering::Relaxed);
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

impl SigningKey for Liar {
    fn sign(&mut self, data: &[u8], hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        self.0.sign(data, hash, out)?;
        let last = out.len() - 1;
        out[last] ^= 1;
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.0.hash_algorithm()
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        self.0.supported_hash_algorithms()
    }
}

/// A client that wants to connect.
pub struct Client {
    /// The handshake.
    pub dtls: Dtls,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    scratch: Vec<u8>,
    /// The keying material, once it is agreed upon.
    pub keys: Option<Vec<u8>>,
    /// When it wants to be called next.
    pub deadline: Instant,
    /// Whether it has given up.
    pub failed: bool,
}

impl Client {
    /// Makes a client that sends datagrams of at most `mtu` bytes and signs with `key`, which `keys` loads.
    pub fn new(now: Instant, key: &KeyPair, keys: &'static Keys, mtu: usize) -> Self {
        let params = CertificateParams::new(Vec::new()).expect("no names are fine");
        let certificate = params.self_signed(key).expect("a key can sign").der().to_vec();
        let provider = CryptoProvider { key_provider: keys, ..library::default_provider() };
        let config = Config::builder().mtu(mtu).with_crypto_provider(provider).build().expect("it is valid");
        let private_key = key.serialize_der();
        let own = DtlsCertificate { certificate: certificate.clone(), private_key };
        let mut dtls = Dtls::new_12(Arc::new(config), own, now);
        dtls.set_active(true);
        let failed = dtls.handle_timeout(now).is_err();
        Self { dtls, certificate, scratch: vec![0; 4096], keys: None, deadline: now, failed }
    }

    /// Returns the datagrams that it has to send.
    pub fn poll(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        loop {
            match self.dtls.poll_output(&mut self.scratch) {
                Output::Packet(bytes) => datagrams.push(bytes.to_vec()),
                Output::KeyingMaterial(material, _) => self.keys = Some(material.to_vec()),
                Output::Timeout(at) => {
                    self.deadline = at;
                    return datagrams;
                }
                _ => {}
            }
        }
    }
}
