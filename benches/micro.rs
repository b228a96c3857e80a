//! The stages of a packet's way, one by one: finding whose it is, rewriting, sealing, forwarding from one to many,
//! handing a batch to the kernel. `cargo bench --bench micro`, with a part of a name to run some.

mod rig;

use std::hint::black_box;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use rig::Crowd;
use strait::core::command::MediaKind;
use strait::core::demux::Demux;
use strait::core::forward::descriptor::FrameCounters;
use strait::core::forward::munger::{Munger, SourcePacket, Stretch};
use strait::core::ids::{EncodingIndex, PublicationKey, RoomKey, TrackId, TransportKey};
use strait::core::input::SrtpProfile;
use strait::core::media::srtp::{RTP_OVERHEAD_MAX, contexts};
use strait::core::path::{Carrier, Path, TrafficClass};
use strait::net::udp::batch::SendBatch;
use strait::net::udp::{Udp, UdpOptions};
use strait::wire::classify::classify;
use strait::wire::rtp::{RtpFields, write_header};
use strait::wire::rtp_extensions::ExtensionBlock;

const AUDIO_BYTES: usize = 80;
const VIDEO_BYTES: usize = 1100;

fn path(number: u32) -> Path {
    let remote = SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 5000));
    Path { carrier: Carrier::Udp, local: SocketAddr::from(([10, 0, 0, 1], 7443)), remote }
}

/// One look-up among so many participants.
fn demux(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("demux");
    for participants in [10, 2000] {
        let mut demux = Demux::default();
        for number in 0..participants {
            demux.bind_path(path(number), (RoomKey(number as usize / 5), TransportKey(number as usize)));
        }
        let packet = [0x80u8; 100];
        let mut number = 0;
        group.bench_function(BenchmarkId::from_parameter(participants), |bencher| {
            bencher.iter(|| {
                number = (number + 7) % participants;
                (classify(black_box(&packet)), demux.by_path(path(number)))
            });
        });
    }
    group.finish();
}

/// A slot's sequence number, timestamp and picture id for one packet, and its header.
fn rewrite(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut munger = Munger::new(now, 90_000, true, 1, 1);
    let stretch = Stretch {
        track: TrackId(1),
        publication: PublicationKey(0),
        encoding: EncodingIndex(0),
        generation: 0,
    };
    let mut index = 0;
    let mut buffer = [0; 200];
    criterion.bench_function("rewrite", |bencher| {
        bencher.iter(|| {
            index += 1;
            let counters = FrameCounters { picture_id: Some(index as u16), ..FrameCounters::default() };
            let source = SourcePacket { index, timestamp: 0, starts_keyframe: index == 1, counters };
            let rewrite = munger.rewrite(now, stretch, None, black_box(&source))?;
            let fields = RtpFields {
                marker: false,
                payload_type: 96,
                sequence: rewrite.index as u16,
                timestamp: rewrite.timestamp,
                ssrc: 7,
                has_padding: false,
            };
            write_header(&mut buffer, &fields, &ExtensionBlock::new())
        });
    });
}

/// SRTP of one packet.
fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for (name, profile, material) in [
        ("AES-256-GCM", SrtpProfile::AeadAes256Gcm, 88),
        ("AES-128-GCM", SrtpProfile::AeadAes128Gcm, 56),
        ("AES-CM-HMAC", SrtpProfile::Aes128CmSha1_80, 60),
    ] {
        let material: Vec<u8> = (0..material).collect();
        let (_, sender) = contexts(profile, &material, true).expect("the length is right");
        for payload in [AUDIO_BYTES, VIDEO_BYTES] {
            let mut buffer = vec![0; 12 + payload + RTP_OVERHEAD_MAX];
            let mut index = 0u64;
            group.bench_function(BenchmarkId::new(name, payload), |bencher| {
                bencher.iter(|| {
                    index += 1;
                    buffer[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                    sender.seal_rtp(&mut buffer, 12, 12 + payload, index)
                });
            });
        }
    }
    group.finish();
}

/// From a datagram of the publisher's to the viewers' datagrams in the core's outbox. Throughput counts the latter.
fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward");
    for (name, kind, payload) in
        [("audio", MediaKind::Audio, AUDIO_BYTES), ("video", MediaKind::Video, VIDEO_BYTES)]
    {
        for viewers in [1, 10, 50, 400] {
            let mut crowd = Crowd::audience(viewers, kind);
            for _ in 0..100 {
                crowd.send(0, 0, payload);
                crowd.drain();
            }
            group.throughput(Throughput::Elements(viewers as u64));
            group.bench_function(BenchmarkId::new(name, viewers), |bencher| {
                bencher.iter(|| {
                    crowd.now += Duration::from_millis(4);
                    crowd.send(0, 0, payload);
                    crowd.drain()
                });
            });
        }
    }
    group.finish();
}

/// What the shell does with a turn's packets: gathering them by peer, and the system calls.
fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    let packet = [7u8; VIDEO_BYTES];
    for each in [1, 10] {
        let peers = 50;
        group.throughput(Throughput::Elements(peers * each));
        let mut batch = SendBatch::default();
        group.bench_function(BenchmarkId::new("gather", each), |bencher| {
            bencher.iter(|| {
                for _ in 0..each {
                    (0..peers).for_each(|peer| batch.push(path(peer as u32), TrafficClass::Video, &packet));
                }
                batch.drain(64, |run| {
                    black_box(run);
                });
            });
        });
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let remote = receiver.local_addr().expect("an address");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("a socket's mode can be set");
        let local = socket.local_addr().expect("an address");
        let socket = mio::net::UdpSocket::from_std(socket);
        let options = UdpOptions { dscp: true, ..UdpOptions::default() };
        let mut udp = Udp::new(socket, local, options, local.ip()).expect("a socket for batches");
        let to = Path { carrier: Carrier::Udp, local, remote };
        // Nobody reads: beyond its buffer the kernel drops at the receiver, which costs the sender no more.
        group.bench_function(BenchmarkId::new("send", each), |bencher| {
            bencher.iter(|| {
                for _ in 0..peers {
                    (0..each).for_each(|_| udp.push(to, TrafficClass::Video, &packet));
                    udp.flush();
                }
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    demux(&mut criterion);
    rewrite(&mut criterion);
    seal(&mut criterion);
    forward(&mut criterion);
    batch(&mut criterion);
    criterion.final_summary();
}
