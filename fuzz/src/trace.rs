//! Trace files, which may come from anybody.

use std::time::{Duration, Instant};

use strait::core::event::SlotCounts;
use strait::core::record::RoomHeader;
use strait::core::settings::{BandwidthSettings, Sharing};
use strait::core::topology::MeshSettings;
use strait::trace::format::BlockKind;
use strait::trace::pcap::PcapWriter;
use strait::trace::reader::records;
use strait::trace::wiretap::{PlainObserver, Wiretap};
use strait::trace::{EndOfTrace, Header, Observer, Trace, TraceWriter, replay};

/// `trace`: whatever a file holds, it is replayed up to where it makes no sense; a damaged block is noticed. The first
/// byte says whether the rest is a file, or records that are put into one.
pub fn trace(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 3 {
        0 => replay_all(rest),
        1 => replay_all(&file(rest)),
        _ => damaged(rest),
    }
}

/// A good file with these records.
pub fn file(content: &[u8]) -> Vec<u8> {
    let both = |count| SlotCounts { audio: count, video: count };
    let room = RoomHeader {
        room: "fuzz".parse().expect("a good name"),
        tag: "aaaa".into(),
        created: Duration::ZERO,
        epoch_unix: Duration::from_secs(1_800_000_000),
        participants_per_room_max: 4,
        tracks_per_participant_max: 4,
        slots: both(1),
        slots_max: both(2),
        redundancy: true,
        data_channels: true,
        sharing: Sharing::default(),
        bandwidth: BandwidthSettings::default(),
        video_start_kbps: None,
        mesh: MeshSettings::default(),
        empty_timeout: Duration::ZERO,
        resume_timeout: Duration::from_secs(6),
        media_timeout: Duration::from_secs(8),
        packets_at_once: 128,
        certificate: vec![0x30; 64],
    };
    let mut writer = TraceWriter::new(Vec::new(), &Header::new(room)).expect("memory");
    writer.records(content).expect("memory");
    writer.end(&EndOfTrace { complete: true, reason: "over".into() }).expect("memory")
}

fn replay_all(file: &[u8]) {
    let Ok(mut trace) = Trace::open(file, None) else { return };
    let mut pcap = PcapWriter::new(Vec::new(), trace.header().created_unix()).expect("memory");
    let plain: Vec<&mut dyn PlainObserver> = vec![&mut pcap];
    let mut wiretap = Wiretap::new(None, plain);
    let mut observers: Vec<&mut dyn Observer> = vec![&mut wiretap];
    if let Ok(replayed) = replay(&mut trace, Instant::now(), None, &mut observers) {
        assert!(replayed.parted.is_some() || replayed.ending.is_some());
    }
    pcap.finish().expect("memory");
}

/// A file with one byte changed: nothing that it did not hold is read out of it.
fn damaged(data: &[u8]) {
    let Some((&[a, b, xor], content)) = data.split_first_chunk::<3>() else { return };
    let good = file(content);
    let mut bad = good.clone();
    let at = usize::from(u16::from_be_bytes([a, b])) % bad.len();
    bad[at] ^= xor;
    let Ok(mut trace) = Trace::open(bad.as_slice(), None) else { return };
    while let Some((kind, block)) = trace.next_block() {
        assert_eq!((kind, block.as_slice()), (BlockKind::Records, content), "a damaged block went unnoticed");
        assert!(records(&block).take(content.len() + 2).count() <= content.len() + 1);
    }
    assert!(trace.ending().is_some());
}
