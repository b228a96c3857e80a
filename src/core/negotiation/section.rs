//! One media section of an offer: its `m=` line and its attributes, each read once, and which of its formats are served.

use super::codecs::{self, Role};
use super::data::DataSection;
use super::lines::{BLANKS, Line};
use super::parameters::Parameters;
use super::refusal::{Refused, quoted};
use super::streams::StreamLines;
use super::transport::TransportLines;
use crate::core::codec_set::CodecSet;
use crate::core::ids::{Mid, is_token};
use crate::core::negotiated::{Codec, Extension};
use crate::core::source::MediaKind;

/// The direction of media in a section, seen from the writer of the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Media flows both ways.
    SendRecv,
    /// The writer only sends media.
    SendOnly,
    /// The writer only receives media.
    RecvOnly,
    /// Neither end sends media.
    Inactive,
}

impl Direction {
    /// Reads a direction from the name of an attribute (RFC 8866 §6.7).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// Returns the name of the attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Returns the same direction, seen from the other end.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both => both,
        }
    }

    /// Returns the same direction for a writer who does not receive.
    #[must_use]
    pub fn without_receiving(self) -> Self {
        if self.sends() { Self::SendOnly } else { Self::Inactive }
    }

    /// Returns whether the writer sends media.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Returns whether the writer receives media.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// The profiles of RTP that WebRTC clients write (RFC 9429 §5.1.2). All of them mean the same: DTLS-SRTP with feedback.
const PROFILES: [&str; 8] = [
    "RTP/AVP",
    "RTP/AVPF",
    "RTP/SAVP",
    "RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "UDP/TLS/RTP/SAVPF",
    "TCP/DTLS/RTP/SAVP",
    "TCP/DTLS/RTP/SAVPF",
];

/// Payload types are 7 bits.
pub(super) const PAYLOAD_TYPES: usize = 128;

/// One format of an `m=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format<'a> {
    /// Its payload type, 0–127.
    pub pt: u8,
    /// The right-hand side of its `a=rtpmap`, empty without one.
    pub encoding: &'a str,
    /// The parameters in its `a=fmtp` lines.
    pub parameters: Parameters<'a>,
    /// The values of its `a=rtcp-fb` lines.
    pub feedback: Vec<&'a str>,
    /// What it is for, if it is served.
    pub role: Option<Role>,
}

/// A header extension that a section offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedExtension<'a> {
    /// Its id: 1–14 or 16–255.
    pub id: u8,
    /// Its name, with everything behind it.
    pub name: &'a str,
    /// What it is, if it is served in sections of this kind.
    pub extension: Option<Extension>,
    /// In which direction it is offered, seen from the client.
    pub direction: Direction,
}

/// One media section of an offer, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its place among the sections.
    pub index: usize,
    /// Its `a=mid`; a made-up one for the only section of an offer that has none.
    pub mid: Mid,
    /// Whether the offer has an `a=mid` for it, and one that can be used.
    pub has_mid: bool,
    /// Its `a=mid` as the answer repeats it: a token, which may be longer than a mid that is served.
    pub mid_text: Option<&'a str>,
    /// The first word of its `m=` line.
    pub media: &'a str,
    /// The profile of its `m=` line.
    pub profile: &'a str,
    /// The first format of its `m=` line, as it is written.
    pub first_format: &'a str,
    /// Audio or video; `None` for everything else.
    pub kind: Option<MediaKind>,
    /// Whether the client has stopped it: port 0 without `a=bundle-only`.
    pub stopped: bool,
    /// Which way media flows, seen from the client.
    pub direction: Direction,
    /// Its formats, most wanted first.
    pub formats: Vec<Format<'a>>,
    /// The values of `a=rtcp-fb:*`, which apply to all formats.
    pub wildcard_feedback: Vec<&'a str>,
    /// The header extensions that it offers, and those of the session.
    pub extensions: Vec<OfferedExtension<'a>>,
    /// The streams that it declares.
    pub streams: StreamLines<'a>,
    /// Its part of the transport's description.
    pub transport: TransportLines<'a>,
    /// Whether RTCP may come by the same port.
    pub rtcp_mux: bool,
    /// Whether reduced-size RTCP is offered (RFC 5506).
    pub rtcp_rsize: bool,
    /// Whether both forms of header extensions may come in one stream (RFC 8285 §6).
    pub allows_mixed: bool,
    /// What it says of data channels, if it is for these.
    pub data: Option<DataSection>,
    /// Why it cannot be served, in words; `None` if it can.
    pub rejected: Option<String>,
}

/// What applies to all sections of an offer: attributes of its session, and what its room takes.
#[derive(Debug, Clone, Default)]
pub struct SessionLines<'a> {
    /// The direction of sections that do not say one.
    pub direction: Option<Direction>,
    /// Header extensions of all sections: each with its line's number and value.
    pub extensions: Vec<(usize, &'a str)>,
    /// The codecs that may be used.
    pub codecs: CodecSet,
}

/// A section while its lines are read.
struct Reader<'a> {
    section: Section<'a>,
    /// The index of each payload type in its formats.
    places: [Option<u8>; PAYLOAD_TYPES],
    bundle_only: bool,
    port: &'a str,
    direction: Option<Direction>,
    /// The first line that cannot be taken. It only counts if the section is served.
    fault: Option<Refused>,
}

impl<'a> Section<'a> {
    /// Reads a section; the first of its lines is its `m=` line.
    pub fn read(index: usize, lines: &[Line<'a>], session: &SessionLines<'a>) -> Result<Self, Refused> {
        let Some((first, lines)) = lines.split_first() else {
            return Err(Refused::malformed("a section without an m= line"));
        };
        let mut reader = Reader::begin(index, first)?;
        for line in lines {
            reader.line(line);
        }
        for (number, value) in &session.extensions {
            let read = reader.extension(*number, value);
            reader.note(read);
        }
        reader.finish(session)
    }

    /// Returns the section's name in refusals.
    pub fn place(&self) -> String {
        if self.has_mid {
            let mid: &str = &self.mid;
            format!("section {} (mid {mid:?})", self.index)
        } else {
            format!("section {}", self.index)
        }
    }

    /// Returns whether it is served and the client sends media in it.
    pub fn sends(&self) -> bool {
        self.direction.sends() && self.rejected.is_none()
    }

    /// Returns whether it is served and the client receives media in it.
    pub fn receives(&self) -> bool {
        self.direction.receives() && self.rejected.is_none()
    }

    /// Returns for each payload type whether the answer takes it. It is a table, because lists of payload types in the
    /// offer can be long.
    pub fn agreed_types(&self) -> [bool; PAYLOAD_TYPES] {
        let mut agreed = [false; PAYLOAD_TYPES];
        for format in self.formats.iter().filter(|format| format.role.is_some()) {
            if let Some(place) = agreed.get_mut(usize::from(format.pt)) {
                *place = true;
            }
        }
        agreed
    }
}

impl<'a> Reader<'a> {
    fn begin(index: usize, line: &Line<'a>) -> Result<Self, Refused> {
        let mut words = line.value.split_whitespace();
        let (Some(media), Some(port), Some(profile)) = (words.next(), words.next(), words.next()) else {
            let number = line.number;
            let value = quoted(line.value);
            return Err(Refused::malformed(format!("line {number} has no media, port and profile: {value}")));
        };
        if port.split('/').any(|number| number.parse::<u16>().is_err()) {
            let (number, port) = (line.number, quoted(port));
            return Err(Refused::malformed(format!("line {number}: the port of section {index} is {port}")));
        }
        let kind = match media {
            "audio" => Some(MediaKind::Audio),
            "video" => Some(MediaKind::Video),
            _ => None,
        };
        let first_format = words.clone().next().unwrap_or("0");
        let mut reader = Self {
            section: Section {
                index,
                mid: Mid::NONE,
                has_mid: false,
                mid_text: None,
                media,
                profile,
                first_format,
                kind,
                stopped: false,
                direction: Direction::SendRecv,
                formats: Vec::new(),
                wildcard_feedback: Vec::new(),
                extensions: Vec::new(),
                streams: StreamLines::default(),
                transport: TransportLines::default(),
                rtcp_mux: false,
                rtcp_rsize: false,
                allows_mixed: false,
                data: DataSection::named(media, profile, first_format),
                rejected: None,
            },
            places: [None; PAYLOAD_TYPES],
            bundle_only: false,
            port,
            direction: None,
            fault: None,
        };
        for word in words {
            let Ok(pt) = word.parse::<u8>() else { continue };
            let place = u8::try_from(reader.section.formats.len()).ok();
            let Some(slot @ None) = reader.places.get_mut(usize::from(pt)) else { continue };
            *slot = place;
            reader.section.formats.push(Format {
                pt,
                encoding: "",
                parameters: Parameters::default(),
                feedback: Vec::new(),
                role: None,
            });
        }
        Ok(reader)
    }

    fn line(&mut self, line: &Line<'a>) {
        let taken = self.section.transport.take(line);
        self.note(taken);
        if let Some((name, value)) = line.attribute() {
            let read = self.attribute(line.number, name, value);
            self.note(read);
        }
    }

    /// Keeps the first fault. Whether the section is served, and with it the fault is one, is known when all is read.
    fn note(&mut self, read: Result<(), Refused>) {
        if let Err(refused) = read {
            self.fault.get_or_insert(refused);
        }
    }

    fn attribute(&mut self, number: usize, name: &'a str, value: &'a str) -> Result<(), Refused> {
        if let Some(data) = &mut self.section.data {
            data.take(name, value);
        }
        match name {
            "mid" => self.mid(number, value.trim())?,
            "rtpmap" => self.rtpmap(number, value)?,
            "fmtp" => {
                if let Some((format, text)) = self.format(value) {
                    format.parameters.add(text);
                }
            }
            "rtcp-fb" => match value.strip_prefix("*").filter(|rest| rest.starts_with(BLANKS)) {
                Some(text) => self.section.wildcard_feedback.push(text.trim()),
                None => {
                    if let Some((format, text)) = self.format(value) {
                        format.feedback.push(text);
                    }
                }
            },
            "extmap" => self.extension(number, value)?,
            "bundle-only" => self.bundle_only = true,
            "rtcp-mux" => self.section.rtcp_mux = true,
            "rtcp-rsize" => self.section.rtcp_rsize = true,
            "extmap-allow-mixed" => self.section.allows_mixed = true,
            _ => {
                self.direction = self.direction.or_else(|| Direction::from_name(name));
                self.section.streams.take(name, value);
            }
        }
        Ok(())
    }

    fn mid(&mut self, number: usize, text: &'a str) -> Result<(), Refused> {
        if !is_token(text) {
            let text = quoted(text);
            return Err(Refused::malformed(format!(
                "line {number}: the mid {text} is not a token (RFC 5888 §4)"
            )));
        }
        self.section.mid_text.get_or_insert(text);
        let Some(mid) = Mid::parse(text) else {
            let text = quoted(text);
            return Err(Refused::unserved(format!(
                "line {number}: the mid {text} is longer than 16 characters"
            )));
        };
        if !self.section.has_mid {
            self.section.mid = mid;
            self.section.has_mid = true;
        }
        Ok(())
    }

    /// Returns the format that a line is about, and the rest of the line.
    fn format(&mut self, value: &'a str) -> Option<(&mut Format<'a>, &'a str)> {
        let (pt, text) = value.trim_start().split_once(BLANKS)?;
        let place = (*self.places.get(usize::from(pt.parse::<u8>().ok()?))?)?;
        Some((self.section.formats.get_mut(usize::from(place))?, text.trim()))
    }

    fn rtpmap(&mut self, number: usize, value: &'a str) -> Result<(), Refused> {
        let Some((format, encoding)) = self.format(value) else { return Ok(()) };
        if format.encoding.is_empty() {
            format.encoding = encoding;
        } else if !format.encoding.eq_ignore_ascii_case(encoding) {
            let (pt, one, other) = (format.pt, quoted(format.encoding), quoted(encoding));
            return Err(Refused::malformed(format!(
                "line {number}: payload type {pt} stands for two codecs in one section, {one} and {other}"
            )));
        }
        Ok(())
    }

    fn extension(&mut self, number: usize, value: &'a str) -> Result<(), Refused> {
        let bad = || {
            Refused::malformed(format!("line {number}: a=extmap is not an id and a name: {}", quoted(value)))
        };
        let (id, name) = value.trim().split_once(' ').ok_or_else(bad)?;
        let (id, direction) = match id.split_once('/') {
            Some((id, direction)) => (id, Direction::from_name(direction).ok_or_else(bad)?),
            None => (id, Direction::SendRecv),
        };
        let id: u16 = id.parse().map_err(|_| bad())?;
        // Larger numbers stand for "choose one" (RFC 8285 §7); 15 is not an id in the one-byte form.
        let Some(id) = u8::try_from(id).ok().filter(|id| *id != 0 && *id != 15) else { return Ok(()) };
        let name = name.trim();
        let extension = self.section.kind.and_then(|kind| Extension::from_uri(name, kind));
        self.section.extensions.push(OfferedExtension { id, name, extension, direction });
        Ok(())
    }

    fn finish(mut self, session: &SessionLines<'a>) -> Result<Section<'a>, Refused> {
        if let Some(kind) = self.section.kind {
            self.find_roles(kind, session.codecs);
        }
        let mut section = self.section;
        section.stopped = self.port == "0" && !self.bundle_only;
        section.direction = self.direction.or(session.direction).unwrap_or(Direction::SendRecv);
        // A direction is about media. Data flows both ways (RFC 8841 §11.3).
        if section.data.is_some() {
            section.direction = Direction::Inactive;
        }
        section.rejected = why_rejected(&section, session.codecs);
        if section.direction.sends() && !sends_av1(&section) {
            refuse_dependency_descriptor(&mut section);
        }
        // What is rejected anyway may say what it likes, because nothing of it is used.
        match self.fault.filter(|_| section.rejected.is_none()) {
            Some(fault) => Err(fault),
            None => Ok(section),
        }
    }

    /// Finds out what each format is for: first codecs, then their retransmissions and redundant forms.
    fn find_roles(&mut self, kind: MediaKind, taken: CodecSet) {
        let formats = &mut self.section.formats;
        let mut is_media = [false; PAYLOAD_TYPES];
        for format in formats.iter_mut() {
            let role = codecs::role(kind, format.pt, format.encoding, &format.parameters);
            format.role = role.filter(|role| !matches!(role, Role::Media(codec) if !taken.has(*codec)));
            is_media[usize::from(format.pt)] = matches!(format.role, Some(Role::Media(_)));
        }
        let mut has_helper = [false; PAYLOAD_TYPES];
        for format in formats {
            if let Some(Role::Redundant(of) | Role::Retransmission(of)) = format.role {
                let of = usize::from(of);
                // Each codec gets only the first format that names it: a second one would be answered and never used.
                let is_first = has_helper.get_mut(of).is_some_and(|seen| !std::mem::replace(seen, true));
                if !is_first || !is_media[of] {
                    format.role = None;
                }
            }
        }
    }
}

/// Whether the codec that the client most likely sends is AV1: the first one.
fn sends_av1(section: &Section<'_>) -> bool {
    let mut roles = section.formats.iter().filter_map(|format| format.role);
    let first = roles.find_map(|role| if let Role::Media(codec) = role { Some(codec) } else { None });
    matches!(first, Some(Codec::Av1 { .. }))
}

/// Does not serve the dependency descriptor in a section. Browsers that may send it leave VP8's own descriptor out, with
/// the picture ids that its receivers need; VP9 and H.264 tell all that we need by themselves.
fn refuse_dependency_descriptor(section: &mut Section<'_>) {
    for offered in &mut section.extensions {
        offered.extension = offered.extension.filter(|one| *one != Extension::DependencyDescriptor);
    }
}

fn why_rejected(section: &Section<'_>, taken: CodecSet) -> Option<String> {
    if section.stopped {
        return Some("it is stopped".to_owned());
    }
    if section.data.is_some() {
        return None;
    }
    let Some(kind) = section.kind else {
        return Some(format!("m={} is not served", quoted(section.media)));
    };
    if !PROFILES.iter().any(|profile| profile.eq_ignore_ascii_case(section.profile)) {
        return Some(format!("the profile {} is not served", quoted(section.profile)));
    }
    if section.formats.iter().any(|format| matches!(format.role, Some(Role::Media(_)))) {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    for format in section.formats.iter().filter(|format| !format.encoding.is_empty()) {
        let name = format.encoding.split('/').next().unwrap_or_default();
        if names.len() < 8 && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    let names = quoted(&names.join(" "));
    let served = taken.in_words(kind).unwrap_or_else(|| "none".to_owned());
    Some(match taken {
        CodecSet::ALL => format!("none of its codecs is served ({names}); served are {served}"),
        _ => format!("none of its codecs is served in this room ({names}); served are {served}"),
    })
}
