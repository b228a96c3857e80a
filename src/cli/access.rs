//! `strait token` and `strait keys`: what lets people in where a token is needed.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use super::failure::Failure;
use super::load::duration;
use super::serve_flags::ServeFlags;
use crate::access::{Gate, Key, Pass};
use crate::core::command::{Join, Source};
use crate::core::grants::{Grants, Sources};
use crate::core::ids::RoomId;
use crate::limits::NAME_CHARS_MAX;

/// What `strait token` does.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub(super) enum TokenCommand {
    /// Print a token that lets somebody into a room
    ///
    /// It is signed with the first of the server's keys, which come from the configuration file
    /// (--config, section auth) or from the variable STRAIT_AUTH_KEYS; never from a flag, which
    /// other users of this machine could read. A back end makes such tokens itself, with any
    /// library for JWT: docs/access.md.
    #[command(verbatim_doc_comment)]
    Create(TokenArgs),
}

/// What `strait keys` does.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub(super) enum KeysCommand {
    /// Print a new key, as the configuration file takes it
    Create,
}

/// What `strait token create` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct TokenArgs {
    /// The room that it opens; without it, all of them
    #[arg(long, value_name = "ROOM", value_parser = room)]
    room: Option<RoomId>,
    /// Who its bearer is, as your back end names them
    #[arg(long, value_name = "ID")]
    identity: String,
    /// The name that others see [default: what they choose]
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// What they may publish: all, none, or a list such as camera,screen
    ///
    /// The sources are microphone, camera, screen and screen-audio.
    #[arg(long, value_name = "SOURCES", default_value = "all", value_parser = sources)]
    can_publish: Sources,
    /// Do not let them receive what others publish
    #[arg(long)]
    no_subscribe: bool,
    /// Do not let them send messages to others
    #[arg(long)]
    no_data: bool,
    /// Let them mute and remove others, and end the call
    #[arg(long)]
    moderator: bool,
    /// Let them make the room, where rooms.auto_create is false
    #[arg(long)]
    create_room: bool,
    /// Let them list the rooms, by the API
    #[arg(long)]
    list_rooms: bool,
    /// Let them change their own name, metadata and attributes
    #[arg(long)]
    update_profile: bool,
    /// Do not tell the others of them; they can publish nothing then
    #[arg(long)]
    hidden: bool,
    /// What your back end has to say about them, for your application
    #[arg(long, value_name = "TEXT")]
    metadata: Option<String>,
    /// The same by a key; can be given several times
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// For how long they can come in by it; whoever is in stays
    #[arg(long = "for", value_name = "TIME", default_value = "5m", value_parser = duration)]
    valid_for: Duration,
    /// The server's configuration file, which has the keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn room(text: &str) -> Result<RoomId, String> {
    text.parse().map_err(|_| "a room id has 1–64 characters of A–Z a–z 0–9 _ - .".to_owned())
}

fn sources(text: &str) -> Result<Sources, String> {
    let named = |name: &str| {
        let known = Source::ALL.into_iter().find(|source| source.as_str() == name);
        known.ok_or_else(|| format!("{name:?} is none of microphone, camera, screen, screen-audio"))
    };
    match text {
        "all" => Ok(Sources::ALL),
        "none" => Ok(Sources::NONE),
        list => list.split(',').map(|name| named(name.trim())).collect(),
    }
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or("an attribute is a key and a value, with = between them")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn name(text: &str) -> Result<String, String> {
    let name = Join::display_name(text).map(str::to_owned);
    name.ok_or_else(|| format!("a name has 1–{NAME_CHARS_MAX} characters"))
}

/// Returns the time since 1970, from which a token's times count.
#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own: the token that it prints is valid from now on"
)]
pub(super) fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Does what was asked for with tokens. `variables` is the environment.
pub(super) fn token(
    command: &TokenCommand,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let TokenCommand::Create(args) = command;
    let config = crate::config::load(&ServeFlags::of_file(args.config.clone()).sources(variables)?)?.config;
    let gate = Gate { keys: config.auth.keys.reveal().to_vec(), ..Gate::default() };
    let now = unix_time();
    let pass = Pass {
        room: args.room.clone(),
        identity: args.identity.clone(),
        name: args.name.clone(),
        metadata: args.metadata.clone().unwrap_or_default(),
        attributes: args.attributes.iter().cloned().collect(),
        grants: Grants {
            publish: args.can_publish,
            subscribe: !args.no_subscribe,
            send_data: !args.no_data,
            moderate: args.moderator,
            create: args.create_room,
            list: args.list_rooms,
            update_own_profile: args.update_profile,
            hidden: args.hidden,
        },
        not_before: now.as_secs(),
        expires: (now + args.valid_for).as_secs(),
    };
    let token = gate.sign(&pass).ok_or_else(|| {
        Failure::usage(
            "there is no key to sign with: `strait keys create` makes one; put it into the configuration file under [auth], \
             and name the file with --config",
        )
    })?;
    // What this server would not take is not worth printing.
    gate.read(&token, now.as_secs()).map_err(|denied| Failure::usage(denied.0))?;
    // A failed write means that the reader of a pipe has gone, so there is nobody to tell.
    let _ = writeln!(io::stdout(), "{token}");
    Ok(())
}

/// Does what was asked for with keys.
#[expect(clippy::disallowed_methods, reason = "a program of its own: it draws a key and prints it")]
pub(super) fn keys(command: &KeysCommand) -> Result<(), Failure> {
    let KeysCommand::Create = command;
    let mut bytes = [0; 41];
    getrandom::fill(&mut bytes)
        .map_err(|_| Failure::other("the system has no randomness to make a key of; try again"))?;
    let Key { id, secret } = Key::from_random(bytes);
    let _ = writeln!(io::stdout(), "[auth]\nmode = \"token\"\nkeys = {{ {id} = \"{secret}\" }}");
    let _ = writeln!(
        io::stderr(),
        "Put this into the server's configuration file, and give the pair to the back end that makes tokens. Whoever has \
         the secret can let anybody in."
    );
    Ok(())
}
