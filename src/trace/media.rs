//! Writes the tracks of a replayed room into files for players: Ogg for Opus, IVF for VP8, VP9 and AV1, Annex B for
//! H.264.
//!
//! Packets are put in order, with retransmissions in their places. Incomplete frames are left out. Muted and lost media
//! is missing from the file.

mod depacketize;
mod ogg;
mod video;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::original::{Original, first_index, index_of};
use super::wiretap::{Plain, PlainObserver, Way};
use crate::core::command::Source;
use crate::core::ids::Ssrc;
use crate::core::negotiated::Codec;
use crate::core::room::Room;
use crate::wire::rtp::RtpHeader;
use ogg::OggWriter;
use video::VideoWriter;

/// How many packets are held back so that late ones find their places: about a second of high-rate video.
const HELD_MAX: usize = 512;

/// A packet with its place in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packet {
    index: u64,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

/// The file of one stream, in the format for its codec.
enum Track {
    Audio(OggWriter<BufWriter<File>>),
    Video(VideoWriter<BufWriter<File>>),
}

/// One incoming stream, and its file.
struct Stream {
    track: Track,
    highest: u64,
    held: BTreeMap<u64, Packet>,
    /// The index up to which packets were written.
    passed: u64,
}

/// Writes each incoming stream into a file.
pub struct MediaFiles {
    directory: PathBuf,
    streams: BTreeMap<(usize, Ssrc), Stream>,
    /// The files that were begun.
    pub files: Vec<PathBuf>,
    /// The first error, after which nothing is written.
    failed: Option<io::Error>,
}

impl MediaFiles {
    /// Returns a writer of files in this directory, which is made if it does not exist.
    pub fn new(directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        Ok(Self { directory, streams: BTreeMap::new(), files: Vec::new(), failed: None })
    }

    /// Writes the packets that are held back, and returns the paths of all files. Fails if anything could not be
    /// written.
    pub fn finish(mut self) -> io::Result<Vec<PathBuf>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        for (_, mut stream) in std::mem::take(&mut self.streams) {
            stream.pass_on(0)?;
            match stream.track {
                Track::Audio(out) => out.finish()?,
                Track::Video(out) => out.finish()?,
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
        let Some(original) = Original::of(stream.form, &header, payload) else { return Ok(()) };
        let Original { ssrc, sequence, payload } = original;
        if payload.is_empty() {
            return Ok(());
        }
        let key = (packet.key.0, ssrc);
        if !self.streams.contains_key(&key) {
            let name = file_name(&packet.person.name, stream.source, ssrc, stream.codec);
            let path = self.directory.join(name);
            let out = BufWriter::new(private_file(&path)?);
            let track = match stream.codec {
                Codec::Opus => Track::Audio(OggWriter::new(out, ssrc.0)?),
                codec => Track::Video(VideoWriter::new(out, codec)?),
            };
            self.files.push(path);
            let highest = first_index(sequence);
            self.streams.insert(key, Stream { track, highest, held: BTreeMap::new(), passed: 0 });
        }
        let Some(stream) = self.streams.get_mut(&key) else { return Ok(()) };
        let index = index_of(stream.highest, sequence);
        // It is too late, because later packets were written already.
        if index <= stream.passed {
            return Ok(());
        }
        stream.highest = stream.highest.max(index);
        let (timestamp, marker, payload) = (header.timestamp, header.marker, payload.to_vec());
        // A packet may come twice: the original and a retransmission.
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
    /// Writes all packets except the newest `keep`, before which others may still come.
    fn pass_on(&mut self, keep: usize) -> io::Result<()> {
        while self.held.len() > keep {
            let Some((index, packet)) = self.held.pop_first() else { break };
            self.passed = index;
            match &mut self.track {
                Track::Audio(out) => out.packet(&packet)?,
                Track::Video(out) => out.packet(&packet)?,
            }
        }
        Ok(())
    }
}

/// Opens an empty file that only its owner may read, because it will contain what was said. An old file is overwritten.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns a file name that tells the contents, such as `Anna-camera-0000abcd.ivf`.
fn file_name(person: &str, source: Source, ssrc: Ssrc, codec: Codec) -> String {
    // People choose their names, and a slash in one must not lead out of the directory.
    let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let person: String = person.chars().map(plain).collect();
    let extension = match codec {
        Codec::Opus => "ogg",
        Codec::H264 { .. } => "h264",
        _ => "ivf",
    };
    format!("{person}-{}-{ssrc}.{extension}", source.as_str())
}
