//! Types of configuration values: each knows how to be read from a file or from text, how to be shown as TOML, and
//! how to say what it expects.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::access::AuthMode;
use crate::core::settings::LayerPolicy;
use crate::core::topology::{MeshPolicy, Sizing, Strategy};
use crate::net::{Authority, Network};

/// Fewest characters of a secret: fewer can be guessed over the network.
pub(super) const SECRET_CHARS_MIN: usize = 16;

/// A value as it was written, before anybody knows what it should be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// From a variable or a flag: everything is text there.
    Text(String),
    /// From a file: a string.
    String(String),
    /// From a file: an integer.
    Integer(i64),
    /// From a file: a number with a decimal point.
    Float(f64),
    /// From a file: true or false.
    Boolean(bool),
    /// From a file: a list; from a flag that may be given several times.
    List(Vec<Raw>),
    /// From a file: a table.
    Table(Vec<(String, Raw)>),
    /// From a file: what no key takes.
    Other(&'static str),
}

impl Raw {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::String(text) => Some(text.trim()),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a list; a text lists them with commas between.
    pub(super) fn items(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(text) => {
                Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
            }
            Self::List(items) => items.iter().map(Self::text).collect(),
            _ => None,
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::String(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(_) => f.write_str("a table"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// The range of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// All that the type allows.
    Any,
    /// Whole numbers, from and to.
    Count(usize, usize),
    /// Seconds, from and to.
    Seconds(f64, f64),
}

/// A type that a key can have.
pub(super) trait Setting: Sized {
    /// Whether values are never shown.
    const SECRET: bool = false;

    /// Takes a value over, if it is one of this type and in range.
    fn read(raw: &Raw, rule: &Rule) -> Option<Self>;

    /// The value as TOML.
    fn show(&self) -> String;

    /// What can be given, in words that follow "must be".
    fn expected(rule: &Rule) -> String;
}

impl Setting for usize {
    fn read(raw: &Raw, rule: &Rule) -> Option<Self> {
        let number = match raw {
            Raw::Text(text) => text.trim().parse().ok()?,
            Raw::Integer(number) => usize::try_from(*number).ok()?,
            _ => return None,
        };
        let &Rule::Count(min, max) = rule else { return Some(number) };
        (min..=max).contains(&number).then_some(number)
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn expected(rule: &Rule) -> String {
        match rule {
            Rule::Count(min, max) => format!("a whole number from {min} to {max}"),
            _ => "a whole number".to_owned(),
        }
    }
}

impl Setting for Duration {
    fn read(raw: &Raw, rule: &Rule) -> Option<Self> {
        let seconds = raw.number()?;
        if let &Rule::Seconds(min, max) = rule
            && !(min..=max).contains(&seconds)
        {
            return None;
        }
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn show(&self) -> String {
        self.as_secs_f64().to_string()
    }

    fn expected(rule: &Rule) -> String {
        match rule {
            Rule::Seconds(min, max) => format!("seconds, from {min} to {max}"),
            _ => "seconds".to_owned(),
        }
    }
}

impl Setting for bool {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        match raw {
            Raw::Boolean(value) => Some(*value),
            Raw::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn expected(_: &Rule) -> String {
        "true or false".to_owned()
    }
}

impl Setting for SocketAddr {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        raw.text()?.parse().ok()
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }

    fn expected(_: &Rule) -> String {
        "an IP address and a port, such as \"[::]:7443\" or \"127.0.0.1:7443\"".to_owned()
    }
}

impl Setting for Option<SocketAddr> {
    fn read(raw: &Raw, rule: &Rule) -> Option<Self> {
        let text = raw.text()?;
        if text.is_empty() { Some(None) } else { SocketAddr::read(raw, rule).map(Some) }
    }

    fn show(&self) -> String {
        quoted(&self.map(|address| address.to_string()).unwrap_or_default())
    }

    fn expected(rule: &Rule) -> String {
        SocketAddr::expected(rule)
    }
}

impl Setting for Vec<IpAddr> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let usable = |address: &IpAddr| !address.is_unspecified() && !address.is_multicast();
        raw.items()?.into_iter().map(|item| item.parse().ok().filter(usable)).collect()
    }

    fn show(&self) -> String {
        list(self.iter().map(IpAddr::to_string))
    }

    fn expected(_: &Rule) -> String {
        "a list of IP addresses, such as [\"203.0.113.7\", \"2001:db8::7\"]".to_owned()
    }
}

impl Setting for Vec<Network> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        raw.items()?.into_iter().map(|item| item.parse().ok()).collect()
    }

    fn show(&self) -> String {
        list(self.iter().map(Network::to_string))
    }

    fn expected(_: &Rule) -> String {
        "a list of IP addresses and networks, such as [\"127.0.0.1\", \"10.0.0.0/8\"]".to_owned()
    }
}

impl Setting for Option<Authority> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let text = raw.text()?;
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    }

    fn show(&self) -> String {
        quoted(&self.as_ref().map(Authority::to_string).unwrap_or_default())
    }

    fn expected(_: &Rule) -> String {
        "a host name or an IP address, with or without a port, such as \"turn.example.org\" or \"[2001:db8::7]:443\""
            .to_owned()
    }
}

impl Setting for Option<PathBuf> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let text = raw.text()?;
        Some((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn show(&self) -> String {
        quoted(&self.as_deref().map(|path| path.to_string_lossy()).unwrap_or_default())
    }

    fn expected(_: &Rule) -> String {
        "a path".to_owned()
    }
}

/// What a browser sends as `Origin`: scheme, host and, where it is not the scheme's own, port. Or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// As a browser writes it, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self(text.to_owned()));
        }
        let origin = text.to_ascii_lowercase();
        let (scheme, host) = origin.split_once("://")?;
        // Browsers leave a scheme's own port out.
        let own_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let host = host.strip_suffix(own_port).unwrap_or(host);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        (!host.is_empty() && host.bytes().all(plain)).then(|| Self(format!("{scheme}://{host}")))
    }
}

impl Setting for Vec<WebOrigin> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        raw.items()?.into_iter().map(WebOrigin::parse).collect()
    }

    fn show(&self) -> String {
        list(self.iter().map(|origin| origin.0.clone()))
    }

    fn expected(_: &Rule) -> String {
        "a list of origins without a path, such as [\"https://example.org\"], or [\"*\"]".to_owned()
    }
}

/// A host name, in lower case and without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        (!text.is_empty() && text.bytes().all(plain)).then(|| Self(text.to_ascii_lowercase()))
    }
}

impl Setting for Vec<HostName> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        raw.items()?.into_iter().map(HostName::parse).collect()
    }

    fn show(&self) -> String {
        list(self.iter().map(|host| host.0.clone()))
    }

    fn expected(_: &Rule) -> String {
        "a list of host names without ports, such as [\"call.example.org\"]".to_owned()
    }
}

/// The address of a server's signalling, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The address itself; empty if there is none.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for ServerUrl {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let text = raw.text()?;
        let is_address =
            ["ws://", "wss://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        (text.is_empty() || (is_address && plain)).then(|| Self(text.to_owned()))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }

    fn expected(_: &Rule) -> String {
        "an address that begins with ws:// or wss://, or nothing".to_owned()
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, to compare with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Setting for Option<Secret> {
    const SECRET: bool = true;

    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let text = raw.text()?;
        if text.is_empty() {
            return Some(None);
        }
        // What a header can carry.
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        (plain && text.len() >= SECRET_CHARS_MIN).then(|| Some(Secret(text.to_owned())))
    }

    fn show(&self) -> String {
        match self {
            Some(_) => "set".to_owned(),
            None => "not set".to_owned(),
        }
    }

    fn expected(_: &Rule) -> String {
        format!("at least {SECRET_CHARS_MIN} letters, digits and signs without spaces")
    }
}

/// Which log lines are wanted: `info`, or `info,strait::net=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

    /// Returns the default: `info` for everything.
    pub fn info() -> Self {
        Self("info".to_owned())
    }

    /// Reads a filter: a level, levels for single modules, or both, with commas between.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // `Targets` takes a bare word that is no level for a module; here it is a typing error.
        let part_ok = |part: &str| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
            Self::LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
        };
        let filter = text.split(',').all(part_ok) && text.parse::<Targets>().is_ok();
        filter.then(|| Self(text.to_owned()))
    }

    /// Returns the filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the subscriber takes it. The engine's own lines are errors only, unless the filter names its modules: it warns
    /// of every odd packet, so anyone could fill the log. Of the TURN library not even those, which calls every client's
    /// first request an error, nor of the SCTP library, which calls every malformed packet one.
    pub fn targets(&self) -> Targets {
        let mut targets: Targets = self.0.parse().unwrap_or_default();
        let quiet = ENGINE_MODULES.map(|module| (module, LevelFilter::ERROR)).into_iter();
        for (module, level) in quiet.chain(SILENT_MODULES.map(|module| (module, LevelFilter::OFF))) {
            if !targets.iter().any(|(target, _)| target.split("::").next() == Some(module)) {
                targets = targets.with_target(module, level);
            }
        }
        targets
    }

    /// What can be given, in words that follow "must be".
    pub fn expected_words() -> &'static str {
        "off, error, warn, info, debug or trace, and module=level after a comma, such as \"info,strait::net=debug\""
    }
}

/// Where the engine logs (SDP and sessions, ICE, DTLS), and the WebSocket library, which would print every message with all
/// secrets in it.
const ENGINE_MODULES: [&str; 4] = ["str0m", "is", "dimpl", "tungstenite"];

/// Where the TURN library logs, and the SCTP library.
const SILENT_MODULES: [&str; 5] =
    ["turn_server_proto", "turn_types", "stun_proto", "stun_types", "sctp_proto"];

impl Setting for LogFilter {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        Self::parse(raw.text()?)
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }

    fn expected(_: &Rule) -> String {
        Self::expected_words().to_owned()
    }
}

/// A setting that is one of a few words.
trait Word: Copy + PartialEq + 'static {
    /// All of them, with their words.
    const WORDS: &'static [(Self, &'static str)];
}

impl<T: Word> Setting for T {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let text = raw.text()?;
        T::WORDS.iter().find(|(_, word)| *word == text).map(|(value, _)| *value)
    }

    fn show(&self) -> String {
        T::WORDS.iter().find(|(value, _)| value == self).map(|(_, word)| quoted(word)).unwrap_or_default()
    }

    fn expected(_: &Rule) -> String {
        let words: Vec<String> = T::WORDS.iter().map(|(_, word)| format!("{word:?}")).collect();
        match words.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => words.concat(),
        }
    }
}

impl Word for LogFormat {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Text, "text"), (Self::Json, "json")];
}

impl Word for RedundantAudio {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Off, "off"), (Self::Auto, "auto")];
}

impl Word for AuthMode {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Open, "open"), (Self::Token, "token")];
}

impl Word for LayerPolicy {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Allocation, "allocation"),
        (Self::Thresholds, "thresholds"),
        (Self::LossThresholds, "loss-thresholds"),
        (Self::Wishes, "wishes"),
    ];
}

impl Word for MeshPolicy {
    const WORDS: &'static [(Self, &'static str)] = &Self::NAMES;
}

impl Word for Strategy {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Hard, "hard"), (Self::Gradual, "gradual"), (Self::Opportunistic, "opportunistic")];
}

impl Word for Sizing {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Count, "count"), (Self::Load, "load")];
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines that people read.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether audio is sent with copies of what was sent before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedundantAudio {
    /// Nobody is sent copies.
    Off,
    /// Clients who lose much are, if they take them.
    Auto,
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.map(|item| quoted(&item)).collect();
    format!("[{}]", items.join(", "))
}
