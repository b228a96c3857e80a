//! Msids that name tracks: in an answer of the layout [`Tracks`](super::command::Layout::Tracks) each section says whose
//! track it shows. The form is that of LiveKit, whose clients read it.

use super::ids::{ParticipantId, TrackId};
use super::source::Source;
use super::track_label::TrackLabel;

/// Returns the id of a participant in msids: `PA_` and the digits of the id.
pub fn participant_sid(participant: ParticipantId) -> String {
    replaced(&participant.to_string(), "PA_")
}

/// Returns the id of a track in msids: `TR_` and the digits of the id.
pub fn track_sid(track: TrackId) -> String {
    replaced(&track.to_string(), "TR_")
}

/// Returns the participant whom an id of that form names; `None` if it has another form.
pub fn participant_of_sid(sid: &str) -> Option<ParticipantId> {
    format!("p-{}", sid.strip_prefix("PA_")?).parse().ok()
}

/// Returns the track that an id of that form names; `None` if it has another form.
pub fn track_of_sid(sid: &str) -> Option<TrackId> {
    format!("t-{}", sid.strip_prefix("TR_")?).parse().ok()
}

fn replaced(id: &str, prefix: &str) -> String {
    format!("{prefix}{}", id.split_once('-').map_or(id, |(_, digits)| digits))
}

/// Returns the stream of a track. Tracks of one owner and one stream play in sync. Unless their label says another stream, these
/// are microphone and camera, and the screen with its audio.
pub fn stream_of(source: Source, label: Option<&TrackLabel>) -> &str {
    match (label.map(TrackLabel::stream).filter(|stream| !stream.is_empty()), source) {
        (Some(stream), _) => stream,
        (None, Source::Microphone | Source::Camera) => "camera",
        (None, Source::Screen | Source::ScreenAudio) => "screen",
    }
}

/// Returns the stream and the track of an msid (RFC 8830 §2): `PA_…|camera` and `TR_…`.
pub fn msid_of_track(
    owner: ParticipantId,
    track: TrackId,
    source: Source,
    label: Option<&TrackLabel>,
) -> (String, String) {
    (format!("{}|{}", participant_sid(owner), stream_of(source, label)), track_sid(track))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_way_through_an_msid() {
        for value in [0, 7, u64::MAX] {
            let (owner, track) = (ParticipantId(value), TrackId(value));
            assert_eq!(participant_of_sid(&participant_sid(owner)), Some(owner));
            assert_eq!(track_of_sid(&track_sid(track)), Some(track));
        }
        assert_eq!(track_of_sid(&participant_sid(ParticipantId(7))), None);
        assert_eq!(participant_of_sid("PA_"), None);
    }

    #[test]
    fn microphone_and_camera_are_one_stream_unless_their_owner_says_otherwise() {
        let of =
            |source, label: Option<&TrackLabel>| msid_of_track(ParticipantId(1), TrackId(2), source, label).0;
        assert_eq!(of(Source::Microphone, None), of(Source::Camera, None));
        assert_ne!(of(Source::Screen, None), of(Source::Camera, None));
        let label = TrackLabel::new("stage", Vec::new()).expect("it is small");
        assert!(of(Source::Camera, Some(&label)).ends_with("|stage"));
    }
}
