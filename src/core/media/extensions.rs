//! Header extensions that are forwarded: they are read with the publisher's ids and written with the subscriber's.

use crate::core::negotiated::{Extension, ExtensionIds};
use crate::wire::dependency_descriptor::{self, ActivePlace};
use crate::wire::rtp::RtpHeader;
use crate::wire::rtp_extensions::ExtensionBlock;

/// How many bytes are kept of a packet's extensions. A dependency descriptor with the structure of nine layers is about 90 bytes.
const BYTES_MAX: usize = 124;
/// By how much a descriptor grows that gets a mask: 32 bits, and five flags if it had none.
const ACTIVE_BYTES_MAX: usize = 5;

/// An extension that is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Passed {
    AudioLevel,
    VideoOrientation,
    PlayoutDelay,
    ContentType,
    ColorSpace,
    DependencyDescriptor,
}

const ALL: [Passed; 6] = [
    Passed::AudioLevel,
    Passed::VideoOrientation,
    Passed::PlayoutDelay,
    Passed::ContentType,
    Passed::ColorSpace,
    Passed::DependencyDescriptor,
];

impl Passed {
    fn of(extension: Extension) -> Option<Self> {
        match extension {
            Extension::AudioLevel => Some(Passed::AudioLevel),
            Extension::VideoOrientation => Some(Passed::VideoOrientation),
            Extension::PlayoutDelay => Some(Passed::PlayoutDelay),
            Extension::ContentType => Some(Passed::ContentType),
            Extension::ColorSpace => Some(Passed::ColorSpace),
            Extension::DependencyDescriptor => Some(Passed::DependencyDescriptor),
            Extension::Mid | Extension::Rid | Extension::RepairedRid | Extension::TransportCc => None,
        }
    }

    fn id(self, ids: &ExtensionIds) -> Option<u8> {
        match self {
            Passed::AudioLevel => ids.audio_level,
            Passed::VideoOrientation => ids.video_orientation,
            Passed::PlayoutDelay => ids.playout_delay,
            Passed::ContentType => ids.content_type,
            Passed::ColorSpace => ids.color_space,
            Passed::DependencyDescriptor => ids.dependency_descriptor,
        }
    }
}

/// The header extensions of one incoming packet that we know, read once.
#[derive(Debug)]
pub struct IncomingExtensions<'a> {
    /// RFC 9143 §15.
    pub mid: Option<&'a [u8]>,
    /// RFC 8852.
    pub rid: Option<&'a [u8]>,
    /// RFC 8852.
    pub repaired_rid: Option<&'a [u8]>,
    /// Transport-wide sequence number.
    pub transport_cc: Option<u16>,
    /// The extensions that are forwarded.
    pub passed: PassedExtensions,
}

impl<'a> IncomingExtensions<'a> {
    /// Reads a packet's extensions. `meaning` returns the extension that an id stands for.
    pub fn read(header: &RtpHeader, packet: &'a [u8], meaning: impl Fn(u8) -> Option<Extension>) -> Self {
        let passed = PassedExtensions::default();
        let mut read = Self { mid: None, rid: None, repaired_rid: None, transport_cc: None, passed };
        for (id, data) in header.extensions(packet) {
            match meaning(id) {
                Some(Extension::Mid) => read.mid = Some(data),
                Some(Extension::Rid) => read.rid = Some(data),
                Some(Extension::RepairedRid) => read.repaired_rid = Some(data),
                Some(Extension::TransportCc) => {
                    read.transport_cc = <[u8; 2]>::try_from(data).ok().map(u16::from_be_bytes);
                }
                Some(other) => {
                    if let Some(which) = Passed::of(other) {
                        read.passed.push(which, data);
                    }
                }
                None => {}
            }
        }
        read
    }
}

/// The forwarded extensions of one packet: (which, length, bytes), one after the other.
#[derive(Clone, Copy, Debug)]
pub struct PassedExtensions {
    used: u8,
    bytes: [u8; BYTES_MAX],
}

impl Default for PassedExtensions {
    fn default() -> Self {
        Self { used: 0, bytes: [0; BYTES_MAX] }
    }
}

impl PassedExtensions {
    fn push(&mut self, which: Passed, data: &[u8]) {
        let start = usize::from(self.used);
        let Some(room) = self.bytes.get_mut(start..start + 2 + data.len()) else { return };
        room[0] = which as u8;
        // The length fits into a byte, because the whole array is shorter than 256 bytes.
        room[1] = data.len() as u8;
        room[2..].copy_from_slice(data);
        self.used += 2 + data.len() as u8;
    }

    /// How loud the audio in the packet is, in -dBov (RFC 6464 §3): 0 is loudest, 127 is silence.
    pub fn audio_level(&self) -> Option<u8> {
        let kept = KeptExtensions(self.as_bytes());
        let level = kept.iter().find(|(which, _)| *which == Passed::AudioLevel)?.1.first()?;
        // The upper bit says whether the sender takes it for a voice, which not all senders tell.
        Some(level & 0x7f)
    }

    /// Returns the bytes to keep, which [`KeptExtensions`] reads.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.used)).unwrap_or_default()
    }
}

/// What is changed in a dependency descriptor on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct DescriptorChange {
    /// The frame's number; `None` leaves the descriptor as it came.
    pub frame_number: Option<u16>,
    /// The decode targets of which all frames are forwarded, and where that is written.
    pub active: Option<(ActivePlace, u32)>,
}

/// The forwarded extensions of a packet that was kept, from [`PassedExtensions::as_bytes`].
#[derive(Clone, Copy, Debug)]
pub struct KeptExtensions<'a>(pub &'a [u8]);

impl<'a> KeptExtensions<'a> {
    fn iter(self) -> impl Iterator<Item = (Passed, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&[which, length], tail) = rest.split_first_chunk::<2>()?;
            let (data, tail) = tail.split_at_checked(usize::from(length))?;
            rest = tail;
            Some((*ALL.get(usize::from(which))?, data))
        })
    }

    /// Returns the dependency descriptor, if the packet has one.
    pub fn dependency_descriptor(self) -> Option<&'a [u8]> {
        self.iter().find(|(which, _)| *which == Passed::DependencyDescriptor).map(|(_, data)| data)
    }

    /// Writes those extensions that the subscriber has negotiated. `dependencies` is what is changed in a dependency
    /// descriptor.
    pub fn write(self, ids: &ExtensionIds, dependencies: DescriptorChange, block: &mut ExtensionBlock) {
        for (which, data) in self.iter() {
            let Some(id) = which.id(ids) else { continue };
            let frame_number = dependencies.frame_number.filter(|_| which == Passed::DependencyDescriptor);
            let Some(frame_number) = frame_number else {
                block.push(id, data);
                continue;
            };
            let mut copy = [0; BYTES_MAX + ACTIVE_BYTES_MAX];
            let with_mask = dependencies
                .active
                .and_then(|(place, mask)| dependency_descriptor::write_active(data, place, mask, &mut copy));
            let length = with_mask.unwrap_or(data.len());
            let Some(copy) = copy.get_mut(..length) else { continue };
            if with_mask.is_none() {
                copy.copy_from_slice(data);
            }
            dependency_descriptor::patch_frame_number(copy, frame_number);
            block.push(id, copy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with these contributing sources, and with this header extension: its form, and its elements.
    fn packet(sources: u8, form: u16, elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x90 | sources, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend(vec![7; 4 * usize::from(sources)]);
        bytes.extend(form.to_be_bytes());
        bytes.extend((elements.len().div_ceil(4) as u16).to_be_bytes());
        bytes.extend(elements);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend([0x10, 1, 2]);
        bytes
    }

    #[test]
    fn what_passes_is_found_in_either_form_in_any_order_and_behind_any_sources_and_gets_the_subscribers_id() {
        let extension = |id: u8| match id {
            4 => Some(Extension::Mid),
            5 | 20 => Some(Extension::VideoOrientation),
            _ => None,
        };
        let ids = ExtensionIds { video_orientation: Some(3), ..ExtensionIds::default() };
        for (sources, form, elements) in [
            (0, 0xbede, &[0x50, 1, 0x40, b'0', 0xe2, 9, 9, 9][..]),
            (0, 0xbede, &[0xe2, 9, 9, 9, 0, 0x40, b'0', 0x50, 1]),
            (0, 0x1000, &[4, 1, b'0', 5, 1, 1, 14, 4, 9, 9, 9, 9]),
            (0, 0x1000, &[20, 1, 1, 4, 1, b'0']),
            (3, 0xbede, &[0x40, b'0', 0x50, 1]),
            (15, 0x1000, &[14, 0, 5, 1, 1, 4, 1, b'0']),
        ] {
            let bytes = packet(sources, form, elements);
            let header = RtpHeader::parse(&bytes).expect("a packet");
            let read = IncomingExtensions::read(&header, &bytes, extension);
            assert_eq!(read.mid, Some(&b"0"[..]), "{elements:02x?}");
            let mut block = ExtensionBlock::new();
            KeptExtensions(read.passed.as_bytes()).write(&ids, DescriptorChange::default(), &mut block);
            let mut expected = ExtensionBlock::new();
            expected.push(3, &[1]);
            assert_eq!(format!("{block:?}"), format!("{expected:?}"), "{elements:02x?}");
            assert_eq!(header.payload(&bytes).expect("a payload"), [0x10, 1, 2]);
        }
    }
}
