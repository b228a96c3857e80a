//! What clients say whose media goes straight from one to the other. Descriptions and candidates are passed on as they come:
//! only their size is checked, and that a description has a type and an SDP.

use super::fields::{Field, Fields};
use super::forms::{PARTICIPANT_FORM, SOURCE_FORM, participant, source};
use crate::core::command::MeshCommand;
use crate::core::event::{Refusal, RefusalCode};
use crate::core::mesh::{MeshSignal, MeshTrack};
use crate::limits::{
    MESH_CANDIDATE_BYTES_MAX, MESH_DESCRIPTION_BYTES_MAX, MESH_REASON_CHARS_MAX, SDP_SECTIONS_MAX,
};

const TRACKS_FORM: &str = "a list of {id, source, muted?}, empty when nothing is sent";
const TRACK_ID_FORM: &str = "the id of a track in your offers: 1–64 characters";
const MIGRATION_FORM: &str = "the number of a move, as `topology` has told it";
const REASON_FORM: &str = "a string of at most 200 characters";
const DESCRIPTION_FORM: &str = "an object {type, sdp} of at most 64 KiB";
const CANDIDATE_FORM: &str = "an object or null, of at most 1 KiB";
const TYPE_FORM: &str = "`offer`, `answer`, `pranswer` or `rollback`";
const PERCENT_FORM: &str = "a whole number from 0 to 100";

/// Returns whether a request is one of these.
pub(super) fn is_of_mesh(kind: &str) -> bool {
    matches!(
        kind,
        "mesh-tracks" | "mesh-signal" | "migrated" | "migration-failed" | "mesh-failed" | "mesh-load"
    )
}

/// Reads such a request.
pub(super) fn command(kind: &str, data: &Fields<'_>) -> Result<MeshCommand, Refusal> {
    Ok(match kind {
        "mesh-tracks" => MeshCommand::Tracks(tracks(data)?),
        "mesh-signal" => {
            let to = participant(&data.required("to", PARTICIPANT_FORM)?)?;
            MeshCommand::Signal { to, signal: signal(data)? }
        }
        "migrated" => MeshCommand::Migrated(migration(data)?),
        "migration-failed" => {
            MeshCommand::MigrationFailed { migration: migration(data)?, reason: reason(data)? }
        }
        "mesh-failed" => {
            let with = participant(&data.required("with", PARTICIPANT_FORM)?)?;
            MeshCommand::Failed { with, reason: reason(data)? }
        }
        _ => {
            let field = data.required("percent", PERCENT_FORM)?;
            let percent = u8::try_from(field.integer()?).ok().filter(|percent| *percent <= 100);
            MeshCommand::Load(percent.ok_or_else(|| field.wrong(PERCENT_FORM))?)
        }
    })
}

fn tracks(data: &Fields<'_>) -> Result<Vec<MeshTrack>, Refusal> {
    let field = data.required("tracks", TRACKS_FORM)?;
    let items = field.list(TRACKS_FORM)?;
    if items.len() > SDP_SECTIONS_MAX {
        return Err(field.wrong(TRACKS_FORM));
    }
    items.iter().map(track).collect()
}

fn track(item: &Field<'_>) -> Result<MeshTrack, Refusal> {
    let fields = item.object()?;
    let id_field = fields.required("id", TRACK_ID_FORM)?;
    let id = id_field.string(TRACK_ID_FORM)?;
    if !MeshTrack::is_id(&id) {
        return Err(id_field.wrong(TRACK_ID_FORM));
    }
    let source = source(&fields.required("source", SOURCE_FORM)?)?;
    let muted = fields.optional("muted").map_or(Ok(false), |field| field.boolean())?;
    Ok(MeshTrack { id: id.into(), source, muted })
}

fn signal(data: &Fields<'_>) -> Result<MeshSignal, Refusal> {
    let Some(field) = data.optional("description") else {
        let field = data.required("candidate", CANDIDATE_FORM)?;
        check_size(&field, MESH_CANDIDATE_BYTES_MAX, "candidate")?;
        if field.json() != "null" {
            field.object()?;
        }
        return Ok(MeshSignal::Candidate(field.json().into()));
    };
    check_size(&field, MESH_DESCRIPTION_BYTES_MAX, "description")?;
    let description = field.object()?;
    let kind = description.required("type", TYPE_FORM)?;
    if !matches!(kind.string(TYPE_FORM)?.as_str(), "offer" | "answer" | "pranswer" | "rollback") {
        return Err(kind.wrong(TYPE_FORM));
    }
    description.required("sdp", DESCRIPTION_FORM)?.string(DESCRIPTION_FORM)?;
    Ok(MeshSignal::Description(field.json().into()))
}

fn check_size(field: &Field<'_>, most: usize, what: &str) -> Result<(), Refusal> {
    let bytes = field.json().len();
    if bytes <= most {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::PayloadTooLarge,
        format!("`data.{what}` has {bytes} bytes; at most {most} are passed on"),
        "Send fewer tracks and codecs.",
    ))
}

fn migration(data: &Fields<'_>) -> Result<u32, Refusal> {
    let field = data.required("migration", MIGRATION_FORM)?;
    u32::try_from(field.integer()?).map_err(|_| field.wrong(MIGRATION_FORM))
}

fn reason(data: &Fields<'_>) -> Result<String, Refusal> {
    let Some(field) = data.optional("reason") else { return Ok(String::new()) };
    let reason = field.string(REASON_FORM)?;
    if reason.chars().count() > MESH_REASON_CHARS_MAX {
        return Err(field.wrong(REASON_FORM));
    }
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn refused(text: &str) -> RefusalCode {
        parse(text).expect_err(text).1.code
    }

    #[test]
    fn what_is_passed_on_is_bounded_and_makes_sense() {
        let to = "\"to\":\"p-0000000000009\"";
        let signal = |rest: &str| format!("{{\"type\":\"mesh-signal\",\"data\":{{{to},{rest}}}}}");
        assert!(
            parse(&signal(r#""candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host"}"#)).is_ok()
        );
        assert!(parse(&signal(r#""candidate":null"#)).is_ok(), "behind the last one");
        let long = "x".repeat(MESH_CANDIDATE_BYTES_MAX);
        let large = "x".repeat(MESH_DESCRIPTION_BYTES_MAX);
        for (rest, code) in [
            (r#""more":1"#.to_owned(), RefusalCode::BadMessage),
            (r#""candidate":7"#.to_owned(), RefusalCode::BadMessage),
            (r#""description":{"type":"offer"}"#.to_owned(), RefusalCode::BadMessage),
            (r#""description":{"type":"hello","sdp":""}"#.to_owned(), RefusalCode::BadMessage),
            (format!(r#""candidate":{{"candidate":"{long}"}}"#), RefusalCode::PayloadTooLarge),
            (format!(r#""description":{{"type":"offer","sdp":"{large}"}}"#), RefusalCode::PayloadTooLarge),
        ] {
            assert_eq!(refused(&signal(&rest)), code, "{}", &rest[..rest.len().min(40)]);
        }
    }

    #[test]
    fn numbers_and_lists_are_checked() {
        for text in [
            r#"{"type":"migrated","data":{"migration":-1}}"#,
            r#"{"type":"mesh-load","data":{"percent":101}}"#,
            r#"{"type":"mesh-tracks","data":{"tracks":[{"id":"","source":"camera"}]}}"#,
            r#"{"type":"mesh-tracks","data":{"tracks":[{"id":"a","source":"mirror"}]}}"#,
        ] {
            assert_eq!(refused(text), RefusalCode::BadMessage, "{text}");
        }
        let reason = "x".repeat(MESH_REASON_CHARS_MAX + 1);
        let long = format!(r#"{{"type":"migration-failed","data":{{"migration":1,"reason":"{reason}"}}}}"#);
        assert_eq!(refused(&long), RefusalCode::BadMessage);
    }
}
