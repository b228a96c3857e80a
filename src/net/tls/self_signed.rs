//! The certificate of a server that was given none. The server makes it, signs it itself, and keeps it in the data
//! directory, so that people who have accepted it need not do so again after a restart.
//!
//! One file, which only its owner can read, holds the private key and the certificate, so that neither can be missing.
//! What a later start must know about the certificate comes first, as text that PEM readers skip.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use tracing::{info, warn};

/// The name of the file in the data directory.
const FILE_NAME: &str = "self-signed.pem";

/// How long a certificate is good for. Apple's systems accept no more than 825 days.
const VALIDITY: Duration = Duration::from_secs(800 * 86_400);

/// How long before its expiry a new certificate is made.
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// How far in the past a certificate becomes valid, because clients' clocks may be slow.
const VALID_BEFORE: Duration = Duration::from_secs(86_400);

/// The label of the list of names in the file.
const NAMES: &str = "names:";

/// The label of the time of expiry in the file, in seconds since 1970.
const EXPIRES: &str = "expires:";

/// Where the certificate is kept, and what must be in it.
#[derive(Debug, Clone)]
pub struct SelfSigned {
    /// The data directory. With `None` a new certificate is made at every start.
    pub directory: Option<PathBuf>,
    /// The addresses to put into a new certificate.
    pub addresses: Vec<IpAddr>,
    /// The addresses without which a kept certificate is replaced. Those of interfaces are not among them, because they
    /// come and go, and people should not have to accept a new certificate for that.
    pub required: Vec<IpAddr>,
}

impl SelfSigned {
    /// Returns the kept certificate or a new one, with its private key, as PEM. `unix` is the time since 1970.
    pub fn load_or_make(&self, unix: Duration) -> io::Result<String> {
        let path = self.directory.as_deref().map(|directory| directory.join(FILE_NAME));
        if let Some(path) = &path
            && let Some(kept) = self.kept(path, unix)
        {
            return Ok(kept);
        }
        let made = self.make(unix).map_err(io::Error::other)?;
        if let Some(path) = &path {
            match keep(path, &made) {
                Ok(()) => info!(path = %path.display(), "made a self-signed certificate"),
                Err(error) => warn!(
                    path = %path.display(),
                    %error,
                    "the self-signed certificate cannot be kept, and will be another after a restart; \
                     set server.data_dir to a directory that can be written"
                ),
            }
        }
        Ok(made)
    }

    fn kept(&self, path: &Path, unix: Duration) -> Option<String> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(path = %path.display(), %error, "the kept certificate cannot be read: making another");
                return None;
            }
        };
        let noted = |what: &str| text.lines().find_map(|line| line.strip_prefix(what)).map(str::trim);
        let expires = Duration::from_secs(noted(EXPIRES)?.parse().ok()?);
        let names: Vec<&str> = noted(NAMES)?.split(' ').collect();
        let covers = |ip: &IpAddr| names.contains(&ip.to_string().as_str());
        (unix + RENEWED_BEFORE < expires && self.required.iter().all(covers)).then_some(text)
    }

    fn make(&self, unix: Duration) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];
        for ip in loopback.iter().chain(&self.required).chain(&self.addresses) {
            let name = SanType::IpAddress(*ip);
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        let ips = params.subject_alt_names.iter().filter_map(|name| match name {
            SanType::IpAddress(ip) => Some(ip.to_string()),
            _ => None,
        });
        let names = ips.collect::<Vec<_>>().join(" ");
        params.distinguished_name.push(DnType::CommonName, "Strait, self-signed");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + unix.saturating_sub(VALID_BEFORE);
        params.not_after = epoch + unix + VALIDITY;
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let expires = (unix + VALIDITY).as_secs();
        Ok(format!(
            "{NAMES} localhost {names}\n{EXPIRES} {expires}\n{}{}",
            pem("PRIVATE KEY", key.serialized_der()),
            pem("CERTIFICATE", certificate.der())
        ))
    }
}

/// Writes a key or certificate as text (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let lines = text.as_bytes().chunks(64).flat_map(|line| line.iter().copied().chain([b'\n']));
    let lines: String = lines.map(char::from).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// Writes the file under another name, readable only by its owner, and then renames it, so that nobody reads half of
/// it.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    // It may be left from a start that was killed.
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&beside, path));
    if moved.is_err() {
        let _ = fs::remove_file(&beside);
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn temporary(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("strait-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        directory
    }

    fn of(directory: Option<PathBuf>, required: &[&str]) -> SelfSigned {
        let required = required.iter().map(|ip| ip.parse().expect("an address")).collect();
        SelfSigned { directory, addresses: vec![IpAddr::from([192, 0, 2, 7])], required }
    }

    #[test]
    fn it_is_kept_for_its_owner_alone_until_it_no_longer_serves() -> io::Result<()> {
        let directory = temporary("kept");
        let first = of(Some(directory.join("a/b")), &[]).load_or_make(NOW)?;
        let path = directory.join("a/b").join(FILE_NAME);
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path)?.permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        let again = |required: &[&str], now| of(Some(directory.join("a/b")), required).load_or_make(now);
        assert_eq!(again(&[], NOW)?, first);
        assert_eq!(again(&["192.0.2.7"], NOW + VALIDITY / 2)?, first, "an address that it has");
        let second = again(&["203.0.113.7"], NOW)?;
        assert_ne!(second, first, "an address that it lacks");
        assert_eq!(again(&["203.0.113.7"], NOW)?, second);
        assert_ne!(again(&[], NOW + VALIDITY)?, second, "it has expired");
        fs::write(&path, "junk")?;
        assert!(again(&[], NOW)?.contains("BEGIN CERTIFICATE"));
        fs::remove_dir_all(&directory)
    }

    #[test]
    fn without_a_place_to_keep_it_one_is_made_all_the_same() -> io::Result<()> {
        let (one, other) = (of(None, &[]).load_or_make(NOW)?, of(None, &[]).load_or_make(NOW)?);
        assert!(one.contains("BEGIN PRIVATE KEY") && one != other);
        let nowhere = Some(PathBuf::from("/proc/nowhere"));
        assert!(of(nowhere, &[]).load_or_make(NOW)?.contains("BEGIN CERTIFICATE"));
        Ok(())
    }
}
