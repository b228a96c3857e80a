//! Video: puts frames together from packets, and writes them as IVF or Annex B.

use std::io::{self, Seek, SeekFrom, Write};

use super::Packet;
use super::depacketize::{Depacketizer, Malformed};
use crate::core::negotiated::Codec;

/// The position of the number of frames in an IVF file.
const IVF_FRAMES_OFFSET: u64 = 24;
const CLOCK: u32 = 90_000;

/// Writes frames of one stream.
#[derive(Debug)]
pub struct VideoWriter<W> {
    out: W,
    is_ivf: bool,
    depacketizer: Depacketizer,
    frame: Vec<u8>,
    /// The timestamp of the current frame.
    timestamp: Option<u32>,
    /// Whether a packet of the current frame is missing.
    broken: bool,
    next: Option<u64>,
    first: Option<u32>,
    frames: u32,
}

impl<W: Write + Seek> VideoWriter<W> {
    /// Begins a file in the form that the codec's players know.
    pub fn new(mut out: W, codec: Codec) -> io::Result<Self> {
        let four = match codec {
            Codec::Vp9 { .. } => b"VP90",
            Codec::Av1 { .. } => b"AV01",
            _ => b"VP80",
        };
        let is_ivf = !matches!(codec, Codec::H264 { .. });
        if is_ivf {
            let mut header = b"DKIF\0\0\x20\0".to_vec();
            header.extend_from_slice(four);
            // Players take the size from the pictures.
            header.extend_from_slice(&[0; 4]);
            header.extend_from_slice(&CLOCK.to_le_bytes());
            header.extend_from_slice(&1_u32.to_le_bytes());
            header.extend_from_slice(&[0; 8]);
            out.write_all(&header)?;
        }
        Ok(Self {
            out,
            is_ivf,
            depacketizer: Depacketizer::new(codec),
            frame: Vec::new(),
            timestamp: None,
            broken: false,
            next: None,
            first: None,
            frames: 0,
        })
    }

    /// Takes the next packet in order. A frame of which a packet is missing is left out of the file.
    pub fn packet(&mut self, packet: &Packet) -> io::Result<()> {
        let gap = self.next.is_some_and(|next| next != packet.index);
        if self.timestamp != Some(packet.timestamp) {
            // Without its last packet, which has the marker, a frame may not be whole.
            self.broken |= gap;
            self.end_frame()?;
            self.timestamp = Some(packet.timestamp);
        }
        // The lost packet may have been this frame's first.
        self.broken |= gap;
        self.next = Some(packet.index + 1);
        if let Err(Malformed) = self.depacketizer.push(&packet.payload, &mut self.frame) {
            self.broken = true;
        }
        if packet.marker { self.end_frame() } else { Ok(()) }
    }

    /// Ends the file with the frame that is still open.
    pub fn finish(mut self) -> io::Result<()> {
        self.end_frame()?;
        // The number of frames is only known now.
        if self.is_ivf {
            self.out.seek(SeekFrom::Start(IVF_FRAMES_OFFSET))?;
            self.out.write_all(&self.frames.to_le_bytes())?;
        }
        self.out.flush()
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.depacketizer.end_frame(&mut self.frame);
        let is_whole = !std::mem::take(&mut self.broken) && !self.frame.is_empty();
        if let Some(timestamp) = self.timestamp.take()
            && is_whole
        {
            if self.is_ivf {
                let first = *self.first.get_or_insert(timestamp);
                let length = u32::try_from(self.frame.len()).map_err(io::Error::other)?;
                self.out.write_all(&length.to_le_bytes())?;
                self.out.write_all(&u64::from(timestamp.wrapping_sub(first)).to_le_bytes())?;
            }
            self.out.write_all(&self.frame)?;
            self.frames += 1;
        }
        self.frame.clear();
        Ok(())
    }
}
