//! Recording a room and replaying it elsewhere: a fresh room, in this process or another, does the same to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command as Process, Output as ProcessOutput};
use std::time::{Duration, Instant};

use strait::core::command::Source::{Camera, Microphone};
use strait::core::command::{Command, MediaKind};
use strait::core::datagrams::Datagrams;
use strait::core::ids::RoomId;
use strait::core::input::AdminCommand;
use strait::core::record::Record;
use strait::core::recordings::RecordingOutput;
use strait::core::{Input, Output, Sfu};
use strait::sim::codec::CodecName;
use strait::sim::sdp::{self, Numbering, Role, Section};
use strait::trace::reader::records;
use strait::trace::{EndOfTrace, Header, Replayed, Trace, TraceWriter, replay};

use crate::world::{World, audio_frame};
use crate::{call_in, connected, show};

/// Whatever the core has to record so far, as files.
#[derive(Default)]
struct Traces {
    writers: BTreeMap<u64, (RoomId, TraceWriter<Vec<u8>>)>,
    done: BTreeMap<RoomId, Vec<u8>>,
}

impl Traces {
    fn collect(&mut self, sfu: &mut Sfu) {
        while let Some(output) = sfu.poll_recording() {
            match output {
                RecordingOutput::Begin(id, header) => {
                    let room = header.room.clone();
                    let writer = TraceWriter::new(Vec::new(), &Header::new(*header)).expect("memory");
                    self.writers.insert(id.0, (room, writer));
                }
                RecordingOutput::Records(id, records) => {
                    let (_, writer) = self.writers.get_mut(&id.0).expect("it has begun");
                    writer.records(&records).expect("memory");
                }
                RecordingOutput::End(id) => {
                    let (room, writer) = self.writers.remove(&id.0).expect("it has begun");
                    let end = EndOfTrace { complete: true, reason: "the room ended".to_owned() };
                    self.done.insert(room, writer.end(&end).expect("memory"));
                }
            }
        }
    }
}

/// A world whose rooms of these names are recorded.
pub fn recorded(pattern: &str) -> World {
    recorded_in(World::new(), pattern)
}

/// That world, whose rooms of these names are recorded.
pub fn recorded_in(mut world: World, pattern: &str) -> World {
    let pattern = pattern.parse().expect("a pattern");
    world.sfu.handle_input(world.now, Input::Admin(AdminCommand::RecordRooms(pattern)));
    world
}

/// The traces of all rooms that were recorded, after everyone has gone.
pub fn traces(mut world: World) -> BTreeMap<RoomId, Vec<u8>> {
    world.input(crate::world::Recorded::Admin(AdminCommand::Shutdown));
    world.settle();
    let mut traces = Traces::default();
    traces.collect(&mut world.sfu);
    assert!(traces.writers.is_empty(), "a recording ends with its room");
    traces.done
}

/// A call with all that can happen in one.
pub fn eventful(world: &mut World, room: &str) {
    let anna = world.clients.len();
    call_in(world, room, &["Anna", "Ben"], &[Microphone, Camera]);
    let ben = anna + 1;
    show(world, anna, Camera, 3);
    world.loses_down = |sequence| sequence % 11 == 3;
    world.loses_up = |sequence| sequence % 13 == 3;
    show(world, anna, Camera, 20);
    show(world, ben, Microphone, 20);
    let cleo = world.join(room, "Cleo");
    world.publish(cleo, 2, &[Camera]);
    connected(world);
    show(world, cleo, Camera, 10);
    let microphone = world.clients[ben].track(Microphone);
    world.command(ben, Command::Mute { track: microphone, muted: true });
    show(world, ben, Microphone, 5);
    world.break_signalling(anna);
    show(world, cleo, Camera, 5);
    world.resume(anna, None);
    world.restart_ice(cleo);
    world.run(Duration::from_millis(500));
    show(world, cleo, Camera, 5);
    show(world, ben, Camera, 10);
    world.command(ben, Command::Leave);
    world.run(Duration::from_secs(2));
}

pub fn replayed(trace: &[u8], shift: Duration) -> Replayed {
    let mut trace = Trace::open(trace, None).expect("a trace");
    replay(&mut trace, Instant::now() + shift, None, &mut []).expect("it can be replayed")
}

/// Runs the program on a file.
pub fn strait(arguments: &[&str]) -> ProcessOutput {
    Process::new(env!("CARGO_BIN_EXE_strait")).args(arguments).output().expect("it runs")
}

/// A file in the tests' own folder.
pub fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    fs::write(&path, content).expect("written");
    path
}

#[test]
fn a_call_with_all_that_can_happen_replays_bit_for_bit_with_the_clock_shifted() {
    let mut world = recorded("*");
    eventful(&mut world, "standup");
    let traces = traces(world);
    let trace = &traces[&"standup".parse().expect("a name")];
    for shift in [Duration::ZERO, Duration::from_secs(100_000)] {
        fastrand::seed(shift.as_secs() + 7);
        let replayed = replayed(trace, shift);
        assert_eq!(replayed.parted, None);
        assert!(replayed.inputs > 200 && replayed.outputs > 300, "{replayed:?}");
        assert!(replayed.call_time > Duration::from_secs(8), "{replayed:?}");
    }
}

#[test]
fn one_room_of_several_replays_alone_and_rooms_that_nobody_asked_for_are_not_recorded() {
    let mut world = recorded("team-*");
    // The same people at the same time elsewhere, and their packets in between.
    for room in ["lobby", "team-a", "team-b"] {
        call_in(&mut world, room, &["Anna", "Ben"], &[Microphone, Camera]);
    }
    for _ in 0..10 {
        for person in 0..6 {
            world.send(person, Microphone, false);
            world.send(person, Camera, true);
        }
        world.run(Duration::from_millis(20));
    }
    let traces = traces(world);
    let rooms: Vec<&str> = traces.keys().map(RoomId::as_str).collect();
    assert_eq!(rooms, ["team-a", "team-b"]);
    for trace in traces.values() {
        let replayed = replayed(trace, Duration::ZERO);
        assert_eq!(replayed.parted, None);
        assert!(replayed.outputs > 50, "{replayed:?}");
    }
}

#[test]
fn one_room_out_of_a_server_that_holds_fifty_replays_alone() {
    let mut world = recorded("room-17");
    for room in 0..50 {
        call_in(&mut world, &format!("room-{room}"), &["Anna", "Ben"], &[Microphone]);
    }
    world.loses_down = |sequence| sequence % 7 == 3;
    for packet in 0..20 {
        // Rooms take turns, so that their packets come between those of the one that is recorded.
        for person in 0..world.clients.len() {
            if (person + packet) % 4 == 0 || (34..36).contains(&person) {
                world.send(person, Microphone, false);
            }
        }
        world.run(Duration::from_millis(20));
    }
    world.restart_ice(34);
    world.run(Duration::from_millis(500));
    assert_eq!(world.sfu.snapshot(world.now).rooms.len(), 50);
    let traces = traces(world);
    let rooms: Vec<&str> = traces.keys().map(RoomId::as_str).collect();
    assert_eq!(rooms, ["room-17"]);
    for trace in traces.values() {
        let replayed = replayed(trace, Duration::from_secs(1000));
        assert_eq!(replayed.parted, None);
        assert!(replayed.inputs > 60 && replayed.outputs > 60, "{replayed:?}");
    }
}

#[test]
fn people_who_expire_at_one_moment_do_so_in_one_order_however_long_the_process_has_run() {
    let mut world = recorded("*");
    for name in ["Anna", "Ben"] {
        world.join("standup", name);
    }
    let connections = [0, 1].map(|person| world.clients[person].connection);
    // The engine wakes whoever declares a stream, once, some hours after the process began: in the shifted replay.
    let section = |role| Section { kind: MediaKind::Audio, role, codecs: vec![CodecName::Opus] };
    let sections = [section(Role::Slot), section(Role::Publish { declared: Some((1, 2)), rids: Vec::new() })];
    let fingerprint = vec!["AB"; 32].join(":");
    let sdp = sdp::offer(1, Numbering(0), ("ufrag", "0123456789012345678901"), &fingerprint, &sections);
    let command = Command::Offer { sdp, publications: Vec::new() };
    let ben = connections[1];
    world.sfu.handle_input(world.now, Input::Command { connection: ben, request: None, command });
    for connection in connections {
        world.sfu.handle_input(world.now, Input::ConnectionLost(connection));
    }
    // Nobody is there to be told anything.
    loop {
        match world.sfu.poll_output() {
            Output::Timeout(_) => break,
            Output::Media(_) => world.sfu.forward_share(&mut Datagrams::default()),
            _ => {}
        }
    }
    world.now += Duration::from_secs(60);
    world.sfu.handle_input(world.now, Input::Timeout);
    let mut collected = Traces::default();
    collected.collect(&mut world.sfu);
    for trace in collected.done.values() {
        for shift in [Duration::ZERO, Duration::from_secs(100_000)] {
            assert_eq!(replayed(trace, shift).parted, None);
        }
    }
    assert_eq!(collected.done.len(), 1);
}

#[test]
fn another_process_replays_the_same() {
    let mut world = recorded("*");
    eventful(&mut world, "standup");
    let traces = traces(world);
    let path = file("standup.trace", &traces[&"standup".parse().expect("a name")]);
    let output = strait(&["replay", path.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("bit-exact") && said.contains("of call time in"), "{said}");
    assert!(said.contains("the room ended"), "{said}");
    let _ = fs::remove_file(path);
}

/// A trace with its records changed by `change`, which gets them with their numbers.
pub fn changed(trace: &[u8], mut change: impl FnMut(usize, Record<'_>) -> Vec<u8>) -> Vec<u8> {
    let mut trace = Trace::open(trace, None).expect("a trace");
    let mut writer = TraceWriter::new(Vec::new(), trace.header()).expect("memory");
    let mut number = 0;
    while let Some((_, block)) = trace.next_block() {
        let mut content = Vec::new();
        for record in records(&block) {
            content.extend(change(number, record.expect("a record")));
            number += 1;
        }
        writer.records(&content).expect("memory");
    }
    writer.end(&EndOfTrace { complete: true, reason: "the room ended".to_owned() }).expect("memory")
}

fn encoded(record: &Record<'_>) -> Vec<u8> {
    postcard::to_stdvec(record).expect("it can be encoded")
}

pub fn short_call() -> Vec<u8> {
    let mut world = recorded("*");
    call_in(&mut world, "standup", &["Anna", "Ben"], &[Microphone, Camera]);
    for frame in 0..40 {
        world.send(0, Microphone, false);
        world.send(0, Camera, frame % 10 == 0);
        world.run(Duration::from_millis(20));
    }
    traces(world).into_values().next().expect("one trace")
}

#[test]
fn where_the_outputs_part_both_are_shown_in_words() {
    let trace = short_call();
    // As if the recording server had sent another byte in the payload of one video packet.
    let mut videos = 0;
    let other = changed(&trace, |_, mut record| {
        if let Record::Sent(sent) = &mut record
            && sent.class == strait::core::path::TrafficClass::Video
        {
            videos += 1;
            sent.hash ^= u32::from(videos == 17);
        }
        encoded(&record)
    });
    let path = file("parted.trace", &other);
    let output = strait(&["replay", path.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("parts at step") && said.contains("the packets that came are forwarded"), "{said}");
    let line = |what: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(what));
        line.unwrap_or_else(|| panic!("no {what} in {said}")).to_owned()
    };
    let recorded = line("recorded:");
    assert!(recorded.contains("Video to UDP 10.0.0.2:5000: RTP payload type"), "{recorded}");
    assert_eq!(recorded, line("replayed:"), "what is in the clear is the same");
    let _ = fs::remove_file(path);

    // As if somebody had had another name.
    let other = changed(&trace, |_, mut record| {
        if let Record::Step { input: strait::core::record::RecordedInput::Join(_, _, join), .. } = &mut record
        {
            join.to_mut().profile.name = "Eve".to_owned();
        }
        encoded(&record)
    });
    let parted = replayed(&other, Duration::ZERO).parted.expect("they part");
    assert_eq!(parted.input, "Eve joins");
    assert!(parted.recorded.is_some() && parted.replayed.is_some(), "{parted:?}");

    // As if the replay did less, and more, than the recording server.
    let parted = |drops: fn(&Record<'_>) -> bool, after: usize| {
        let mut seen = 0;
        let other = changed(&trace, |_, record| {
            seen += usize::from(drops(&record));
            if seen == after && drops(&record) { Vec::new() } else { encoded(&record) }
        });
        replayed(&other, Duration::ZERO).parted.expect("they part")
    };
    let missing = parted(|record| matches!(record, Record::Digest(_)), 30);
    assert!(missing.recorded.is_none(), "{missing:?}");
    let missing = parted(|record| matches!(record, Record::Sent(_)), 30);
    assert_ne!(missing.recorded, missing.replayed);
}

#[test]
fn a_trace_that_makes_no_sense_is_refused_in_words() {
    let trace = short_call();
    let garbage =
        changed(&trace, |number, record| if number == 50 { vec![0xff; 9] } else { encoded(&record) });
    let mut garbage = Trace::open(garbage.as_slice(), None).expect("a header");
    let error = replay(&mut garbage, Instant::now(), None, &mut []).expect_err("no record");
    assert!(error.to_string().contains("makes no sense"), "{error}");
    // Whatever is in the file, nothing worse comes of it.
    let mut noise: u32 = 1;
    for _ in 0..200 {
        let mut bytes = trace.clone();
        for _ in 0..3 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = noise as usize % bytes.len();
            bytes[place] ^= (noise >> 24) as u8 | 1;
        }
        if let Ok(mut trace) = Trace::open(bytes.as_slice(), None) {
            let _ = replay(&mut trace, Instant::now(), None, &mut []);
        }
    }
}

#[test]
fn a_replay_writes_a_capture_and_tracks_that_can_be_played() {
    let trace = file("media.trace", &short_call());
    let pcap = trace.with_extension("pcap");
    let media = trace.with_extension("media");
    let words: Vec<&str> = [&trace, &pcap, &media].iter().map(|path| path.to_str().expect("UTF-8")).collect();
    let output = strait(&["replay", words[0], "--pcap", words[1], "--media", words[2]]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let packets = captured(&fs::read(&pcap).expect("a capture"));
    let rtp = |ports: (u16, u16), payload_start: &[u8]| {
        let wanted = packets.iter().filter(|(source, destination, payload)| {
            (*source, *destination) == ports && payload.ends_with(payload_start)
        });
        wanted.count()
    };
    // Forty frames of Opus come from Anna's port 5000 and go to Ben's, each once.
    let frames = |ports| (101..=140).map(|number| rtp(ports, &audio_frame(number))).collect::<Vec<_>>();
    assert_eq!(frames((5000, 7443)), [1; 40], "what came in, decrypted");
    assert_eq!(frames((7443, 5000)), [1; 40], "what went out, decrypted");
    assert_eq!(rtp((5000, 7443), &[7; 900]), 40);

    let mut files: Vec<_> =
        fs::read_dir(&media).expect("a folder").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let [camera, microphone] = files.as_slice() else { panic!("{files:?}") };
    assert!(camera.to_string_lossy().contains("Anna-camera-"), "{files:?}");
    let ivf = fs::read(camera).expect("pictures");
    assert_eq!((&ivf[..4], &ivf[8..12]), (b"DKIF".as_slice(), b"VP80".as_slice()));
    assert_eq!(u32::from_le_bytes(ivf[24..28].try_into().expect("four")), 40, "frames");
    assert_eq!(ivf.len(), 32 + 40 * (12 + 901), "each without its descriptor");
    let ogg = fs::read(microphone).expect("sound");
    let pages = ogg.windows(5).filter(|window| window == b"OggS\0").count();
    assert_eq!(pages, 2 + 40, "two headers, and a page for each packet");
    assert!(ogg.windows(8).any(|window| window == b"OpusHead"));
    // 39 steps of 20 ms and the last packet's own, at 48 kHz, in the last page.
    let last = ogg.windows(5).rposition(|window| window == b"OggS\0").expect("a page");
    assert_eq!(u64::from_le_bytes(ogg[last + 6..last + 14].try_into().expect("eight")), 40 * 960);
    let _ = fs::remove_dir_all(&media);
    for path in [trace, pcap] {
        let _ = fs::remove_file(path);
    }
}

#[test]
fn a_replay_stops_where_it_is_told_to_logs_what_was_not_logged_and_writes_of_one_person() {
    let mut world = recorded("*");
    eventful(&mut world, "standup");
    let trace = file("options.trace", &traces(world).into_values().next().expect("one trace"));
    let pcap = trace.with_extension("pcap");
    let [trace, pcap] = [&trace, &pcap].map(|path| path.to_str().expect("UTF-8"));
    let run = |more: &[&str]| {
        let done = strait(&[&["replay", trace], more].concat());
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(done.status.success() && said.contains("bit-exact"), "{said}");
        said
    };
    let inputs = |said: &str| -> u64 {
        let count = said.split("bit-exact: ").nth(1).and_then(|rest| rest.split(' ').next());
        count.and_then(|count| count.parse().ok()).expect("a number")
    };
    let whole = run(&[]);
    assert!(whole.contains("the room ended") && !whole.contains("strait::core"), "{whole}");
    let part = run(&["--until", "2s"]);
    assert!(inputs(&part) > 50 && inputs(&part) < inputs(&whole), "{part}");
    assert!(!part.contains("the room ended"), "{part}");
    let logged = run(&["--log", "debug"]);
    assert!(logged.contains(" INFO strait::core") && logged.contains("left room=standup"), "{logged}");
    run(&["--pcap", pcap, "--participant", "ben"]);
    let packets = captured(&fs::read(pcap).expect("a capture"));
    let is_bens = |(source, destination, _): &(u16, u16, Vec<u8>)| *source == 5000 || *destination == 5000;
    assert!(packets.len() > 50 && packets.iter().all(is_bens));
    for path in [trace, pcap] {
        let _ = fs::remove_file(path);
    }
}

/// A capture's packets: ports, and what UDP carries.
fn captured(pcap: &[u8]) -> Vec<(u16, u16, Vec<u8>)> {
    assert_eq!(pcap[..4], 0xa1b2_3c4d_u32.to_le_bytes());
    assert_eq!(pcap[20..24], 101_u32.to_le_bytes(), "raw IP");
    let mut rest = &pcap[24..];
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().expect("four")) as usize;
        let (packet, behind) = rest[16..].split_at(length);
        rest = behind;
        assert_eq!((packet[0], packet[9]), (0x45, 17), "IPv4 and UDP");
        assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), length);
        let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        packets.push((port(20), port(22), packet[28..].to_vec()));
    }
    packets
}
