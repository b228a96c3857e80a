//! Clients with an RSA certificate. W3C's WebRTC allows browsers to have one, and all GStreamer clients do, but the
//! DTLS library only verifies ECDSA and asks for nothing else in its CertificateRequest. A client without an ECDSA
//! certificate then sends none, and the handshake fails.
//!
//! The library's cryptography can be replaced, but its request cannot. So the request is widened outside of the
//! library: in the datagrams that carry it ([`widened_datagram`]), and wherever the library hands the handshake's
//! messages to its cryptography, to be hashed or to verify the client's signature ([`provider`]), so that both sides
//! see the same bytes. The library does not notice: it takes any certificate, and passes on the signature algorithm
//! that the client names.
//!
//! This is for the server's side. As a DTLS client we only accept ECDSA certificates, because the library has no cipher
//! suite for others. Offers of `setup:passive`, which make us the client, break RFC 8842, section 5.2.

use std::borrow::Cow;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RsaParameters, UnparsedPublicKey,
};
use dimpl::crypto::{
    Buf, CryptoProvider, HashAlgorithm, HashContext, HashProvider, SignatureAlgorithm, SignatureVerifier,
};
use dimpl::{CryptoError, CryptoOperation};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;

use super::record::{HANDSHAKE, Records};

/// The size of a message's header: type, length, sequence number, fragment offset and length (RFC 6347, section 4.2.2).
const MESSAGE_HEADER_BYTES: usize = 12;

/// CertificateRequest (RFC 5246, section 7.4.4).
const CERTIFICATE_REQUEST: u8 = 13;

/// Our request in its place: any ECDSA or RSA certificate, whoever has signed it (the fingerprint in the client's
/// description says whether it is the right one), with signature algorithms that can be verified here.
const REQUEST: [u8; 15] = [
    2, 64, 1, // Types: ecdsa_sign, rsa_sign.
    0, 8, 4, 3, 5, 3, 4, 1, 5, 1, // SHA-256 and SHA-384 with ECDSA, then with RSA (PKCS #1).
    0, 0, // No authorities.
];

/// The shortest request that the library writes: one type, one algorithm, no authorities.
const SHORTEST_REQUEST_BYTES: usize = 8;

/// By how many bytes a datagram can get longer.
pub(super) const WIDENS_BY: usize = REQUEST.len() - SHORTEST_REQUEST_BYTES;

/// The object identifier of RSA keys (RFC 8017, appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Returns the library's cryptography, for handshakes in which we are the server and the request was widened.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { hash_provider: &Hashes, signature_verification: &Signatures, ..library_provider() }
}

fn library_provider() -> CryptoProvider {
    dimpl::crypto::aws_lc_rs::default_provider()
}

/// Returns one of the library's datagrams with a widened request, to be sent.
pub(super) fn widened_datagram(datagram: &[u8]) -> Vec<u8> {
    let mut widened = Vec::with_capacity(datagram.len() + WIDENS_BY);
    for record in Records::new(datagram) {
        match record.body() {
            Some(body) if record.content_type() == HANDSHAKE && record.epoch() == 0 => {
                record.write_with_body(&widened_messages(body), &mut widened);
            }
            _ => widened.extend_from_slice(record.bytes()),
        }
    }
    widened
}

/// Returns handshake messages with our request in place of the library's. Bytes that are not a sequence of whole
/// messages come back unchanged. So would a request in several fragments, in the datagrams and in the transcript, but
/// there is never one, because the flight fits into one datagram.
fn widened_messages(messages: &[u8]) -> Cow<'_, [u8]> {
    let Some(request) = find_request(messages) else { return Cow::Borrowed(messages) };
    let (before, rest) = messages.split_at(request.start);
    let (header, rest) = rest.split_at(MESSAGE_HEADER_BYTES);
    let after = &rest[request.body_bytes..];
    let length = (REQUEST.len() as u32).to_be_bytes();
    let mut widened = Vec::with_capacity(messages.len() + WIDENS_BY);
    widened.extend_from_slice(before);
    // Type, length and sequence number; then the fragment's offset and length, which are those of the whole message.
    widened.extend_from_slice(&header[..1]);
    widened.extend_from_slice(&length[1..]);
    widened.extend_from_slice(&header[4..9]);
    widened.extend_from_slice(&length[1..]);
    widened.extend_from_slice(&REQUEST);
    widened.extend_from_slice(after);
    Cow::Owned(widened)
}

/// The position of a CertificateRequest among messages, and the length of its body.
struct RequestPlace {
    start: usize,
    body_bytes: usize,
}

fn find_request(messages: &[u8]) -> Option<RequestPlace> {
    let mut start = 0;
    loop {
        let rest = messages.get(start..)?;
        let (header, rest) = rest.split_first_chunk::<MESSAGE_HEADER_BYTES>()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        let (length, offset, body_bytes) =
            (number(&header[1..4]), number(&header[6..9]), number(&header[9..12]));
        if rest.len() < body_bytes {
            return None;
        }
        if header[0] == CERTIFICATE_REQUEST && offset == 0 && body_bytes == length {
            return Some(RequestPlace { start, body_bytes });
        }
        start += MESSAGE_HEADER_BYTES + body_bytes;
    }
}

/// Hashes the transcript. In DTLS 1.2 the library only hashes the handshake's messages so far, all of them in one
/// piece.
#[derive(Debug)]
struct Hashes;

impl HashProvider for Hashes {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        Box::new(Hash(library_provider().hash_provider.create_hash(algorithm)))
    }
}

#[derive(Debug)]
struct Hash(Box<dyn HashContext>);

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(&widened_messages(data));
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        self.0.clone_and_finalize(out);
    }
}

/// Verifies the client's signature of the transcript: RSA here, ECDSA by the library.
#[derive(Debug)]
struct Signatures;

impl SignatureVerifier for Signatures {
    fn verify_signature(
        &self,
        certificate: &[u8],
        messages: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let messages = widened_messages(messages);
        if algorithm == SignatureAlgorithm::RSA {
            return verify_rsa(certificate, &messages, signature, hash);
        }
        let library = library_provider().signature_verification;
        library.verify_signature(certificate, &messages, signature, hash, algorithm)
    }
}

/// Verifies an RSA signature. Refuses keys of fewer than 2,048 or more than 8,192 bits, and hashes that were not asked
/// for.
fn verify_rsa(
    certificate: &[u8],
    messages: &[u8],
    signature: &[u8],
    hash: HashAlgorithm,
) -> Result<(), CryptoError> {
    let parameters: &RsaParameters = match hash {
        HashAlgorithm::SHA256 => &RSA_PKCS1_2048_8192_SHA256,
        HashAlgorithm::SHA384 => &RSA_PKCS1_2048_8192_SHA384,
        _ => {
            return Err(CryptoError::UnsupportedSignaturePair { signature: SignatureAlgorithm::RSA, hash });
        }
    };
    let certificate =
        Certificate::from_der(certificate).map_err(|_error| CryptoError::CertificateParseFailed)?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    if key.algorithm.oid != RSA_ENCRYPTION {
        return Err(CryptoError::UnsupportedPublicKeyAlgorithm);
    }
    let key = key.subject_public_key.as_bytes().ok_or(CryptoError::InvalidSubjectPublicKey)?;
    UnparsedPublicKey::new(parameters, key)
        .verify(messages, signature)
        .map_err(|_unspecified| CryptoError::OperationFailed(CryptoOperation::VerifySignature))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
        let length = [0, 0, body.len() as u8];
        [&[kind], &length[..], &[0, number], &[0, 0, 0], &length, body].concat()
    }

    #[test]
    fn the_request_is_replaced_wherever_it_stands_and_nothing_else_is() {
        let narrow = message(CERTIFICATE_REQUEST, 3, &[1, 64, 0, 2, 4, 3, 0, 0]);
        let wide = message(CERTIFICATE_REQUEST, 3, &REQUEST);
        let (before, after) = (message(2, 0, &[7; 40]), message(14, 4, &[]));
        let narrow_messages = [&before[..], &narrow, &after].concat();
        let wide_messages = [&before[..], &wide, &after].concat();
        assert_eq!(*widened_messages(&narrow_messages), wide_messages);
        assert_eq!(*widened_messages(&wide_messages), wide_messages);
        assert_eq!(*widened_messages(&before), before);
        assert_eq!(wide_messages.len(), narrow_messages.len() + WIDENS_BY);
    }

    #[test]
    fn what_is_no_sequence_of_whole_messages_stays_as_it_is() {
        let narrow = message(CERTIFICATE_REQUEST, 3, &[1, 64, 0, 2, 4, 3, 0, 0]);
        for length in 0..narrow.len() {
            assert_eq!(*widened_messages(&narrow[..length]), narrow[..length]);
            assert_eq!(widened_datagram(&narrow[..length]), narrow[..length]);
        }
        assert!(widened_messages(&[]).is_empty());
    }
}
