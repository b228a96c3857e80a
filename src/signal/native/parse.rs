//! Reads a client's text into a checked [`ClientMessage`]. Every field is checked here, so that the rest of the code
//! can rely on it, and every refusal names the field.

use std::collections::BTreeMap;
use std::time::Duration;

use base64ct::{Base64, Encoding};

use super::fields::{Field, Fields};
use super::forms::{PARTICIPANT_FORM, SOURCE_FORM, participant, source};
use super::{ClientMessage, SERVED_VERSIONS, mesh};
use crate::core::command::{
    Command, EncodingRequest, Join, Moderation, Preference, Priority, Proof, PublicationRequest, Resume, Wish,
};
use crate::core::data::DataPayload;
use crate::core::event::{Refusal, RefusalCode};
use crate::core::ids::{Mid, RequestId, RoomId, TrackId};
use crate::core::moderation::{Ban, PermissionsChange};
use crate::core::negotiation::streams::is_rid;
use crate::core::profile::ProfileChange;
use crate::core::room_options::RoomChange;
use crate::limits::{
    DATA_PAYLOAD_BYTES_MAX, ENCODINGS_MAX, PREFERENCES_MAX, REPORT_CHARS_MAX, REQUEST_ID_BYTES_MAX,
    SDP_BYTES_MAX, SDP_SECTIONS_MAX, TOPIC_CHARS_MAX,
};

/// Every `type` that a client may send.
pub(super) const REQUEST_TYPES: [&str; 31] = [
    "join",
    "resume",
    "offer",
    "mute",
    "subscribe",
    "unsubscribe",
    "pause",
    "pin",
    "prefer",
    "data",
    "update-profile",
    "mute-track",
    "stop-track",
    "remove-participant",
    "ban-participant",
    "lift-bans",
    "set-permissions",
    "lock-room",
    "set-waiting-room",
    "admit",
    "turn-away",
    "end-call",
    "report",
    "mesh-tracks",
    "mesh-signal",
    "migrated",
    "migration-failed",
    "mesh-failed",
    "mesh-load",
    "ping",
    "leave",
];

/// How many typing errors away a known `type` may be to be suggested.
const TYPE_DISTANCE_MAX: usize = 2;

const TOKEN_FORM: &str = "a string, the token that your back end made for you";
const ROOM_FORM: &str = "a room id: 1–64 characters of A–Z a–z 0–9 _ - ., neither . nor ..";
const NAME_FORM: &str = "a string of 1–64 characters without control characters";
const TRACK_FORM: &str = "a track id: `t-` and 13 characters, as the server gave it";
const MID_FORM: &str = "the a=mid of a section: a token (RFC 8866 §9) of 1–16 characters";
const PUBLICATIONS_FORM: &str =
    "a list of {mid, source, muted?, encodings?}, empty when nothing is published";
const ENCODINGS_FORM: &str = "a list of at most 8 {rid, width?, height?, maxBitrate?}";
const RID_FORM: &str = "the a=rid of an encoding: 1–16 letters, digits, - or _";
const PREFERENCES_FORM: &str =
    "a list of at most 512 {trackId, width?, height?, frameRate?, priority?, paused?}";
const PIXELS_FORM: &str = "a number of pixels, 1–65535";
const FRAME_RATE_FORM: &str = "a number of pictures a second, 1–65535";
const PRIORITY_FORM: &str = "`very-low`, `low`, `medium` or `high`";
const BITRATE_FORM: &str = "a number of bits per second, 1–4294967295";
const SOURCES_FORM: &str = "a list of `microphone`, `camera`, `screen` and `screen-audio`";
const SECONDS_FORM: &str = "a number of seconds, 1–4294967295";
const REPORT_FORM: &str = "a string of at most 2,000 characters";
const TEXT_FORM: &str = "a string";
const TOPIC_FORM: &str = "a string of 1–64 characters";
const TO_FORM: &str = "a list of participant ids; leave it out to reach everyone";
const ID_FORM: &str = "a string of at most 64 bytes, or an integer";

/// Reads one text message. A refusal comes with the message's `id`, if that could be read.
pub fn parse(text: &str) -> Result<ClientMessage, (Option<RequestId>, Refusal)> {
    let message = Fields::of_message(text).map_err(|refusal| (None, refusal))?;
    let request = message.optional("id").map(|field| request_id(&field)).transpose();
    let request = request.map_err(|refusal| (None, refusal))?;
    body(&message, request.clone()).map_err(|refusal| (request, refusal))
}

/// Reads a message's `id`.
pub(super) fn request_id(field: &Field<'_>) -> Result<RequestId, Refusal> {
    if field.json().starts_with('"') {
        let text = field.string(ID_FORM)?;
        if text.len() > REQUEST_ID_BYTES_MAX {
            return Err(field.wrong(ID_FORM));
        }
        // It is encoded anew, because it is sent back, and escapes can make a short text long.
        return Ok(RequestId(serde_json::Value::from(text).to_string().into()));
    }
    let number: i64 = serde_json::from_str(field.json()).map_err(|_| field.wrong(ID_FORM))?;
    Ok(RequestId(number.to_string().into()))
}

fn body(message: &Fields<'_>, request: Option<RequestId>) -> Result<ClientMessage, Refusal> {
    let kind_field = message.required("type", "a string, the name of the request")?;
    let kind = kind_field.string("a string, the name of the request")?;
    if !REQUEST_TYPES.contains(&kind.as_str()) {
        return Err(unknown_type(&kind_field, &kind));
    }
    let data = match message.optional("data") {
        Some(field) => field.object()?,
        None => Fields::empty("data"),
    };
    let command = match kind.as_str() {
        "join" => return join(&data, request),
        "resume" => return Ok(ClientMessage::Resume { request, resume: resume(&data)? }),
        "ping" => return Ok(ClientMessage::Ping { request }),
        "offer" => offer(&data)?,
        "mute" => Command::Mute { track: track(&data)?, muted: flag(&data, "muted")? },
        "subscribe" => Command::Subscribe(track(&data)?),
        "unsubscribe" => Command::Unsubscribe(track(&data)?),
        "pause" => Command::Pause { track: track(&data)?, paused: flag(&data, "paused")? },
        "pin" => Command::Pin { track: track(&data)?, pinned: flag(&data, "pinned")? },
        "prefer" => prefer(&data)?,
        "data" => relayed_data(&data)?,
        "update-profile" => update_profile(&data)?,
        "report" => report(&data)?,
        "leave" => Command::Leave,
        other if mesh::is_of_mesh(other) => Command::Mesh(mesh::command(other, &data)?),
        other => match moderation(other, &data)? {
            Some(moderation) => Command::Moderate(moderation),
            None => return Err(unknown_type(&kind_field, &kind)),
        },
    };
    Ok(ClientMessage::Command { request, command })
}

fn unknown_type(field: &Field<'_>, kind: &str) -> Refusal {
    let mut refusal = field.refuse(RefusalCode::UnknownType, "a request's name");
    refusal.action = format!("Send one of {}.", REQUEST_TYPES.join(", "));
    // Only short texts are compared, because the time grows with their length.
    let distance = |known: &&str| strsim::damerau_levenshtein(known, kind);
    if kind.len() <= 2 * TYPE_DISTANCE_MAX + 16
        && let Some(near) = REQUEST_TYPES.iter().min_by_key(|known| distance(known))
        && distance(near) <= TYPE_DISTANCE_MAX
    {
        refusal.action.insert_str(0, &format!("Did you mean `{near}`? "));
    }
    refusal
}

/// Checks the version first, because a client of another version may lack other fields.
fn check_version(data: &Fields<'_>) -> Result<(), Refusal> {
    let version = data.required("version", "an integer, the protocol version")?.integer()?;
    if SERVED_VERSIONS.contains(&version) {
        return Ok(());
    }
    let served = SERVED_VERSIONS.map(|version| version.to_string()).join(", ");
    Err(Refusal::new(
        RefusalCode::UnsupportedVersion,
        format!("protocol version {version} is not served; this server speaks: {served}"),
        "Reload the page, or install a client library that speaks one of these.",
    ))
}

fn join(data: &Fields<'_>, request: Option<RequestId>) -> Result<ClientMessage, Refusal> {
    check_version(data)?;
    let room = data.optional("room").map(|field| room(&field)).transpose()?;
    let name = name(&data.required("name", NAME_FORM)?)?;
    let auto_subscribe = data.optional("autoSubscribe").map_or(Ok(true), |field| field.boolean())?;
    let token = data.optional("token").map(|field| field.string(TOKEN_FORM)).transpose()?;
    let can_mesh = optional_flag(data, "mesh")?.unwrap_or_default();
    Ok(ClientMessage::Join { request, room, name, auto_subscribe, token, can_mesh })
}

fn resume(data: &Fields<'_>) -> Result<Resume, Refusal> {
    check_version(data)?;
    let secret_form = "the secret that `joined` gave";
    Ok(Resume {
        room: room(&data.required("room", ROOM_FORM)?)?,
        participant: participant(&data.required("participantId", PARTICIPANT_FORM)?)?,
        proof: Proof::Secret(data.required("secret", secret_form)?.string(secret_form)?),
    })
}

fn offer(data: &Fields<'_>) -> Result<Command, Refusal> {
    let sdp = data.required("sdp", "a string, the session description")?;
    let text = sdp.string("a string, the session description")?;
    if text.is_empty() || text.len() > SDP_BYTES_MAX {
        return Err(Refusal::new(
            RefusalCode::BadOffer,
            format!("`data.sdp` has {} bytes; it must have 1 to {SDP_BYTES_MAX}", text.len()),
            "Send the offer's sdp as the browser made it, with fewer media sections if it is too long.",
        ));
    }
    let field = data.required("publications", PUBLICATIONS_FORM)?;
    let items = field.list(PUBLICATIONS_FORM)?;
    if items.len() > SDP_SECTIONS_MAX {
        return Err(Refusal::new(
            RefusalCode::TooManyTracks,
            format!(
                "`data.publications` lists {} sections; an offer has at most {SDP_SECTIONS_MAX}",
                items.len()
            ),
            "Publish fewer tracks.",
        ));
    }
    let publications = items.iter().map(publication).collect::<Result<_, _>>()?;
    Ok(Command::Offer { sdp: text, publications })
}

fn publication(item: &Field<'_>) -> Result<PublicationRequest, Refusal> {
    let fields = item.object()?;
    let mid = mid(&fields.required("mid", MID_FORM)?)?;
    let source = source(&fields.required("source", SOURCE_FORM)?)?;
    let muted = fields.optional("muted").map_or(Ok(false), |field| field.boolean())?;
    let encodings = match fields.optional("encodings") {
        Some(field) => {
            let items = field.list(ENCODINGS_FORM)?;
            if items.len() > ENCODINGS_MAX {
                return Err(field.wrong(ENCODINGS_FORM));
            }
            items.iter().map(encoding).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    Ok(PublicationRequest { mid, source, muted, encodings, track: None })
}

fn encoding(item: &Field<'_>) -> Result<EncodingRequest, Refusal> {
    let fields = item.object()?;
    let rid_field = fields.required("rid", RID_FORM)?;
    let rid = rid_field.string(RID_FORM)?;
    if !is_rid(&rid) {
        return Err(rid_field.wrong(RID_FORM));
    }
    Ok(EncodingRequest {
        rid,
        width: positive(&fields, "width", PIXELS_FORM)?,
        height: positive(&fields, "height", PIXELS_FORM)?,
        max_bitrate: positive(&fields, "maxBitrate", BITRATE_FORM)?,
    })
}

fn prefer(data: &Fields<'_>) -> Result<Command, Refusal> {
    let field = data.required("tracks", PREFERENCES_FORM)?;
    let items = field.list(PREFERENCES_FORM)?;
    if items.len() > PREFERENCES_MAX {
        return Err(field.wrong(PREFERENCES_FORM));
    }
    Ok(Command::Prefer(items.iter().map(preference).collect::<Result<_, _>>()?))
}

fn preference(item: &Field<'_>) -> Result<Preference, Refusal> {
    let fields = item.object()?;
    let wish = Wish {
        width: positive(&fields, "width", PIXELS_FORM)?,
        height: positive(&fields, "height", PIXELS_FORM)?,
        frame_rate: positive(&fields, "frameRate", FRAME_RATE_FORM)?,
        priority: fields.optional("priority").map_or(Ok(Priority::default()), |field| priority(&field))?,
        paused: fields.optional("paused").map_or(Ok(false), |field| field.boolean())?,
    };
    Ok(Preference { track: track(&fields)?, wish })
}

fn priority(field: &Field<'_>) -> Result<Priority, Refusal> {
    Priority::named(&field.string(PRIORITY_FORM)?).ok_or_else(|| field.wrong(PRIORITY_FORM))
}

/// Reads a number that may be left out and is neither zero nor too large for its type.
fn positive<T: TryFrom<i64>>(fields: &Fields<'_>, name: &str, form: &str) -> Result<Option<T>, Refusal> {
    let Some(field) = fields.optional(name) else { return Ok(None) };
    let number = serde_json::from_str(field.json()).ok().filter(|number: &i64| *number > 0);
    let number = number.and_then(|number| T::try_from(number).ok());
    number.map(Some).ok_or_else(|| field.wrong(form))
}

fn relayed_data(data: &Fields<'_>) -> Result<Command, Refusal> {
    let to = match data.optional("to") {
        Some(field) => Some(field.list(TO_FORM)?.iter().map(participant).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let topic_field = data.required("topic", TOPIC_FORM)?;
    let topic = topic_field.string(TOPIC_FORM)?;
    if topic.is_empty() || topic.chars().count() > TOPIC_CHARS_MAX {
        return Err(topic_field.wrong(TOPIC_FORM));
    }
    let is_lossy = optional_flag(data, "lossy")?.unwrap_or_default();
    let payload = match data.optional("bytes") {
        Some(field) => {
            let form = "base 64 (RFC 4648 §4) of at most 16 KiB";
            let bytes = Base64::decode_vec(&field.string(form)?).map_err(|_| field.wrong(form))?;
            DataPayload::Bytes(bytes.into())
        }
        // Passed on exactly as it came: numbers keep their digits, objects the order of their keys.
        None => data.required("payload", "any JSON, at most 16 KiB as text")?.json().into(),
    };
    if payload.bytes() > DATA_PAYLOAD_BYTES_MAX {
        return Err(Refusal::new(
            RefusalCode::PayloadTooLarge,
            format!(
                "`data.payload` has {} bytes; at most {DATA_PAYLOAD_BYTES_MAX} are passed on by signalling",
                payload.bytes()
            ),
            "Send it on a data channel or in smaller pieces, or put it on a web server and send its address.",
        ));
    }
    Ok(Command::Data { to, topic, payload, is_lossy })
}

/// Reads what a moderator asks for; `None` if the request is none of a moderator's.
fn moderation(kind: &str, data: &Fields<'_>) -> Result<Option<Moderation>, Refusal> {
    let whom = || participant(&data.required("participantId", PARTICIPANT_FORM)?);
    let room = |change: RoomChange| Moderation::Configure(change);
    Ok(Some(match kind {
        "mute-track" if data.optional("participantId").is_some() => {
            Moderation::MuteSource(whom()?.into(), source(&data.required("source", SOURCE_FORM)?)?)
        }
        "mute-track" => Moderation::Mute(track(data)?),
        "stop-track" => Moderation::Stop(track(data)?),
        "remove-participant" => Moderation::Remove(whom()?.into()),
        "ban-participant" => Moderation::Ban(Ban {
            target: whom()?.into(),
            with_address: optional_flag(data, "address")?.unwrap_or(false),
            lasts: positive(data, "seconds", SECONDS_FORM)?
                .map(|seconds: u32| Duration::from_secs(seconds.into())),
        }),
        "lift-bans" => Moderation::LiftBans(None),
        "set-permissions" => Moderation::SetPermissions(whom()?.into(), permissions(data)?),
        "lock-room" => room(RoomChange { locked: Some(flag(data, "locked")?), ..RoomChange::default() }),
        "set-waiting-room" => {
            room(RoomChange { waiting_room: Some(flag(data, "enabled")?), ..RoomChange::default() })
        }
        "admit" => Moderation::Admit(whom()?),
        "turn-away" => Moderation::TurnAway(whom()?),
        "end-call" => Moderation::End,
        _ => return Ok(None),
    }))
}

fn permissions(data: &Fields<'_>) -> Result<PermissionsChange, Refusal> {
    let publish = match data.optional("publish") {
        Some(field) => Some(field.list(SOURCES_FORM)?.iter().map(source).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(PermissionsChange {
        publish,
        subscribe: optional_flag(data, "subscribe")?,
        send_data: optional_flag(data, "sendData")?,
        update_own_profile: optional_flag(data, "updateOwnProfile")?,
        moderate: optional_flag(data, "moderate")?,
    })
}

fn report(data: &Fields<'_>) -> Result<Command, Refusal> {
    let reason_field = data.required("reason", TOPIC_FORM)?;
    let reason = reason_field.string(TOPIC_FORM)?;
    if reason.is_empty() || reason.chars().count() > TOPIC_CHARS_MAX {
        return Err(reason_field.wrong(TOPIC_FORM));
    }
    let text = match data.optional("text") {
        Some(field) => {
            let text = field.string(REPORT_FORM)?;
            if text.chars().count() > REPORT_CHARS_MAX {
                return Err(field.wrong(REPORT_FORM));
            }
            text
        }
        None => String::new(),
    };
    let about = participant(&data.required("participantId", PARTICIPANT_FORM)?)?;
    Ok(Command::Report { about, reason, text })
}

fn update_profile(data: &Fields<'_>) -> Result<Command, Refusal> {
    let attributes = match data.optional("attributes") {
        Some(field) => field.object()?.texts(TEXT_FORM)?,
        None => BTreeMap::new(),
    };
    let change = ProfileChange {
        name: data.optional("name").map(|field| name(&field)).transpose()?,
        metadata: data.optional("metadata").map(|field| field.string(TEXT_FORM)).transpose()?,
        attributes,
    };
    Ok(Command::UpdateProfile(change))
}

fn name(field: &Field<'_>) -> Result<String, Refusal> {
    let name = field.string(NAME_FORM)?;
    let name = Join::display_name(&name).ok_or_else(|| field.refuse(RefusalCode::BadName, NAME_FORM))?;
    Ok(name.to_owned())
}

fn room(field: &Field<'_>) -> Result<RoomId, Refusal> {
    let text = field.string(ROOM_FORM)?;
    text.parse().map_err(|_| field.refuse(RefusalCode::BadRoom, ROOM_FORM))
}

fn track(data: &Fields<'_>) -> Result<TrackId, Refusal> {
    let field = data.required("trackId", TRACK_FORM)?;
    field.string(TRACK_FORM)?.parse().map_err(|_| field.wrong(TRACK_FORM))
}

fn optional_flag(data: &Fields<'_>, name: &str) -> Result<Option<bool>, Refusal> {
    data.optional(name).map(|field| field.boolean()).transpose()
}

fn flag(data: &Fields<'_>, name: &str) -> Result<bool, Refusal> {
    data.required(name, "true or false")?.boolean()
}

fn mid(field: &Field<'_>) -> Result<Mid, Refusal> {
    Mid::parse(&field.string(MID_FORM)?).ok_or_else(|| field.wrong(MID_FORM))
}
