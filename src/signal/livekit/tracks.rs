//! The tracks of a LiveKit client: those that it has announced, and those that it publishes, in which section.
//!
//! A client announces a track by `add_track`, is told its id, and sends it in a section of a later offer. Chromium names the
//! track in that section as it was announced; Firefox does not, so that the oldest announced track of the kind is taken.

use std::collections::BTreeMap;

use prost::Message as _;

use super::messages::{AddTrackRequest, SimulcastCodecInfo, TrackInfo, VideoLayer, numbers};
use super::people::track_info;
use super::sections::{OfferedSections, SendingSection};
use crate::core::command::{EncodingRequest, MediaKind, PublicationRequest, Source, TrackLabel};
use crate::core::event::{self, PublicationInfo};
use crate::core::ids::{Mid, TrackId};
use crate::core::msid::track_sid;
use crate::limits::ENCODINGS_MAX;

/// Longest name of a track, and longest name that a client has for one, bytes.
const NAME_BYTES_MAX: usize = 256;
/// Tracks that a client may have announced and not published. Of more, the oldest is forgotten.
const ANNOUNCED_MAX: usize = 64;

/// A track of the client's.
#[derive(Debug, Clone, PartialEq)]
struct OwnTrack {
    /// The client's name of it.
    cid: String,
    /// The client's names of the same track in other codecs.
    other_cids: Vec<String>,
    kind: MediaKind,
    source: Source,
    encodings: Vec<EncodingRequest>,
    /// Its id; `None` until the core has drawn one.
    track: Option<TrackId>,
    /// What is told of it, without its id.
    info: TrackInfo,
}

/// All tracks of one client.
#[derive(Debug, Default)]
pub struct OwnTracks {
    announced: Vec<OwnTrack>,
    published: BTreeMap<Mid, OwnTrack>,
}

/// Why a track cannot be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTrack {
    /// It is neither audio nor video, or its source is of the other kind.
    Kind,
    /// A name is missing or too long.
    Name,
}

impl OwnTracks {
    /// Announces a track. Returns what the core is to keep of it.
    ///
    /// # Errors
    /// The track cannot be published.
    pub fn announce(&mut self, request: AddTrackRequest) -> Result<TrackLabel, BadTrack> {
        let (kind, source) = kind_and_source(request.kind, request.source).ok_or(BadTrack::Kind)?;
        let names = [&request.cid, &request.name, &request.stream];
        if request.cid.is_empty() || names.iter().any(|name| name.len() > NAME_BYTES_MAX) {
            return Err(BadTrack::Name);
        }
        let encodings = encodings(&request.layers);
        let other_cids = request.simulcast_codecs.iter().map(|codec| codec.cid.clone()).collect();
        let cid = request.cid.clone();
        let info = info_of(request);
        let label = TrackLabel::new(&info.stream, info.encode_to_vec()).ok_or(BadTrack::Name)?;
        if self.announced.len() >= ANNOUNCED_MAX {
            self.announced.remove(0);
        }
        self.announced.push(OwnTrack { cid, other_cids, kind, source, encodings, track: None, info });
        Ok(label)
    }

    /// Gives the oldest announced track without an id this one. Returns the client's name of it, and what it is told.
    pub fn reserved(&mut self, track: TrackId) -> Option<(String, TrackInfo)> {
        let own = self.announced.iter_mut().find(|own| own.track.is_none())?;
        own.track = Some(track);
        Some((own.cid.clone(), own.told(None)))
    }

    /// Returns whether a track is announced that has an id and is not published yet.
    pub fn has_announced(&self) -> bool {
        self.announced.iter().any(|own| own.track.is_some())
    }

    /// Begins with what a client publishes that has come back, as it has said when it announced it. What it had announced
    /// before, and was told the id of, it may still offer.
    pub fn restore(&mut self, publications: &[PublicationInfo]) {
        let is_published = |track| publications.iter().any(|one| one.info.track == track);
        self.announced.retain(|own| own.track.is_some_and(|track| !is_published(track)));
        self.published = publications.iter().map(|one| (one.mid, OwnTrack::restored(&one.info))).collect();
    }

    /// Returns what an offer publishes: its sections whose tracks are known. Those whose sections send no more are forgotten.
    pub fn publish(&mut self, offered: &OfferedSections) -> Vec<PublicationRequest> {
        self.published.retain(|mid, _| offered.sending.iter().any(|section| section.mid == *mid));
        for section in &offered.sending {
            if !self.published.contains_key(&section.mid)
                && let Some(place) = self.find(section)
            {
                let own = self.announced.remove(place);
                self.published.insert(section.mid, own);
            }
        }
        let request = |section: &SendingSection| {
            let own = self.published.get(&section.mid)?;
            Some(PublicationRequest {
                mid: section.mid,
                source: own.source,
                muted: own.info.muted,
                encodings: own.encodings.clone(),
                track: own.track,
            })
        };
        offered.sending.iter().filter_map(request).collect()
    }

    /// Finds the announced track that a section sends.
    fn find(&self, section: &SendingSection) -> Option<usize> {
        let is_ready = |own: &&OwnTrack| own.kind == section.kind && own.track.is_some();
        let place = |matches: &dyn Fn(&OwnTrack) -> bool| {
            self.announced.iter().position(|own| is_ready(&own) && matches(own))
        };
        if let Some(place) = place(&|own| own.cid == section.cid) {
            return Some(place);
        }
        // The same track in another codec, for those who cannot take the first one, is no track of its own.
        let is_other = |own: &OwnTrack| !section.cid.is_empty() && own.other_cids.contains(&section.cid);
        if self.announced.iter().chain(self.published.values()).any(is_other) {
            return None;
        }
        place(&|_| true)
    }

    /// Returns the sections in which tracks are published.
    pub fn mids(&self) -> impl Iterator<Item = Mid> {
        self.published.keys().copied()
    }

    /// Notes that a section cannot be published. Returns the id of its track.
    pub fn unpublished(&mut self, mid: Mid) -> Option<TrackId> {
        self.published.remove(&mid)?.track
    }

    /// Returns whether a track is the client's.
    pub fn has(&self, track: TrackId) -> bool {
        self.published.values().chain(&self.announced).any(|own| own.track == Some(track))
    }

    /// Ends a track of the client's. Returns whether there was one.
    pub fn end(&mut self, track: TrackId) -> bool {
        let before = self.published.len() + self.announced.len();
        self.published.retain(|_, own| own.track != Some(track));
        self.announced.retain(|own| own.track != Some(track));
        self.published.len() + self.announced.len() < before
    }

    /// Mutes or unmutes a track. Returns whether the core knows it as a publication.
    pub fn set_muted(&mut self, track: TrackId, muted: bool) -> bool {
        let is_it = |own: &&mut OwnTrack| own.track == Some(track);
        if let Some(own) = self.announced.iter_mut().find(is_it) {
            own.info.muted = muted;
        }
        let own = self.published.values_mut().find(is_it);
        let is_published = own.is_some();
        if let Some(own) = own {
            own.info.muted = muted;
        }
        is_published
    }

    /// Returns what is told of the tracks that are published.
    pub fn infos(&self) -> Vec<TrackInfo> {
        self.published.iter().map(|(mid, own)| own.told(Some(*mid))).collect()
    }

    /// Returns in what codec the video of a section is to be sent, as its client has said.
    pub fn codec_in(&self, mid: Mid) -> Option<String> {
        let own = self.published.get(&mid).filter(|own| own.kind == MediaKind::Video)?;
        self.codec_of(own.track?)
    }

    /// Returns what codec a track is sent in, as its client has said.
    pub fn codec_of(&self, track: TrackId) -> Option<String> {
        let own = self.published.values().find(|own| own.track == Some(track))?;
        let mime = own.info.codecs.first().map_or("video/vp8", |codec| codec.mime_type.as_str());
        Some(mime.rsplit('/').next().unwrap_or_default().to_lowercase())
    }
}

impl OwnTrack {
    fn restored(info: &event::TrackInfo) -> Self {
        let told = track_info(info);
        let mut cids = told.codecs.iter().map(|codec| codec.cid.clone());
        Self {
            cid: cids.next().unwrap_or_default(),
            other_cids: cids.collect(),
            kind: info.kind(),
            source: info.source,
            encodings: encodings(&told.layers),
            track: Some(info.track),
            info: told,
        }
    }

    /// Returns what is told of the track.
    fn told(&self, mid: Option<Mid>) -> TrackInfo {
        let sid = self.track.map(track_sid).unwrap_or_default();
        TrackInfo { sid, mid: mid.map(|mid| mid.to_string()).unwrap_or_default(), ..self.info.clone() }
    }
}

/// Returns whether a track is audio or video, and what it shows. A track of which LiveKit knows no source counts as a
/// microphone or a camera here.
fn kind_and_source(kind: i32, source: i32) -> Option<(MediaKind, Source)> {
    let kind = match kind {
        numbers::AUDIO => MediaKind::Audio,
        numbers::VIDEO => MediaKind::Video,
        _ => return None,
    };
    let source = match (source, kind) {
        (numbers::MICROPHONE, _) | (numbers::UNKNOWN, MediaKind::Audio) => Source::Microphone,
        (numbers::CAMERA, _) | (numbers::UNKNOWN, MediaKind::Video) => Source::Camera,
        (numbers::SCREEN, _) => Source::Screen,
        (numbers::SCREEN_AUDIO, _) => Source::ScreenAudio,
        _ => return None,
    };
    (source.kind() == kind).then_some((kind, source))
}

/// Returns the encodings of a simulcast as the core knows them. Clients of LiveKit name them `q`, `h` and `f`.
fn encodings(layers: &[VideoLayer]) -> Vec<EncodingRequest> {
    let size = |pixels: u32| u16::try_from(pixels).ok().filter(|pixels| *pixels > 0);
    let request = |layer: &VideoLayer| EncodingRequest {
        rid: if layer.rid.is_empty() { rid_of(layer.quality).to_owned() } else { layer.rid.clone() },
        width: size(layer.width),
        height: size(layer.height),
        max_bitrate: Some(layer.bitrate).filter(|rate| *rate > 0),
    };
    layers.iter().take(ENCODINGS_MAX).map(request).collect()
}

/// Returns the rid of an encoding of that quality.
fn rid_of(quality: i32) -> &'static str {
    match quality {
        0 => "q",
        1 => "h",
        _ => "f",
    }
}

/// Returns the quality of an encoding of that rid: 0 is low, 2 high.
pub fn quality_of(rid: &str) -> i32 {
    match rid {
        "q" => 0,
        "h" => 1,
        _ => 2,
    }
}

/// Returns what is told of a track, without its id, from what its client has said of it.
fn info_of(request: AddTrackRequest) -> TrackInfo {
    let mime = |codec: &str| {
        let codec = if codec.is_empty() { "vp8" } else { codec };
        if codec.contains('/') { codec.to_owned() } else { format!("video/{codec}") }
    };
    let is_video = request.kind == numbers::VIDEO;
    let mut codecs: Vec<SimulcastCodecInfo> = request
        .simulcast_codecs
        .iter()
        .map(|codec| SimulcastCodecInfo {
            mime_type: mime(&codec.codec),
            cid: codec.cid.clone(),
            layers: if codec.layers.is_empty() { request.layers.clone() } else { codec.layers.clone() },
            ..Default::default()
        })
        .collect();
    if codecs.is_empty() {
        let mime_type = if is_video { mime("") } else { "audio/opus".to_owned() };
        let layers = request.layers.clone();
        codecs.push(SimulcastCodecInfo { mime_type, cid: request.cid, layers, ..Default::default() });
    }
    TrackInfo {
        kind: request.kind,
        name: request.name,
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: request.layers.len() > 1,
        disable_dtx: request.disable_dtx,
        source: request.source,
        layers: request.layers,
        mime_type: codecs[0].mime_type.clone(),
        codecs,
        stereo: request.stereo,
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream: request.stream,
        audio_features: request.audio_features,
        packet_trailer_features: request.packet_trailer_features,
        ..TrackInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::SlotCounts;

    fn microphone(cid: &str) -> AddTrackRequest {
        AddTrackRequest {
            cid: cid.into(),
            kind: numbers::AUDIO,
            source: numbers::MICROPHONE,
            ..AddTrackRequest::default()
        }
    }

    fn offered(sections: &[(&str, MediaKind, &str)]) -> OfferedSections {
        let section = |(mid, kind, cid): &(&str, MediaKind, &str)| SendingSection {
            mid: Mid::from(*mid),
            kind: *kind,
            cid: (*cid).to_owned(),
        };
        OfferedSections {
            sending: sections.iter().map(section).collect(),
            receiving: SlotCounts { audio: 0, video: 0 },
        }
    }

    #[test]
    fn a_section_is_the_track_of_its_name_or_the_oldest_of_its_kind() {
        let mut tracks = OwnTracks::default();
        for (number, cid) in ["a", "b"].into_iter().enumerate() {
            tracks.announce(microphone(cid)).expect("a good track");
            let (told, info) = tracks.reserved(TrackId(number as u64)).expect("it waits for its id");
            assert_eq!((told.as_str(), info.sid), (cid, track_sid(TrackId(number as u64))));
        }
        let by_name = tracks.publish(&offered(&[("3", MediaKind::Audio, "b")]));
        assert_eq!(by_name[0].track, Some(TrackId(1)));
        // As Firefox does, whose names differ.
        let both =
            tracks.publish(&offered(&[("3", MediaKind::Audio, "b"), ("4", MediaKind::Audio, "{other}")]));
        assert_eq!(
            both.iter().map(|one| one.track).collect::<Vec<_>>(),
            [Some(TrackId(1)), Some(TrackId(0))]
        );
        let one = tracks.publish(&offered(&[("4", MediaKind::Audio, "{other}")]));
        assert_eq!((one.len(), tracks.infos().len()), (1, 1), "what is sent no more is forgotten");
    }

    #[test]
    fn a_second_codec_is_no_second_track() {
        let mut tracks = OwnTracks::default();
        let codec = |cid: &str| super::super::messages::SimulcastCodec {
            codec: "vp9".into(),
            cid: cid.into(),
            ..Default::default()
        };
        let camera = AddTrackRequest {
            cid: "a".into(),
            kind: numbers::VIDEO,
            simulcast_codecs: vec![codec("a"), codec("backup")],
            ..AddTrackRequest::default()
        };
        tracks.announce(camera.clone()).expect("a good track");
        tracks.reserved(TrackId(1));
        tracks
            .announce(AddTrackRequest { cid: "c".into(), simulcast_codecs: Vec::new(), ..camera })
            .expect("too");
        tracks.reserved(TrackId(2));
        let published =
            tracks.publish(&offered(&[("1", MediaKind::Video, "a"), ("2", MediaKind::Video, "backup")]));
        assert_eq!(published.iter().map(|one| one.track).collect::<Vec<_>>(), [Some(TrackId(1))]);
        assert_eq!(tracks.codec_of(TrackId(1)).as_deref(), Some("vp9"));
    }

    #[test]
    fn what_cannot_be_a_track_is_not_announced() {
        let mut tracks = OwnTracks::default();
        let bad = AddTrackRequest { source: numbers::CAMERA, ..microphone("a") };
        assert_eq!(tracks.announce(bad), Err(BadTrack::Kind));
        assert_eq!(tracks.announce(AddTrackRequest { kind: 2, ..microphone("a") }), Err(BadTrack::Kind));
        assert_eq!(tracks.announce(microphone("")), Err(BadTrack::Name));
        assert_eq!(tracks.announce(microphone(&"x".repeat(300))), Err(BadTrack::Name));
        let layers = vec![VideoLayer { rid: "x".repeat(100), ..Default::default() }; 100];
        let large = AddTrackRequest { layers, ..microphone("a") };
        assert_eq!(tracks.announce(large), Err(BadTrack::Name), "too much is said of it");
        for number in 0..1000 {
            tracks.announce(microphone("a")).expect("a good track");
            tracks.reserved(TrackId(number));
        }
        assert!(tracks.announced.len() <= ANNOUNCED_MAX);
    }
}
