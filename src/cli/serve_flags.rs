//! The flags of `strait serve` and `strait config`, and how they become sources of a configuration.

use std::ffi::OsString;
use std::path::PathBuf;

use super::failure::Failure;
use crate::config::{Flag, Sources, is_meant_for_us};

/// The variable that names the configuration file when `--config` does not.
const CONFIG_VARIABLE: &str = "STRAIT_CONFIG";

// Help texts are attributes where they hold a bracket, which would be a link in a doc comment.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub(super) struct ServeFlags {
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Network")]
    #[arg(help = "Listen here, on UDP and TCP [default: [::]:7443, all addresses]")]
    #[arg(long_help = "\
Listen on this IP address and port, on UDP and TCP alike. The web page, signalling, media,
WHIP, WHEP and TURN all come through it, so it is the one port to open in a firewall.

[default: [::]:7443, which is every address of this machine, IPv4 and IPv6]")]
    listen: Option<String>,

    /// Tell clients this address of the server; repeatable
    ///
    /// Give it where the address of the machine is not the one that clients see: behind a NAT,
    /// in a container, in most clouds. The port has to be forwarded unchanged, for UDP and TCP.
    /// May be given several times, such as once for IPv4 and once for IPv6.
    ///
    /// By default clients are told the addresses of this machine's network interfaces.
    #[arg(long = "public-address", value_name = "IP", help_heading = "Network", verbatim_doc_comment)]
    public_addresses: Vec<String>,

    #[arg(long = "tls-cert", value_name = "FILE", help_heading = "Certificate")]
    #[arg(help = "The certificate chain for HTTPS, a PEM file [default: self-signed]")]
    #[arg(long_help = "\
Use the certificate chain in this PEM file for everything over TLS; --tls-key is needed
too. The file is read again when it changes: a renewed certificate needs no restart.

[default: a self-signed certificate, of which browsers warn]")]
    tls_cert: Option<String>,

    /// The private key that belongs to --tls-cert, a PEM file
    #[arg(long = "tls-key", value_name = "FILE", help_heading = "Certificate")]
    tls_key: Option<String>,

    #[arg(long, value_name = "DIR", help_heading = "Recording")]
    #[arg(help = "Record rooms here as traces, which contain media and keys")]
    #[arg(long_help = "\
Record rooms as traces in this directory, which is made if it does not exist. Each room is
a file of its own. A trace can be replayed (strait replay) and explained (strait explain).

A trace contains media and keys: whoever has it can see and hear the call. Ask those who
are in it, and use --record-to.

[default: nothing is recorded]")]
    record: Option<String>,

    #[arg(long = "record-rooms", value_name = "PATTERN", help_heading = "Recording")]
    #[arg(help = "Record rooms of this name, such as team-*; repeatable [default: *]")]
    #[arg(long_help = "\
With --record, record only rooms whose name is this, where * stands for any characters,
such as team-*. May be given several times.

[default: *, which is every room]")]
    record_rooms: Vec<String>,

    /// Encrypt traces to this public key, made by `strait trace keygen`
    ///
    /// What lies on the server's disk is then of use to nobody who lacks the private half.
    /// `strait trace keygen key.txt` makes a key and prints its public half; keep key.txt on
    /// another machine.
    #[arg(long = "record-to", value_name = "age1…", help_heading = "Recording", verbatim_doc_comment)]
    record_to: Option<String>,

    /// After a signal, go on this long without letting anybody in
    ///
    /// The signals are SIGINT (Ctrl-C) and SIGTERM. Running calls go on meanwhile, and end at
    /// once on a second signal. The server also stops as soon as everybody has left.
    ///
    /// By default it stops at the first signal.
    #[arg(long, value_name = "SECONDS", help_heading = "Operation", verbatim_doc_comment)]
    drain: Option<String>,

    #[arg(long, value_name = "FILE", help_heading = "Operation")]
    #[arg(help = "Read this configuration file (TOML, or LiveKit's YAML) [env: STRAIT_CONFIG]")]
    #[arg(long_help = "\
Read settings from this TOML file, or from a LiveKit server's, whose name ends in .yaml.
`strait config` prints one with every key and its value, which can be used as a start.

[env: STRAIT_CONFIG, which names the file where this flag does not]")]
    config: Option<PathBuf>,
}

impl ServeFlags {
    /// Returns the flags that name a configuration file, or none, and nothing else.
    pub(super) fn of_file(config: Option<PathBuf>) -> Self {
        Self { config, ..Self::default() }
    }

    /// Returns the sources of the configuration: these flags, and what `variables` sets.
    pub(super) fn sources(
        &self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Sources, Failure> {
        let mut sources = Sources { file: self.config.clone(), flags: self.given(), ..Sources::default() };
        for (name, value) in variables {
            // The names of our variables are ASCII, so a name that is not even UTF-8 is none of them.
            let Ok(name) = name.into_string() else { continue };
            if name == CONFIG_VARIABLE {
                let named = Some(PathBuf::from(value)).filter(|path| !path.as_os_str().is_empty());
                sources.file = sources.file.or(named);
                continue;
            }
            if !is_meant_for_us(&name) {
                continue;
            }
            let value = value
                .into_string()
                .map_err(|_| Failure::usage(format!("the variable {name} is not UTF-8 text; set it anew")))?;
            sources.variables.push((name, value));
        }
        // The order of an environment is arbitrary, and the first mistake is the one that is reported.
        sources.variables.sort();
        Ok(sources)
    }

    /// Returns the first flag that was given, as it is typed; `None` if there is none.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let config = self.config.is_some().then_some("--config");
        self.given().first().map(|flag| flag.flag).or(config)
    }

    /// Returns the flags that were given and set a key.
    fn given(&self) -> Vec<Flag> {
        let list = |values: &[String]| (!values.is_empty()).then(|| values.join(","));
        let all = [
            ("--listen", "server.listen", self.listen.clone()),
            ("--public-address", "server.public_addresses", list(&self.public_addresses)),
            ("--tls-cert", "tls.cert", self.tls_cert.clone()),
            ("--tls-key", "tls.key", self.tls_key.clone()),
            ("--record", "record.dir", self.record.clone()),
            ("--record-rooms", "record.rooms", list(&self.record_rooms)),
            ("--record-to", "record.recipient", self.record_to.clone()),
            ("--drain", "server.drain", self.drain.clone()),
        ];
        let given = all.into_iter().filter_map(|(flag, key, value)| Some(Flag { flag, key, value: value? }));
        given.collect()
    }
}
