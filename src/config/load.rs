//! Layers: a flag goes before a variable, a variable before the file, the file before the default. Every value
//! keeps where it came from. The first mistake stops the reading, with one line that says what to change.

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::loaded::{ConfigError, Loaded, Origin, hint, nearest};
use super::setting::Raw;
use super::{Config, KEYS, Key, livekit};
use crate::core::room_options::RecordingPolicy;
use crate::core::topology::Sizing;

/// From how many people on the server stands by where a move is decided by load and nothing else is set.
const WARM_BY_LOAD: usize = 5;

/// Names of other software for some of our keys, which are read where ours are not set.
const OTHER_NAMES: [(&str, &str); 4] = [
    ("LIVEKIT_URL", "mesh.sfu_url"),
    ("SFU_ENABLE_THRESHOLD", "mesh.up"),
    ("SFU_DISABLE_THRESHOLD", "mesh.down"),
    ("TRANSITION_STRATEGY", "mesh.strategy"),
];

/// A flag that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// As it is typed, such as `--listen`.
    pub flag: &'static str,
    /// The key that it sets, such as `server.listen`.
    pub key: &'static str,
    /// What was typed behind it.
    pub value: String,
}

/// All that a configuration is made from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if one was named.
    pub file: Option<PathBuf>,
    /// The environment; what neither begins with `STRAIT_` nor is a name of other software for one of the keys is ignored.
    pub variables: Vec<(String, String)>,
    /// The flags that were given.
    pub flags: Vec<Flag>,
}

/// Returns whether a variable may set one of our keys, by its name.
pub fn is_meant_for_us(name: &str) -> bool {
    let is_anothers = OTHER_NAMES.iter().any(|(other, _)| *other == name);
    name.starts_with("STRAIT_") || is_anothers || livekit::is_variable(name)
}

/// Makes the effective configuration from all its sources.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let origins = vec![Origin::Default; KEYS.len()];
    let mut loaded = Loaded { config: Config::default(), origins, notes: Vec::new() };
    if let Some(path) = &sources.file {
        let text = fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            ConfigError(format!("cannot read the configuration file {path}: {error}; check --config"))
        })?;
        let read = if livekit::is_file(path) { livekit::read_file } else { read_file };
        read(&mut loaded, path, &text)?;
    }
    livekit::read_variables(&mut loaded, &sources.variables)?;
    for (name, path) in OTHER_NAMES {
        let index = KEYS.iter().position(|key| key.path() == path);
        let value = sources.variables.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        if let Some((index, value)) = index.zip(value) {
            // Back ends name a LiveKit server by the scheme of its API, clients by that of its WebSocket.
            let value = value.strip_prefix("http").map_or_else(|| value.clone(), |rest| format!("ws{rest}"));
            loaded.set(index, &Raw::Text(value), Origin::Variable(name.to_owned()))?;
        }
    }
    for (name, value) in &sources.variables {
        if let Some(index) = key_of_variable(name)? {
            loaded.set(index, &Raw::Text(value.clone()), Origin::Variable(name.clone()))?;
        }
    }
    for flag in &sources.flags {
        let index = KEYS.iter().position(|key| key.path() == flag.key);
        let index = index.ok_or_else(|| ConfigError(format!("{} sets no known key", flag.flag)))?;
        loaded.set(index, &Raw::Text(flag.value.clone()), Origin::Flag(flag.flag))?;
    }
    if loaded.config.mesh.policy == Sizing::Load && *loaded.origin("mesh.warm") == Origin::Default {
        // By load the server stands by from five people on.
        loaded.config.mesh.warm = WARM_BY_LOAD;
    }
    check_together(&loaded)?;
    Ok(loaded)
}

fn read_file(loaded: &mut Loaded, path: &Path, text: &str) -> Result<(), ConfigError> {
    let line = |offset: usize| 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
    let error = |offset: usize, message: String| {
        Err(ConfigError(format!("{}:{}: {message}", path.display(), line(offset))))
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(problem) => {
            let offset = problem.span().map_or(0, |span| span.start);
            // The parser's message may have a second line of hints.
            let message = problem.message().replace('\n', "; ");
            return error(offset, format!("this is not TOML: {message}"));
        }
    };
    for (section, keys) in &table {
        let offset = section.span().start;
        let section: &str = section.get_ref();
        if !KEYS.iter().any(|key| key.section == section) {
            return error(offset, unknown_section(section));
        }
        let DeValue::Table(keys) = keys.get_ref() else {
            return error(offset, format!("{section} is a section; write [{section}] on a line of its own"));
        };
        for (name, value) in keys {
            let offset = name.span().start;
            let name: &str = name.get_ref();
            let Some(index) = KEYS.iter().position(|key| key.section == section && key.name == name) else {
                return error(offset, unknown_key(section, name));
            };
            loaded.set(index, &raw(value.get_ref()), Origin::File(path.to_owned(), line(offset)))?;
        }
    }
    Ok(())
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::String(text.to_string()),
        // A number beyond 64 bits is no value of any key, but has to be named in the message.
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("a number that large"), Raw::Integer),
        DeValue::Float(number) => number.as_str().parse().map_or(Raw::Other("such a number"), Raw::Float),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Table(table) => {
            // In the order of the file, which means something to some: the first key signs.
            let mut items: Vec<_> = table.iter().collect();
            items.sort_by_key(|(name, _)| name.span().start);
            let items = items.into_iter();
            Raw::Table(
                items.map(|(name, value)| (name.get_ref().to_string(), raw(value.get_ref()))).collect(),
            )
        }
    }
}

fn unknown_section(section: &str) -> String {
    let mut sections: Vec<String> = KEYS.iter().map(|key| key.section.to_owned()).collect();
    sections.dedup();
    // A key above the first section's header.
    if let Some(key) = KEYS.iter().find(|key| key.name == section) {
        return format!("{section} belongs under [{}]", key.section);
    }
    format!("there is no section [{section}]; {}", hint(section, &sections))
}

fn unknown_key(section: &str, name: &str) -> String {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!("there is no key {name} in [{section}]; it belongs under [{}]", key.section);
    }
    let names = KEYS.iter().filter(|key| key.section == section).map(|key| key.name.to_owned());
    format!("there is no key {name} in [{section}]; {}", hint(name, &names.collect::<Vec<_>>()))
}

/// Returns the key that a variable sets; `None` for variables that are not meant for us. Kubernetes, for one, sets
/// `STRAIT_PORT` and `STRAIT_SERVICE_HOST` for a service named strait.
///
/// # Errors
/// [`ConfigError`] for a variable that seems to be meant for a key and names none.
fn key_of_variable(name: &str) -> Result<Option<usize>, ConfigError> {
    if !name.starts_with("STRAIT_") {
        return Ok(None);
    }
    if let Some(index) = KEYS.iter().position(|key| key.variable() == name) {
        return Ok(Some(index));
    }
    let of_section = |key: &&Key| name.starts_with(&format!("STRAIT_{}_", key.section.to_uppercase()));
    let siblings: Vec<String> = KEYS.iter().filter(of_section).map(Key::variable).collect();
    let hint = if siblings.is_empty() {
        // A variable may be ours with a section that is misspelt.
        let all: Vec<String> = KEYS.iter().map(Key::variable).collect();
        let Some(near) = nearest(name, &all) else { return Ok(None) };
        format!("did you mean {near}?")
    } else {
        hint(name, &siblings)
    };
    Err(ConfigError(format!("the variable {name} sets no known key; {hint}")))
}

/// Checks the rules between two keys, each of which is in its own range.
fn check_together(loaded: &Loaded) -> Result<(), ConfigError> {
    let Config { signalling, media, mesh, .. } = &loaded.config;
    let rules = [
        (media.audio_slots <= media.max_audio_slots, "media.audio_slots", "media.max_audio_slots"),
        (mesh.down < mesh.up, "mesh.down", "mesh.up"),
        (mesh.timeout <= mesh.reset, "mesh.timeout", "mesh.reset"),
        (media.speakers <= media.speaker_slots, "media.speakers", "media.speaker_slots"),
        (media.video_slots <= media.max_video_slots, "media.video_slots", "media.max_video_slots"),
        (
            signalling.max_message_bytes <= signalling.max_queue_bytes,
            "signalling.max_message_bytes",
            "signalling.max_queue_bytes",
        ),
        (
            signalling.ping_interval < signalling.idle_timeout,
            "signalling.ping_interval",
            "signalling.idle_timeout",
        ),
    ];
    let Some((_, small, large)) = rules.into_iter().find(|(holds, ..)| !holds) else {
        return check_recording(&loaded.config);
    };
    let shown = |path: &str| {
        let value = KEYS.iter().find(|key| key.path() == path).map(|key| key.value(&loaded.config));
        format!("{path} ({}, {})", value.unwrap_or_default(), loaded.origin(path))
    };
    Err(ConfigError(format!(
        "{} is too large for {}; lower the one or raise the other",
        shown(small),
        shown(large)
    )))
}

/// Checks that there is a place for the traces of rooms that are recorded in any case.
fn check_recording(config: &Config) -> Result<(), ConfigError> {
    let mut made = config.rooms.made.rooms().iter();
    let recorded = made.find(|(_, change)| change.recording == Some(RecordingPolicy::Always));
    match (recorded, &config.record.dir) {
        (Some((room, _)), None) => Err(ConfigError(format!(
            "rooms.made.{room}.record is \"always\", and there is no place for traces; set record.dir"
        ))),
        _ => Ok(()),
    }
}
