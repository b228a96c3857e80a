//! The tracks of a replayed room as files that players open: Ogg for Opus, IVF for VP8, VP9 and AV1, Annex B for H.264.
//!
//! Packets are put in order, retransmissions into their places; frames that are not whole are left out. What was
//! muted or lost is missing from the file.

mod depacketize;
mod ogg;
mod video;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::wiretap::{Plain, PlainObserver, Way};
use crate::core::command::Source;
use crate::core::ids::Ssrc;
use crate::core::negotiated::Codec;
use crate::core::room::{PayloadForm, Room};
use crate::wire::red;
use crate::wire::rtp::RtpHeader;
use ogg::OggWriter;
use video::VideoWriter;

/// How many packets are kept back for late ones to find their places: a second of a large picture.
const HELD_MAX: usize = 512;

/// A packet's place in its stream, and what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packet {
    index: u64,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

/// Where one stream goes.
enum Track {
    Sound(OggWriter<BufWriter<File>>),
    Picture(VideoWriter<BufWriter<File>>),
}

/// One incoming stream, and the file that it goes into.
struct Stream {
    track: Track,
    highest: u64,
    held: BTreeMap<u64, Packet>,
    /// Up to which index packets were passed on.
    passed: u64,
}

/// Writes each incoming stream into a file.
pub struct MediaFiles {
    directory: PathBuf,
    streams: BTreeMap<(usize, Ssrc), Stream>,
    /// Files that were begun.
    pub files: Vec<PathBuf>,
    /// What went wrong first; nothing is written after it.
    failed: Option<io::Error>,
}

impl MediaFiles {
    /// Files in this directory, which is made if it does not exist.
    pub fn new(directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        Ok(Self { directory, streams: BTreeMap::new(), files: Vec::new(), failed: None })
    }

    /// Writes what is held back. The files.
    pub fn finish(mut self) -> io::Result<Vec<PathBuf>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        for (_, mut stream) in std::mem::take(&mut self.streams) {
            stream.pass_on(0)?;
            match stream.track {
                Track::Sound(out) => out.finish()?,
                Track::Picture(out) => out.finish()?,
            }
        }
        Ok(self.files)
    }

    fn take(&mut self, packet: &Plain<'_>, room: &Room) -> io::Result<()> {
        let Ok(header) = RtpHeader::parse(packet.bytes) else { return Ok(()) };
        let Ok(payload) = header.payload(packet.bytes) else { return Ok(()) };
        let Some(stream) = room.incoming_stream(packet.key, Ssrc(header.ssrc), header.payload_type) else {
            return Ok(());
        };
        let (ssrc, sequence, payload) = match stream.form {
            PayloadForm::Media => (Ssrc(header.ssrc), header.sequence, payload),
            PayloadForm::Redundant => {
                let Some(primary) = red::primary(payload).ok().and_then(|(_, range)| payload.get(range))
                else {
                    return Ok(());
                };
                (Ssrc(header.ssrc), header.sequence, primary)
            }
            PayloadForm::Retransmission { of } => {
                let Some((sequence, original)) = payload.split_first_chunk::<2>() else { return Ok(()) };
                (of, u16::from_be_bytes(*sequence), original)
            }
        };
        if payload.is_empty() {
            return Ok(());
        }
        let key = (packet.key.0, ssrc);
        if !self.streams.contains_key(&key) {
            let name = file_name(&packet.person.name, stream.source, ssrc, stream.codec);
            let path = self.directory.join(name);
            let out = BufWriter::new(private_file(&path)?);
            let track = match stream.codec {
                Codec::Opus => Track::Sound(OggWriter::new(out, ssrc.0)?),
                codec => Track::Picture(VideoWriter::new(out, codec)?),
            };
            self.files.push(path);
            let first = u64::from(sequence) + (1 << 16);
            self.streams.insert(key, Stream { track, highest: first, held: BTreeMap::new(), passed: 0 });
        }
        let Some(stream) = self.streams.get_mut(&key) else { return Ok(()) };
        let index = stream.index_of(sequence);
        if index <= stream.passed {
            return Ok(());
        }
        stream.highest = stream.highest.max(index);
        let (timestamp, marker, payload) = (header.timestamp, header.marker, payload.to_vec());
        stream.held.entry(index).or_insert(Packet { index, timestamp, marker, payload });
        stream.pass_on(HELD_MAX)
    }
}

impl PlainObserver for MediaFiles {
    fn on_packet(&mut self, packet: &Plain<'_>, room: &Room) {
        if self.failed.is_none() && packet.way == Way::In && !packet.is_rtcp {
            self.failed = self.take(packet, room).err();
        }
    }
}

impl Stream {
    /// The index nearest to the highest so far (RFC 3550, appendix A.1).
    fn index_of(&self, sequence: u16) -> u64 {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < 0x8000 {
            self.highest + u64::from(ahead)
        } else {
            self.highest.saturating_sub(u64::from(ahead.wrapping_neg()))
        }
    }

    /// Passes on all but the newest packets.
    fn pass_on(&mut self, keep: usize) -> io::Result<()> {
        while self.held.len() > keep {
            let Some((index, packet)) = self.held.pop_first() else { break };
            self.passed = index;
            match &mut self.track {
                Track::Sound(out) => out.packet(&packet)?,
                Track::Picture(out) => out.packet(&packet)?,
            }
        }
        Ok(())
    }
}

/// A new file, or an old one's place, that nobody else may read: it holds what was said.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A name that says what is in the file.
fn file_name(person: &str, source: Source, ssrc: Ssrc, codec: Codec) -> String {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let person: String = person.chars().map(plain).collect();
    let extension = match codec {
        Codec::Opus => "ogg",
        Codec::H264 { .. } => "h264",
        _ => "ivf",
    };
    format!("{person}-{}-{ssrc}.{extension}", source.as_str())
}
