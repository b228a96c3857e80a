//! MadeRooms: rooms that the operator has made ahead of time, and what is set for each.

use std::collections::BTreeMap;
use std::time::Duration;

use super::setting::{Raw, Rule, Setting, quoted};
use crate::core::codec_set::CodecSet;
use crate::core::ids::RoomId;
use crate::core::room_options::{RecordingPolicy, RoomChange, RoomOptions};
use crate::core::topology::MeshPolicy;

/// How large a room may be made.
const PARTICIPANTS: Rule = Rule::Count(1, 10_000);
/// How long it may stay when nobody is in it.
const EMPTY_SECONDS: Rule = Rule::Seconds(0.0, 7.0 * 86_400.0);

/// Rooms by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeRooms(BTreeMap<RoomId, RoomChange>);

impl MadeRooms {
    /// Returns what is set for each room.
    pub fn rooms(&self) -> &BTreeMap<RoomId, RoomChange> {
        &self.0
    }
}

impl Setting for MadeRooms {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let rooms: Option<BTreeMap<RoomId, RoomChange>> = match raw {
            Raw::Table(rooms) => {
                rooms.iter().map(|(name, options)| Some((name.parse().ok()?, room(options)?))).collect()
            }
            // A variable has names only, whose rooms are like any other.
            other => {
                let names = other.items()?;
                names.into_iter().map(|name| Some((name.parse().ok()?, RoomChange::default()))).collect()
            }
        };
        rooms.map(Self)
    }

    fn show(&self) -> String {
        let rooms =
            self.0.iter().map(|(name, change)| format!("{} = {}", quoted(name.as_str()), shown(change)));
        table(&rooms.collect::<Vec<_>>())
    }

    fn expected(_: &Rule) -> String {
        "a table of rooms, each with any of max_participants, empty_timeout, metadata, locked, waiting_room, private, record, \
         codecs and mesh, such as { standup = { max_participants = 20 } }"
            .to_owned()
    }
}

/// Reads what is set for a room.
fn room(options: &Raw) -> Option<RoomChange> {
    let Raw::Table(options) = options else { return None };
    let mut change = RoomChange::default();
    for (name, value) in options {
        match name.as_str() {
            "max_participants" => change.participants_max = Some(usize::read(value, &PARTICIPANTS)?),
            "empty_timeout" => change.empty_timeout = Some(Duration::read(value, &EMPTY_SECONDS)?),
            "metadata" => change.metadata = Some(value.text()?.to_owned()),
            "locked" => change.locked = Some(bool::read(value, &Rule::Any)?),
            "waiting_room" => change.waiting_room = Some(bool::read(value, &Rule::Any)?),
            "private" => change.private = Some(bool::read(value, &Rule::Any)?),
            "record" => change.recording = Some(RecordingPolicy::named(value.text()?)?),
            "mesh" => change.mesh = Some(MeshPolicy::named(value.text()?)?),
            "codecs" => change.codecs = Some(CodecSet::named(value.items()?)?),
            _ => return None,
        }
    }
    RoomOptions::default().changed(&change).ok().map(|_| change)
}

/// Returns what is set for a room, as TOML.
fn shown(change: &RoomChange) -> String {
    let RoomChange {
        participants_max,
        empty_timeout,
        metadata,
        locked,
        waiting_room,
        private,
        recording,
        codecs,
        mesh,
    } = change;
    let codecs = codecs.map(|codecs| codecs.names().map(quoted).collect::<Vec<_>>().join(", "));
    let values = [
        ("max_participants", participants_max.map(|count| count.to_string())),
        ("empty_timeout", empty_timeout.map(|time| time.show())),
        ("metadata", metadata.as_deref().map(quoted)),
        ("locked", locked.map(|flag| flag.to_string())),
        ("waiting_room", waiting_room.map(|flag| flag.to_string())),
        ("private", private.map(|flag| flag.to_string())),
        ("record", recording.map(|policy| quoted(policy.as_str()))),
        ("codecs", codecs.map(|names| format!("[{names}]"))),
        ("mesh", mesh.map(|policy| quoted(policy.as_str()))),
    ];
    let entries: Vec<_> =
        values.into_iter().filter_map(|(name, value)| Some(format!("{name} = {}", value?))).collect();
    table(&entries)
}

fn table(entries: &[String]) -> String {
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}
