//! The server's TLS certificate: from files, which are read again when they change, or self-signed.
//!
//! Connections keep the configuration that they began with, so that a new certificate drops nobody. A changed file that
//! cannot be used leaves everything as it was, and the log says so once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{info, warn};

use super::self_signed::SelfSigned;
use crate::core::negotiation::transport::fingerprint;

/// How often the files are checked for changes.
const FILES_CHECKED_EVERY: Duration = Duration::from_secs(2);

/// How often the age of a self-signed certificate is checked.
const AGE_CHECKED_EVERY: Duration = Duration::from_secs(3600);

/// The protocols that clients may ask for by ALPN. The first bytes, not ALPN, decide the protocol, because clients ask
/// for one and speak another. A client that asks only for others is refused.
const ALPN: [&[u8]; 2] = [b"http/1.1", b"stun.turn"];

/// The files of a certificate chain and its private key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The file of the chain, with the server's own certificate first.
    pub cert: PathBuf,
    /// The file of the private key.
    pub key: PathBuf,
}

/// Where the certificate comes from.
#[derive(Debug)]
pub enum Source {
    /// Files that the operator has named.
    Files(TlsFiles),
    /// The server itself, which signs its own.
    SelfSigned(SelfSigned),
}

/// A file's time and length, which tell whether it has changed; `None` if it cannot be read.
type Stamp = Option<(SystemTime, u64)>;

/// The certificate in use.
pub struct Certificates {
    source: Source,
    config: Arc<ServerConfig>,
    fingerprint: String,
    stamps: [Stamp; 2],
    next_check: Instant,
}

/// A certificate that was checked and can be used.
struct Usable {
    config: Arc<ServerConfig>,
    fingerprint: String,
}

impl Certificates {
    /// Reads or makes the certificate. `unix` is the time since 1970.
    pub fn new(source: Source, now: Instant, unix: Duration) -> io::Result<Self> {
        // Taken before reading, so that files that change meanwhile are read again.
        let stamps = source.stamps();
        let Usable { config, fingerprint } = source.load(unix)?;
        let next_check = now + source.checked_every();
        Ok(Self { source, config, fingerprint, stamps, next_check })
    }

    /// Returns the TLS configuration for a new connection.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Returns the SHA-256 fingerprint of the server's certificate, as browsers show it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns whether the server has signed the certificate itself.
    pub fn is_self_signed(&self) -> bool {
        matches!(self.source, Source::SelfSigned(_))
    }

    /// Returns when [`run_deadline`](Self::run_deadline) has something to do.
    pub fn next_deadline(&self) -> Instant {
        self.next_check
    }

    /// Checks whether there is a new certificate, if it is time.
    pub fn run_deadline(&mut self, now: Instant, unix: Duration) {
        if now < self.next_check {
            return;
        }
        self.next_check = now + self.source.checked_every();
        let stamps = self.source.stamps();
        if matches!(self.source, Source::Files(_)) && stamps == self.stamps {
            return;
        }
        // Noted before it is known whether the files can be used, so that the log says it once for each change.
        self.stamps = stamps;
        match self.source.load(unix) {
            Ok(usable) if usable.fingerprint == self.fingerprint => {}
            Ok(Usable { config, fingerprint }) => {
                info!(fingerprint, "new connections get the new certificate");
                self.config = config;
                self.fingerprint = fingerprint;
            }
            Err(error) => warn!(%error, "the changed certificate cannot be used: the old one stays in use"),
        }
    }
}

impl Source {
    fn checked_every(&self) -> Duration {
        match self {
            Self::Files(_) => FILES_CHECKED_EVERY,
            Self::SelfSigned(_) => AGE_CHECKED_EVERY,
        }
    }

    fn stamps(&self) -> [Stamp; 2] {
        let stamp = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        match self {
            Self::Files(files) => [stamp(&files.cert), stamp(&files.key)],
            Self::SelfSigned(_) => [None, None],
        }
    }

    fn load(&self, unix: Duration) -> io::Result<Usable> {
        match self {
            Self::Files(TlsFiles { cert, key }) => {
                let chain = read(cert, "tls.cert")?;
                let key_text = read(key, "tls.key")?;
                usable(&chain, &key_text).map_err(|why| {
                    let (cert, key) = (cert.display(), key.display());
                    unfit(format!("tls.cert ({cert}) and tls.key ({key}) cannot be used: {why}"))
                })
            }
            Self::SelfSigned(own) => {
                let text = own.load_or_make(unix)?;
                let kept = usable(text.as_bytes(), text.as_bytes());
                kept.or_else(|why| {
                    warn!(why, "the kept certificate cannot be used: making one for this run");
                    let text = SelfSigned { directory: None, ..own.clone() }.load_or_make(unix)?;
                    usable(text.as_bytes(), text.as_bytes()).map_err(unfit)
                })
            }
        }
    }
}

fn read(path: &Path, key: &str) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| unfit(format!("cannot read {key} ({}): {error}", path.display())))
}

/// Returns an error of the kind for mistakes that the operator has to correct.
fn unfit(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn usable(chain: &[u8], key: &[u8]) -> Result<Usable, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate is not PEM: {error}"))?;
    let first = chain.first().ok_or("there is no certificate in the file")?;
    let fingerprint = fingerprint(first);
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key is not PEM: {error}"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Usable { config: Arc::new(config), fingerprint })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: Duration = Duration::from_secs(1_800_000_000);

    fn made() -> io::Result<String> {
        SelfSigned { directory: None, addresses: Vec::new(), required: Vec::new() }.load_or_make(UNIX)
    }

    #[test]
    fn changed_files_are_taken_and_broken_ones_are_not() -> io::Result<()> {
        let directory = std::env::temp_dir().join(format!("strait-tls-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let files = TlsFiles { cert: directory.join("cert.pem"), key: directory.join("key.pem") };
        let write = |cert: &str, key: &str| {
            fs::write(&files.cert, cert)?;
            fs::write(&files.key, key)
        };
        let (first, second) = (made()?, made()?);
        write(&first, &first)?;
        let now = crate::net::clock::now();
        let mut certificates = Certificates::new(Source::Files(files.clone()), now, UNIX)?;
        let mut checks = 0;
        let mut checked = |certificates: &mut Certificates| {
            checks += 1;
            certificates.run_deadline(now + checks * FILES_CHECKED_EVERY, UNIX);
            certificates.fingerprint().to_owned()
        };
        let original = checked(&mut certificates);
        assert_eq!(original.len(), 95);
        for (cert, key) in [("", first.as_str()), (&second, &first), ("junk", "junk"), (&first, "")] {
            write(cert, key)?;
            assert_eq!(checked(&mut certificates), original, "a certificate that cannot be used");
        }
        write(&second, &second)?;
        let renewed = checked(&mut certificates);
        assert_ne!(renewed, original);
        fs::remove_dir_all(&directory)?;
        assert_eq!(checked(&mut certificates), renewed, "files that are gone");

        let error = Certificates::new(Source::Files(files), now, UNIX).err().expect("no files");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("tls.cert"), "{error}");
        Ok(())
    }
}
