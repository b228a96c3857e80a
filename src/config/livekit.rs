//! LiveKit: starts this server with what a LiveKit server is started with, its YAML file and its variables, for teams
//! that move from one to the other. Each of its settings is one of three: it sets a key of ours, it has no meaning here,
//! which is said when the server starts, or it is unknown, which is refused like a mistake in our own file.

use std::path::Path;

use super::loaded::{ConfigError, Loaded, Origin, hint};
use super::setting::Raw;
use super::yaml::{self, Entry, Node};

/// Where a LiveKit server listens if nothing else is said.
const PORT: i64 = 7880;
/// Most people in a room where LiveKit sets no limit.
const PARTICIPANTS_MAX: i64 = 10_000;

/// Its variables that mean something here. All others of its prefix belong to apps and tools.
const VARIABLES: [&str; 5] =
    ["LIVEKIT_CONFIG", "LIVEKIT_KEYS", "LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"];

/// What one of its settings means here.
#[derive(Clone, Copy)]
enum Meaning {
    /// The same as this key of ours.
    Key(&'static str),
    /// Something that takes more than to be copied.
    Made(fn(&mut Translation<'_>, &Entry) -> Result<(), ConfigError>),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

use Meaning::{Key, Made, Nothing};

const ONE_PORT: &str = "everything goes by the one port that server.listen names";
const OWN_WAY: &str = "this server does it in a way of its own";
const ONE_SERVER: &str = "one server serves all rooms";
const NOT_SERVED: &str = "it is not served; docs/livekit.md lists what is";

/// Every setting that is known, by its path. One that ends in `.*` stands for all below it.
const SETTINGS: [(&str, Meaning); 49] = [
    ("port", Made(port)),
    ("bind_addresses", Made(bind_addresses)),
    ("keys", Made(keys)),
    ("log_level", Key("log.level")),
    ("logging.level", Key("log.level")),
    ("logging.json", Made(json_log)),
    ("logging.pion_level", Nothing(OWN_WAY)),
    ("logging.component_levels.*", Nothing(OWN_WAY)),
    ("logging.sample", Nothing(OWN_WAY)),
    ("rtc.port_range_start", Nothing(ONE_PORT)),
    ("rtc.port_range_end", Nothing(ONE_PORT)),
    ("rtc.udp_port", Nothing(ONE_PORT)),
    ("rtc.tcp_port", Nothing(ONE_PORT)),
    ("rtc.use_external_ip", Made(external_ip)),
    ("rtc.node_ip", Made(node_ip)),
    ("rtc.stun_servers", Made(stun_servers)),
    ("rtc.turn_servers", Made(turn_servers)),
    ("rtc.use_ice_lite", Nothing(OWN_WAY)),
    ("rtc.use_mdns", Nothing(OWN_WAY)),
    ("rtc.interfaces.*", Nothing("all interfaces are listened on")),
    ("rtc.ips.*", Nothing("candidates are those of server.public_addresses, or of all interfaces")),
    ("rtc.enable_loopback_candidate", Nothing(OWN_WAY)),
    ("rtc.allow_tcp_fallback", Nothing("ICE over TCP is always offered")),
    ("rtc.force_tcp", Nothing(OWN_WAY)),
    ("rtc.packet_buffer_size", Nothing(OWN_WAY)),
    ("rtc.packet_buffer_size_video", Nothing(OWN_WAY)),
    ("rtc.packet_buffer_size_audio", Nothing(OWN_WAY)),
    ("rtc.pli_throttle.*", Nothing(OWN_WAY)),
    ("rtc.congestion_control.*", Nothing(OWN_WAY)),
    ("rtc.batch_io.*", Nothing(OWN_WAY)),
    ("rtc.strict_acks", Nothing(OWN_WAY)),
    ("room.auto_create", Key("rooms.auto_create")),
    ("room.empty_timeout", Key("rooms.empty_timeout")),
    ("room.departure_timeout", Nothing("a room outlives its last participant for room.empty_timeout")),
    ("room.max_participants", Made(max_participants)),
    ("room.*", Nothing(OWN_WAY)),
    ("turn.enabled", Key("turn.enabled")),
    ("turn.domain", Key("turn.host")),
    ("turn.*", Nothing(ONE_PORT)),
    ("webhook.urls", Key("webhooks.urls")),
    ("webhook.api_key", Key("webhooks.key")),
    ("redis.*", Nothing(ONE_SERVER)),
    ("prometheus_port", Nothing("figures are at /metrics of the same port, or of admin.listen")),
    ("prometheus.*", Nothing("figures are at /metrics of the same port, or of admin.listen")),
    ("node_selector.*", Nothing(ONE_SERVER)),
    ("region", Nothing(ONE_SERVER)),
    ("ingress.*", Nothing(NOT_SERVED)),
    ("sip.*", Nothing(NOT_SERVED)),
    ("development", Nothing("keys have to be given, or none for an open server")),
];

/// Settings of whole groups that have no counterpart, and say nothing about what people can do.
const GROUPS_WITHOUT_MEANING: [&str; 9] =
    ["limit", "audio", "video", "signal_relay", "psrpc", "api", "trace", "agents", "nodestats"];

/// Whether a configuration file is one of LiveKit's.
pub(super) fn is_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Whether a variable is one of LiveKit's that mean something here.
pub(super) fn is_variable(name: &str) -> bool {
    VARIABLES.contains(&name)
}

/// Takes over what a file says.
///
/// # Errors
/// [`ConfigError`] for the first mistake.
pub(super) fn read_file(loaded: &mut Loaded, path: &Path, text: &str) -> Result<(), ConfigError> {
    let mut translation = Translation { loaded, source: Source::File(path), ice_servers: Vec::new() };
    translation.set("server.listen", &listen(None, PORT), 1)?;
    translation.document(text)
}

/// Takes over what the environment says, unless our own variables say it.
///
/// # Errors
/// [`ConfigError`] for the first mistake.
pub(super) fn read_variables(loaded: &mut Loaded, variables: &[(String, String)]) -> Result<(), ConfigError> {
    let value = |wanted: &str| {
        let found = variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    };
    let mut of = |name: &'static str, act: &dyn Fn(&mut Translation<'_>) -> Result<(), ConfigError>| {
        act(&mut Translation {
            loaded: &mut *loaded,
            source: Source::Variable(name),
            ice_servers: Vec::new(),
        })
    };
    if let Some(text) = value("LIVEKIT_CONFIG") {
        of("LIVEKIT_CONFIG", &|translation| translation.document(text))?;
    }
    if let Some(url) = value("LIVEKIT_URL") {
        of("LIVEKIT_URL", &|translation| translation.url(url))?;
    }
    if let Some(text) = value("LIVEKIT_KEYS") {
        of("LIVEKIT_KEYS", &|translation| match yaml::parse(text) {
            Ok(value @ Node::Map(_)) => keys(translation, &Entry { key: "keys".to_owned(), line: 1, value }),
            _ => Err(ConfigError(
                "LIVEKIT_KEYS must be lines of a key, a colon, a space and its secret".to_owned(),
            )),
        })?;
    }
    match (value("LIVEKIT_API_KEY"), value("LIVEKIT_API_SECRET")) {
        (Some(key), Some(secret)) => of("LIVEKIT_API_KEY", &|translation| {
            let pair = vec![(key.to_owned(), Raw::String(secret.to_owned()))];
            translation.set("auth.keys", &Raw::Table(pair), 1)?;
            translation.set("auth.mode", &Raw::String("token".to_owned()), 1)
        }),
        (None, None) => Ok(()),
        (Some(_), None) => Err(ConfigError(
            "LIVEKIT_API_KEY is set, and LIVEKIT_API_SECRET is not; set both or none".to_owned(),
        )),
        (None, Some(_)) => Err(ConfigError(
            "LIVEKIT_API_SECRET is set, and LIVEKIT_API_KEY is not; set both or none".to_owned(),
        )),
    }
}

#[derive(Clone, Copy)]
enum Source<'a> {
    File(&'a Path),
    Variable(&'static str),
}

/// A document on its way into our own configuration.
struct Translation<'a> {
    loaded: &'a mut Loaded,
    source: Source<'a>,
    /// STUN and TURN servers so far: two settings make one of ours.
    ice_servers: Vec<Raw>,
}

impl Translation<'_> {
    fn origin(&self, line: usize) -> Origin {
        match self.source {
            Source::File(path) => Origin::File(path.to_owned(), line),
            Source::Variable(name) => Origin::Variable(name.to_owned()),
        }
    }

    fn error<T>(&self, line: usize, message: impl AsRef<str>) -> Result<T, ConfigError> {
        let message = message.as_ref();
        Err(ConfigError(match self.source {
            Source::File(path) => format!("{}:{line}: {message}", path.display()),
            Source::Variable(name) => format!("{name}, line {line}: {message}"),
        }))
    }

    /// Says something that the operator should know although the server starts.
    fn note(&mut self, line: usize, message: &str) {
        let place = match self.source {
            Source::File(path) => format!("{}:{line}", path.display()),
            Source::Variable(name) => name.to_owned(),
        };
        self.loaded.notes.push(format!("{place}: {message}"));
    }

    fn set(&mut self, path: &str, raw: &Raw, line: usize) -> Result<(), ConfigError> {
        let origin = self.origin(line);
        self.loaded.set_path(path, raw, origin)
    }

    fn document(&mut self, text: &str) -> Result<(), ConfigError> {
        match yaml::parse(text) {
            Ok(Node::Map(entries)) => self.entries("", &entries),
            Ok(Node::Nothing) => Ok(()),
            Ok(_) => self.error(1, "a configuration of LiveKit is a mapping, such as `port: 7880`"),
            Err(mistake) => self.error(mistake.line, mistake.message),
        }
    }

    fn entries(&mut self, above: &str, entries: &[Entry]) -> Result<(), ConfigError> {
        for entry in entries {
            let path = if above.is_empty() { entry.key.clone() } else { format!("{above}.{}", entry.key) };
            self.entry(&path, entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &str, entry: &Entry) -> Result<(), ConfigError> {
        if entry.value == Node::Nothing {
            return Ok(());
        }
        match meaning(path) {
            Some(Key(key)) => {
                let Some(raw) = raw(&entry.value) else {
                    return self.error(entry.line, format!("{path} does not take that"));
                };
                self.set(key, &raw, entry.line)
            }
            Some(Made(make)) => make(self, entry),
            Some(Nothing(why)) => {
                self.note(entry.line, &format!("{path} has no effect: {why}"));
                Ok(())
            }
            None => match &entry.value {
                Node::Map(entries) if is_group(path) => self.entries(path, entries),
                _ if is_group(path) => self.error(entry.line, format!("{path} is a group of settings")),
                _ => self.error(entry.line, unknown(path)),
            },
        }
    }

    /// Takes the port over at which apps look for the server. Without one they find it behind a proxy.
    fn url(&mut self, url: &str) -> Result<(), ConfigError> {
        let place =
            ["ws://", "wss://", "http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let Some(host) = place.and_then(|place| place.split('/').next()).filter(|host| !host.is_empty())
        else {
            return Err(ConfigError(format!("LIVEKIT_URL must be such as ws://localhost:7880, not {url:?}")));
        };
        let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        match port.map(str::parse::<u16>) {
            None => Ok(()),
            Some(Ok(port)) => self.set("server.listen", &listen(None, port.into()), 1),
            Some(Err(_)) => {
                Err(ConfigError(format!("LIVEKIT_URL must be such as ws://localhost:7880, not {url:?}")))
            }
        }
    }
}

/// Returns what a setting means; `None` for a group of settings, and for what is not known.
fn meaning(path: &str) -> Option<Meaning> {
    let exact = SETTINGS.iter().find(|(known, _)| *known == path);
    let group = || {
        SETTINGS.iter().find(|(known, _)| {
            let group = known.strip_suffix(".*");
            // A group of which some settings mean something is looked into.
            group.is_some_and(|group| {
                path.strip_prefix(group)
                    .is_some_and(|rest| rest.starts_with('.') || (rest.is_empty() && !is_group(path)))
            })
        })
    };
    let without = || {
        let group = path.split('.').next().unwrap_or(path);
        GROUPS_WITHOUT_MEANING.contains(&group).then_some(Nothing(OWN_WAY))
    };
    exact.or_else(group).map(|&(_, meaning)| meaning).or_else(without)
}

/// Whether single settings of a group are known.
fn is_group(path: &str) -> bool {
    SETTINGS
        .iter()
        .any(|(known, _)| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.') && rest != ".*"))
}

fn unknown(path: &str) -> String {
    let known: Vec<String> =
        SETTINGS.iter().map(|(known, _)| known.trim_end_matches(".*").to_owned()).collect();
    format!("LiveKit has no setting {path} that is known here; {}", hint(path, &known))
}

fn raw(node: &Node) -> Option<Raw> {
    match node {
        Node::Scalar(raw) => Some(raw.clone()),
        Node::List(items) => items.iter().map(raw).collect::<Option<_>>().map(Raw::List),
        Node::Map(_) | Node::Nothing => None,
    }
}

/// Returns a value as text, whatever it looks like: keys and user names may consist of digits.
fn text(node: &Node) -> Option<String> {
    match node {
        Node::Scalar(Raw::String(text)) => Some(text.clone()),
        Node::Scalar(raw) => Some(raw.to_string()),
        _ => None,
    }
}

fn listen(address: Option<&str>, port: i64) -> Raw {
    let address = address.unwrap_or("::");
    Raw::String(if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    })
}

fn port(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    match &entry.value {
        Node::Scalar(Raw::Integer(port @ 0..=65_535)) => {
            let address = translation.loaded.config.server.listen.ip().to_string();
            translation.set("server.listen", &listen(Some(&address), *port), entry.line)
        }
        _ => translation.error(entry.line, "port must be a number from 0 to 65535"),
    }
}

fn bind_addresses(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    let Node::List(items) = &entry.value else {
        return translation.error(entry.line, "bind_addresses must be a list of IP addresses");
    };
    let port = translation.loaded.config.server.listen.port();
    match items.iter().map(text).collect::<Option<Vec<_>>>().as_deref() {
        Some([]) => Ok(()),
        Some([one]) if one.is_empty() => Ok(()),
        Some([one]) => translation.set("server.listen", &listen(Some(one), port.into()), entry.line),
        _ => translation.error(
            entry.line,
            "bind_addresses must name one address: the server listens on one, and on all interfaces if none is named",
        ),
    }
}

fn keys(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    let pairs = match &entry.value {
        Node::Map(entries) => {
            entries.iter().map(|pair| Some((pair.key.clone(), Raw::String(text(&pair.value)?)))).collect()
        }
        _ => None,
    };
    let Some(pairs) = pairs else {
        return translation.error(entry.line, "keys must be a mapping of keys and their secrets");
    };
    translation.set("auth.keys", &Raw::Table(pairs), entry.line)?;
    translation.set("auth.mode", &Raw::String("token".to_owned()), entry.line)
}

fn json_log(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    let format = match entry.value {
        Node::Scalar(Raw::Boolean(true)) => "json",
        Node::Scalar(Raw::Boolean(false)) => "text",
        _ => return translation.error(entry.line, "logging.json must be true or false"),
    };
    translation.set("log.format", &Raw::String(format.to_owned()), entry.line)
}

fn external_ip(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    match entry.value {
        Node::Scalar(Raw::Boolean(true)) => translation.note(
            entry.line,
            "rtc.use_external_ip: no STUN server is asked for the public address; if no interface has it, name it in \
             rtc.node_ip or server.public_addresses",
        ),
        Node::Scalar(Raw::Boolean(false)) => {}
        _ => return translation.error(entry.line, "rtc.use_external_ip must be true or false"),
    }
    Ok(())
}

fn node_ip(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    let addresses = match &entry.value {
        Node::Map(entries) => entries.iter().map(|entry| raw(&entry.value)).collect::<Option<_>>(),
        other => raw(other).map(|one| vec![one]),
    };
    match addresses {
        Some(addresses) => translation.set("server.public_addresses", &Raw::List(addresses), entry.line),
        None => translation.error(entry.line, "rtc.node_ip must be an IP address"),
    }
}

fn stun_servers(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    let Node::List(items) = &entry.value else {
        return translation
            .error(entry.line, "rtc.stun_servers must be a list, such as [stun.example.org:3478]");
    };
    let servers = items.iter().map(|item| text(item).map(|place| Raw::String(format!("stun:{place}"))));
    translation.ice_servers.extend(servers.flatten());
    let all = Raw::List(translation.ice_servers.clone());
    translation.set("ice.servers", &all, entry.line)
}

fn turn_servers(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    const EXPECTED: &str = "rtc.turn_servers must be a list, each with host, port, protocol (udp, tcp or tls), username and credential";
    let Node::List(items) = &entry.value else { return translation.error(entry.line, EXPECTED) };
    for item in items {
        let Node::Map(fields) = item else { return translation.error(entry.line, EXPECTED) };
        let field =
            |name: &str| fields.iter().find(|field| field.key == name).and_then(|field| text(&field.value));
        let (Some(host), Some(username), Some(credential)) =
            (field("host"), field("username"), field("credential"))
        else {
            return translation.error(entry.line, EXPECTED);
        };
        let place = field("port").map_or(host.clone(), |port| format!("{host}:{port}"));
        let url = match field("protocol").as_deref() {
            None | Some("udp") => format!("turn:{place}?transport=udp"),
            Some("tcp") => format!("turn:{place}?transport=tcp"),
            Some("tls") => format!("turns:{place}?transport=tcp"),
            Some(_) => return translation.error(entry.line, EXPECTED),
        };
        translation.ice_servers.push(Raw::String(format!("{url} {username} {credential}")));
    }
    let all = Raw::List(translation.ice_servers.clone());
    translation.set("ice.servers", &all, entry.line)
}

fn max_participants(translation: &mut Translation<'_>, entry: &Entry) -> Result<(), ConfigError> {
    let raw = match raw(&entry.value) {
        Some(Raw::Integer(0)) => Raw::Integer(PARTICIPANTS_MAX),
        Some(raw) => raw,
        None => return translation.error(entry.line, "room.max_participants must be a whole number"),
    };
    translation.set("rooms.max_participants", &raw, entry.line)
}

#[cfg(test)]
mod tests {
    use super::super::load::{Sources, load};
    use super::super::{KEYS, tests::TemporaryFile};
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn of_file(text: &str) -> Result<Loaded, String> {
        let file = TemporaryFile::named("yaml", text);
        let loaded = load(&Sources { file: Some(file.0.clone()), ..Sources::default() });
        loaded.map_err(|error| error.0.replace(&file.0.display().to_string(), "FILE"))
    }

    fn of_variables(variables: &[(&str, &str)]) -> Result<Loaded, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&Sources { variables: variables.collect(), ..Sources::default() }).map_err(|error| error.0)
    }

    fn value(loaded: &Loaded, path: &str) -> String {
        KEYS.iter().find(|key| key.path() == path).expect(path).value(&loaded.config)
    }

    #[test]
    fn a_file_of_livekits_starts_this_server_in_the_same_way() {
        let loaded = of_file(&format!(
            "port: 7880\nrtc:\n  port_range_start: 50000\n  port_range_end: 60000\n  use_external_ip: true\n\
             redis:\n  address: localhost:6379\nkeys:\n  APIxyz: {SECRET}\n\
             room:\n  auto_create: false\n  empty_timeout: 120\n  max_participants: 25\n"
        ))
        .expect("a file as LiveKit's documents show it");
        assert_eq!(value(&loaded, "server.listen"), "\"[::]:7880\"");
        assert_eq!(value(&loaded, "auth.mode"), "\"token\"");
        assert_eq!(loaded.config.auth.keys.reveal()[0].id, "APIxyz");
        assert_eq!(value(&loaded, "rooms.auto_create"), "false");
        assert_eq!(value(&loaded, "rooms.empty_timeout"), "120");
        assert_eq!(value(&loaded, "rooms.max_participants"), "25");
        let notes = loaded.notes.join("\n");
        for said in
            ["rtc.port_range_start has no effect", "use_external_ip: no STUN server", "redis has no effect"]
        {
            assert!(notes.contains(said), "{said} is not in:\n{notes}");
        }
        // Where it says nothing, it is LiveKit's default that counts.
        assert_eq!(value(&of_file("").expect("an empty file"), "server.listen"), "\"[::]:7880\"");
    }

    #[test]
    fn every_setting_with_a_counterpart_is_taken_over() {
        for (text, path, expected) in [
            ("bind_addresses: [127.0.0.1]\nport: 1", "server.listen", "\"127.0.0.1:1\""),
            ("port: 1\nbind_addresses:\n- '::1'", "server.listen", "\"[::1]:1\""),
            ("log_level: debug", "log.level", "\"debug\""),
            ("logging: {level: warn, json: true, sample: true}", "log.format", "\"json\""),
            ("rtc: {node_ip: 203.0.113.7}", "server.public_addresses", "[\"203.0.113.7\"]"),
            ("rtc: {node_ip: {ipv4: 203.0.113.7}}", "server.public_addresses", "[\"203.0.113.7\"]"),
            ("rtc: {stun_servers: [\"stun.example.org:3478\"]}", "ice.servers", "set"),
            (
                "rtc:\n  turn_servers:\n  - host: t.example\n    port: 443\n    protocol: tls\n    username: a\n\
                 \x20   credential: b",
                "ice.servers",
                "set",
            ),
            ("room: {max_participants: 0}", "rooms.max_participants", "10000"),
            ("room: {enabled_codecs: [{mime: audio/opus}]}", "rooms.max_participants", "200"),
            ("turn: {enabled: false, tls_port: 5349}", "turn.enabled", "false"),
            ("turn: {domain: turn.example.org}", "turn.host", "\"turn.example.org\""),
            (
                "webhook: {urls: [\"https://a.example/b\"], api_key: k}",
                "webhooks.urls",
                "[\"https://a.example/b\"]",
            ),
            ("limit: {num_tracks: 5}\naudio:\n  active_level: 30", "server.listen", "\"[::]:7880\""),
        ] {
            assert_eq!(value(&of_file(text).expect(text), path), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_one_line_that_names_it() {
        for (text, words) in [
            ("prot: 1", "FILE:1: LiveKit has no setting prot that is known here; did you mean port?"),
            ("rtc:\n  colour: 1", "FILE:2: LiveKit has no setting rtc.colour"),
            ("rtc: 1", "FILE:1: rtc is a group of settings"),
            ("port: x", "FILE:1: port must be a number"),
            ("\nport: 70000", "FILE:2: port must be a number"),
            (
                "keys: {devkey: secret}",
                "FILE:1: auth.keys must be a table of keys and their secrets of at least 32",
            ),
            ("keys: [a]", "FILE:1: keys must be a mapping"),
            ("room:\n  max_participants: many", "FILE:2: rooms.max_participants must be a whole number"),
            ("bind_addresses: [10.0.0.1, 10.0.0.2]", "must name one address"),
            ("a: &b 1", "FILE:1: anchors"),
            ("- a", "is a mapping"),
            ("rtc: {turn_servers: [{host: a}]}", "username and credential"),
        ] {
            let error = of_file(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("secret: secret"), "{error}");
        }
    }

    #[test]
    fn the_variables_that_its_apps_use_are_understood() {
        let pair = [("LIVEKIT_API_KEY", "APIxyz"), ("LIVEKIT_API_SECRET", SECRET)];
        let loaded = of_variables(&pair).expect("a pair");
        assert_eq!(loaded.config.auth.keys.reveal()[0].secret, SECRET);
        assert_eq!(value(&loaded, "auth.mode"), "\"token\"");
        for (name, text, path, expected) in [
            ("LIVEKIT_URL", "ws://localhost:7880", "server.listen", "\"[::]:7880\""),
            ("LIVEKIT_URL", "wss://sfu.example.org", "server.listen", "\"[::]:7443\""),
            ("LIVEKIT_URL", "http://[::1]:80/x", "server.listen", "\"[::]:80\""),
            ("LIVEKIT_CONFIG", "port: 5", "server.listen", "\"[::]:5\""),
            ("LIVEKIT_KEYS", &format!("a: {SECRET}\nb: {SECRET}"), "auth.mode", "\"token\""),
            ("LIVEKIT_API_KEY", "", "auth.mode", "\"open\""),
        ] {
            assert_eq!(value(&of_variables(&[(name, text)]).expect(name), path), expected, "{name}={text}");
        }
        // Our own variable goes before it.
        let both = of_variables(&[("LIVEKIT_URL", "ws://a:1"), ("STRAIT_SERVER_LISTEN", "[::]:2")]);
        assert_eq!(both.expect("both").config.server.listen.port(), 2);
        for (variables, words) in [
            (&[pair[0]][..], "LIVEKIT_API_SECRET is not; set both or none"),
            (&[pair[1]][..], "LIVEKIT_API_KEY is not; set both or none"),
            (&[("LIVEKIT_URL", "localhost:7880")][..], "must be such as ws://localhost:7880"),
            (&[("LIVEKIT_URL", "ws://localhost:port")][..], "must be such as ws://localhost:7880"),
            (&[("LIVEKIT_KEYS", "a=b")][..], "a key, a colon, a space"),
        ] {
            let error = of_variables(variables).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
