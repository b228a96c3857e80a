//! Calls: what a client asks of its session, whichever way it comes. Here they are read from the fields of a message.

use super::fields::{Fields, wrong};
use super::ids::consumer_of;
use super::news::Dialect;
use crate::core::command::{MediaKind, Priority, Source, Wish};
use crate::core::event::{Refusal, RefusalCode};
use crate::core::ids::{RoomId, TrackId, TransportId};
use crate::core::ortc::{self, DtlsParameters, RtpCapabilities, RtpParameters, TransportDirection};

/// What can be called. The names are those of messages on a WebSocket and of the last part of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallName {
    /// Opens a transport for one direction.
    CreateTransport,
    /// Brings the client's part of DTLS to a transport.
    ConnectTransport,
    /// Gives a transport new ICE credentials.
    RestartIce,
    /// Closes a transport, with what it carries.
    CloseTransport,
    /// Publishes a track.
    Produce,
    /// Mutes a track.
    PauseProducer,
    /// Unmutes it.
    ResumeProducer,
    /// Ends it.
    CloseProducer,
    /// Subscribes to a track.
    Consume,
    /// Pauses a subscription.
    PauseConsumer,
    /// Resumes it.
    ResumeConsumer,
    /// Says in which size and with which priority it is shown.
    PreferConsumer,
    /// Ends it.
    CloseConsumer,
    /// Leaves the room.
    Leave,
}

impl CallName {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 14] = [
        ("create-transport", Self::CreateTransport),
        ("connect-transport", Self::ConnectTransport),
        ("restart-ice", Self::RestartIce),
        ("close-transport", Self::CloseTransport),
        ("produce", Self::Produce),
        ("pause-producer", Self::PauseProducer),
        ("resume-producer", Self::ResumeProducer),
        ("close-producer", Self::CloseProducer),
        ("consume", Self::Consume),
        ("pause-consumer", Self::PauseConsumer),
        ("resume-consumer", Self::ResumeConsumer),
        ("prefer-consumer", Self::PreferConsumer),
        ("close-consumer", Self::CloseConsumer),
        ("leave", Self::Leave),
    ];

    /// Returns the call of that name; `None` if there is none.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(of, _)| *of == name).map(|(_, call)| call)
    }

    /// Returns whether a call is work as that for a part of an offer in other protocols.
    pub fn negotiates(self) -> bool {
        matches!(self, Self::CreateTransport | Self::RestartIce | Self::Produce | Self::Consume)
    }

    /// Returns whether a call is news for everybody in the room.
    pub fn is_news(self) -> bool {
        matches!(self, Self::Produce | Self::PauseProducer | Self::ResumeProducer | Self::CloseProducer)
    }
}

/// What a client asks of its session, checked: every field has the type and the form that it needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Open a transport.
    CreateTransport(TransportDirection),
    /// Take the client's part of DTLS.
    ConnectTransport(TransportId, DtlsParameters),
    /// Give a transport new ICE credentials.
    RestartIce(TransportId),
    /// Close a transport.
    CloseTransport(TransportId),
    /// Publish a track.
    Produce {
        /// By this transport.
        transport: TransportId,
        /// Whether it is audio or video.
        kind: MediaKind,
        /// What it shows.
        source: Source,
        /// How it is sent.
        parameters: Box<RtpParameters>,
        /// Whether it is muted from the beginning.
        paused: bool,
    },
    /// Mute or unmute an own track.
    PauseProducer(TrackId, bool),
    /// End an own track.
    CloseProducer(TrackId),
    /// Receive a track.
    Consume {
        /// By this transport; `None` for the one that the client receives by.
        transport: Option<TransportId>,
        /// The track.
        producer: TrackId,
        /// What the client can receive.
        capabilities: Box<RtpCapabilities>,
        /// Whether nothing is sent before it is resumed; `None` for what the dialect does.
        paused: Option<bool>,
    },
    /// Pause or resume what is received of a track.
    PauseConsumer(TrackId, bool),
    /// Say how a track is shown.
    PreferConsumer(TrackId, Wish),
    /// Receive a track no longer.
    CloseConsumer(TrackId),
    /// Leave the room.
    Leave,
}

/// Who comes in, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entering {
    /// The room.
    pub room: RoomId,
    /// Who they say they are.
    pub user: String,
    /// A token, if they have brought one.
    pub token: Option<String>,
    /// The session's own id, if they take it up again or speak for it.
    pub session: Option<String>,
}

impl Entering {
    /// Reads who comes in.
    ///
    /// # Errors
    /// One of them is missing or cannot be what it is to be.
    pub fn read(fields: &mut Fields, dialect: Dialect) -> Result<Self, Refusal> {
        let (room, user) = dialect.names();
        Ok(Self {
            room: fields.room(room)?,
            user: fields.user(user)?,
            token: fields.text("token")?,
            session: fields.text("sessionId")?,
        })
    }
}

impl Call {
    /// Reads a call of that name from its fields.
    ///
    /// # Errors
    /// A field is missing or has another form, or a structure of ORTC's is larger than any client makes it. The refusal names it.
    pub fn read(name: CallName, fields: &mut Fields) -> Result<Self, Refusal> {
        Ok(match name {
            CallName::CreateTransport => Self::CreateTransport(direction(fields)?),
            CallName::ConnectTransport => {
                let transport = transport(fields)?;
                let dtls: DtlsParameters = fields.structure("dtlsParameters")?;
                checked("dtlsParameters", ortc::check::dtls(&dtls))?;
                Self::ConnectTransport(transport, dtls)
            }
            CallName::RestartIce => Self::RestartIce(transport(fields)?),
            CallName::CloseTransport => Self::CloseTransport(transport(fields)?),
            CallName::Produce => Self::read_produce(fields)?,
            CallName::PauseProducer => Self::PauseProducer(producer(fields)?, true),
            CallName::ResumeProducer => Self::PauseProducer(producer(fields)?, false),
            CallName::CloseProducer => Self::CloseProducer(producer(fields)?),
            CallName::Consume => {
                let transport = fields.id("transportId")?.map(|text| text.parse().map_err(|_| no_receiver()));
                let capabilities: Box<RtpCapabilities> = fields.structure("rtpCapabilities")?;
                checked("rtpCapabilities", ortc::check::capabilities(&capabilities))?;
                Self::Consume {
                    transport: transport.transpose()?,
                    producer: producer(fields)?,
                    capabilities,
                    paused: fields.flag("paused")?,
                }
            }
            CallName::PauseConsumer => Self::PauseConsumer(consumer(fields)?, true),
            CallName::ResumeConsumer => Self::PauseConsumer(consumer(fields)?, false),
            CallName::PreferConsumer => Self::PreferConsumer(consumer(fields)?, wish(fields)?),
            CallName::CloseConsumer => Self::CloseConsumer(consumer(fields)?),
            CallName::Leave => Self::Leave,
        })
    }

    fn read_produce(fields: &mut Fields) -> Result<Self, Refusal> {
        let transport = transport(fields)?;
        let parameters: Box<RtpParameters> = fields.structure("rtpParameters")?;
        checked("rtpParameters", ortc::check::parameters(&parameters))?;
        let kind = match fields.text("kind")? {
            Some(text) => MediaKind::named(&text),
            // The codecs say it as well.
            None => kind_of(&parameters),
        };
        let kind = kind.ok_or_else(|| wrong("kind", "audio or video"))?;
        let data = fields.inner("appData").unwrap_or_default();
        let source = source(fields, data, kind)?;
        Ok(Self::Produce {
            transport,
            kind,
            source,
            parameters,
            paused: fields.flag("paused")?.unwrap_or(false),
        })
    }

    /// Returns the transport that a call names; `None` if it names none.
    pub fn transport(&self) -> Option<TransportId> {
        match self {
            Self::ConnectTransport(transport, _)
            | Self::RestartIce(transport)
            | Self::CloseTransport(transport)
            | Self::Produce { transport, .. } => Some(*transport),
            Self::Consume { transport, .. } => *transport,
            _ => None,
        }
    }
}

/// Returns the refusal of a call about a transport that the caller does not have.
pub fn no_transport() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownTransport,
        "Transport not found",
        "Create a transport, and name it by the id that the reply has.",
    )
}

/// Returns the refusal to receive something where there is no transport for that.
pub fn no_receiver() -> Refusal {
    Refusal::new(
        RefusalCode::NoReceiveTransport,
        "Consumer transport not found",
        "Create a transport with the direction recv before you consume.",
    )
}

fn checked(name: &str, fits: Result<(), String>) -> Result<(), Refusal> {
    fits.map_err(|why| wrong(name, &format!("as mediasoup-client makes it: {why}")))
}

fn direction(fields: &mut Fields) -> Result<TransportDirection, Refusal> {
    match fields.text("direction")?.as_deref() {
        Some("send") => Ok(TransportDirection::Send),
        Some("recv") => Ok(TransportDirection::Receive),
        _ => Err(wrong("direction", "send or recv")),
    }
}

fn transport(fields: &mut Fields) -> Result<TransportId, Refusal> {
    let id = fields.id("transportId")?.ok_or_else(|| wrong("transportId", "the id of a transport"))?;
    // Whatever is no id is the id of no transport.
    id.parse().map_err(|_| no_transport())
}

fn producer(fields: &mut Fields) -> Result<TrackId, Refusal> {
    let id = fields.id("producerId")?.ok_or_else(|| wrong("producerId", "the id of a producer"))?;
    id.parse().map_err(|_| unknown("there is no such producer"))
}

fn consumer(fields: &mut Fields) -> Result<TrackId, Refusal> {
    let id = fields.id("consumerId")?.ok_or_else(|| wrong("consumerId", "the id of a consumer"))?;
    consumer_of(&id).ok_or_else(|| unknown("you have no such consumer"))
}

fn unknown(what: &str) -> Refusal {
    Refusal::new(RefusalCode::UnknownTrack, what, "Name it by the id that you were given.")
}

fn kind_of(parameters: &RtpParameters) -> Option<MediaKind> {
    let (kind, _) = parameters.codecs.first()?.mime_type.split_once('/')?;
    MediaKind::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(kind))
}

/// Reads what a track shows: apps say it beside the parameters or in `appData`, in various words. Who says nothing, or a word
/// that is none of these, shows their camera or speaks.
fn source(fields: &mut Fields, mut data: Fields, kind: MediaKind) -> Result<Source, Refusal> {
    let named = match fields.text("source")? {
        Some(source) => Some(source),
        None => ["source", "mediaTag", "type"].into_iter().find_map(|name| data.text(name).ok().flatten()),
    };
    let is_screen = named.is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        ["screen", "share", "display"].iter().any(|word| name.contains(word))
    });
    Ok(match (kind, is_screen) {
        (MediaKind::Audio, false) => Source::Microphone,
        (MediaKind::Audio, true) => Source::ScreenAudio,
        (MediaKind::Video, false) => Source::Camera,
        (MediaKind::Video, true) => Source::Screen,
    })
}

fn wish(fields: &mut Fields) -> Result<Wish, Refusal> {
    let priority = match fields.text("priority")? {
        None => Priority::default(),
        Some(text) => {
            Priority::named(&text).ok_or_else(|| wrong("priority", "very-low, low, medium or high"))?
        }
    };
    Ok(Wish {
        width: fields.number("width")?,
        height: fields.number("height")?,
        frame_rate: fields.number("frameRate")?,
        priority,
        paused: false,
    })
}
