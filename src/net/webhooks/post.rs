//! The client that posts an event to a receiver: one connection, one request, and of the answer its status alone.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{WebhookConfig, WebhookUrl};
use crate::net::clock;

/// Where systems keep the certificates that they trust: Debian and its kin, Red Hat's, Alpine and the BSDs, SUSE.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// How many addresses of a host are tried.
const ADDRESSES_MAX: usize = 4;
/// The longest head of an answer that is read, in bytes.
const ANSWER_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How many header fields an answer may have.
const ANSWER_FIELDS_MAX: usize = 100;

/// Posts events to one receiver.
pub struct Poster {
    /// Where the receiver is.
    pub url: WebhookUrl,
    /// What certificates are checked by, for `https`.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long one attempt may take, from the connection to the answer. Looking up the name comes on top, because the
    /// system decides how long that takes.
    pub timeout: Duration,
}

/// Reads the certificates that receivers' certificates must lead to. Returns `None` if no receiver has one.
///
/// # Errors
/// There is a receiver whose certificate could not be checked.
pub fn tls(config: &WebhookConfig) -> io::Result<Option<Arc<ClientConfig>>> {
    if !config.urls.iter().any(|url| url.is_secure) {
        return Ok(None);
    }
    let bundle = config.ca_file.clone();
    let bundle = bundle.or_else(|| SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()));
    let bundle = bundle.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "webhooks go to an https address, and this system has no list of certificate authorities; name a file of them \
             in webhooks.ca_file, or install ca-certificates",
        )
    })?;
    let roots = roots(&bundle).map_err(|why| {
        let text = format!("the certificates of {} cannot be used for webhooks: {why}", bundle.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

fn roots(bundle: &Path) -> Result<RootCertStore, String> {
    let pem = fs::read(bundle).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    // A system's list has some that are malformed; they are left out.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(roots) }
}

impl Poster {
    /// Posts a body with that token. Returns the status of the answer.
    ///
    /// # Errors
    /// There was no answer in time, or none that is HTTP; why, in words.
    pub fn post(&self, body: &[u8], token: &str) -> Result<u16, String> {
        let addresses = (self.url.host.as_str(), self.url.port).to_socket_addrs();
        let addresses =
            addresses.map_err(|error| format!("the name {} is not found: {error}", self.url.host))?;
        // From here on, because nobody can hurry the system's look-up.
        let deadline = clock::now() + self.timeout;
        let mut last = format!("{} has no address", self.url.host);
        for address in addresses.take(ADDRESSES_MAX) {
            let connected = left(deadline).and_then(|left| TcpStream::connect_timeout(&address, left));
            match connected {
                Ok(stream) => {
                    return self.exchange(Timed { stream, deadline }, body, token).map_err(|e| e.to_string());
                }
                Err(error) => last = format!("{address}: {error}"),
            }
        }
        Err(last)
    }

    fn exchange(&self, stream: Timed, body: &[u8], token: &str) -> io::Result<u16> {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: strait/{}\r\nContent-Type: application/webhook+json\r\n\
             Content-Length: {}\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n",
            self.url.target,
            self.url.authority(),
            env!("CARGO_PKG_VERSION"),
            body.len(),
        );
        let request = [head.as_bytes(), body].concat();
        if !self.url.is_secure {
            return ask(stream, &request);
        }
        let config = self.tls.clone().ok_or_else(|| io::Error::other("no certificates to check by"))?;
        let name = ServerName::try_from(self.url.host.clone()).map_err(io::Error::other)?;
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        ask(StreamOwned::new(session, stream), &request)
    }
}

/// Sends a request and reads the status of the answer. What comes behind the head is of no interest.
fn ask(mut stream: impl Read + Write, request: &[u8]) -> io::Result<u16> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        if let Some(status) = status(&mut answer)? {
            return Ok(status);
        }
        if answer.len() > ANSWER_HEAD_BYTES_MAX {
            return Err(io::Error::other("the head of its answer is too long"));
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other("it closed the connection without an answer")),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Reads the status of an answer; `None` if its head is not complete yet. Interim answers (RFC 9110 §15.2) are taken away.
fn status(answer: &mut Vec<u8>) -> io::Result<Option<u16>> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; ANSWER_FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response
            .parse(answer)
            .map_err(|error| io::Error::other(format!("its answer is not HTTP: {error}")))?;
        match (parsed, response.code) {
            (httparse::Status::Complete(length), Some(100..=199)) => {
                answer.drain(..length);
            }
            (httparse::Status::Complete(_), code) => return Ok(code),
            (httparse::Status::Partial, _) => return Ok(None),
        }
    }
}

/// A stream whose every step must be done before one deadline, so that a peer that sends a byte now and then is no
/// slower than one that sends nothing.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(clock::now());
    if left.is_zero() { Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")) } else { Ok(left) }
}

/// A socket says `WouldBlock` when its time is up.
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "it took too long")
        }
        _ => error,
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer).map_err(in_words)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(bytes).map_err(in_words)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_behind_interim_answers() {
        let read = |text: &str| status(&mut text.as_bytes().to_vec());
        assert_eq!(
            read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody").expect("HTTP"),
            Some(200)
        );
        assert_eq!(read("HTTP/1.1 20").expect("HTTP so far"), None);
        assert!(read("SSH-2.0-OpenSSH\r\n\r\n").is_err());
    }
}
