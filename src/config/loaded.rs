//! What was loaded: a configuration with where each of its values came from, and the mistakes that are told instead of one.

use std::fmt;
use std::path::PathBuf;

use super::setting::Raw;
use super::{Config, KEYS};

/// Longest value that an error message repeats, characters.
const SHOWN_CHARS_MAX: usize = 60;

/// How many slips of the finger away a known name may be to be suggested.
const SLIPS_MAX: usize = 3;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The default, because nobody chose another.
    Default,
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// An environment variable of this name.
    Variable(String),
    /// A flag, as it is typed.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A configuration that cannot be used: one line, with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A configuration and where each of its values came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The values, checked.
    pub config: Config,
    /// For each of [`KEYS`], in order.
    pub(super) origins: Vec<Origin>,
    /// What the operator should know although the server starts: settings of LiveKit's that have no effect.
    pub notes: Vec<String>,
}

impl Loaded {
    /// Where the value of `section.key` came from; the default's for what is no key.
    pub fn origin(&self, path: &str) -> &Origin {
        let index = KEYS.iter().position(|key| key.path() == path);
        index.and_then(|index| self.origins.get(index)).unwrap_or(&Origin::Default)
    }

    /// Sets `section.key`.
    pub(super) fn set_path(&mut self, path: &str, raw: &Raw, origin: Origin) -> Result<(), ConfigError> {
        let index = KEYS.iter().position(|key| key.path() == path);
        let index = index.ok_or_else(|| ConfigError(format!("there is no key {path}")))?;
        self.set(index, raw, origin)
    }

    pub(super) fn set(&mut self, index: usize, raw: &Raw, origin: Origin) -> Result<(), ConfigError> {
        let key = &KEYS[index];
        if (key.read)(&mut self.config, raw, &key.rule).is_none() {
            let given = if key.secret { "what was given".to_owned() } else { shortened(&raw.to_string()) };
            let place = match &origin {
                Origin::File(path, line) => format!("{}:{line}: {}", path.display(), key.path()),
                Origin::Variable(name) => name.clone(),
                Origin::Flag(flag) => (*flag).to_owned(),
                Origin::Default => key.path(),
            };
            return Err(ConfigError(format!("{place} must be {}, not {given}", key.expected())));
        }
        self.origins[index] = origin;
        Ok(())
    }
}

/// Returns a hint for a name that is not known: what was probably meant, or else everything that could be.
pub(super) fn hint(name: &str, known: &[String]) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known are {}", known.join(", ")),
    }
}

pub(super) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    // A short name must not differ in most of its letters.
    let slips = SLIPS_MAX.min(name.chars().count() / 3);
    let distances = known.iter().map(|known| (strsim::damerau_levenshtein(known, name), known));
    distances.filter(|(distance, _)| *distance <= slips).min().map(|(_, near)| near)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(SHOWN_CHARS_MAX).collect::<String>())
}
