//! A TLS client that takes every certificate, and says which it was given.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

/// TLS over a blocking stream.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

#[derive(Debug, Default)]
struct AcceptAll {
    seen: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.lock().expect("no panic") = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// A session that has said nothing yet, and what will hold the server's certificate.
fn session(alpn: &[&[u8]]) -> (ClientConnection, Arc<AcceptAll>) {
    let verifier = Arc::new(AcceptAll::default());
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    (ClientConnection::new(Arc::new(config), name).expect("a session"), verifier)
}

/// Connects; the handshake happens with the first byte.
pub fn connect(address: SocketAddr, alpn: &[&[u8]]) -> TlsStream {
    StreamOwned::new(session(alpn).0, super::connect(address))
}

/// The certificate that a new connection is shown, DER.
pub fn certificate(address: SocketAddr) -> Vec<u8> {
    let (session, verifier) = session(&[]);
    let mut stream = StreamOwned::new(session, super::connect(address));
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("written");
    stream.read_to_end(&mut Vec::new()).expect("an answer and a goodbye");
    let seen = verifier.seen.lock().expect("no panic").clone();
    assert!(!seen.is_empty());
    seen
}
