//! Recording a room and replaying it elsewhere: a fresh room, in this process or another, does the same to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command as Process, Output as ProcessOutput};
use std::time::{Duration, Instant};

use strait::core::command::Command;
use strait::core::command::Source::{Camera, Microphone};
use strait::core::ids::RoomId;
use strait::core::input::AdminCommand;
use strait::core::recordings::RecordingOutput;
use strait::core::{Input, Sfu};
use strait::trace::{EndOfTrace, Header, Replayed, Trace, TraceWriter, replay};

use crate::world::World;
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
fn recorded(pattern: &str) -> World {
    let mut world = World::new();
    let pattern = pattern.parse().expect("a pattern");
    world.sfu.handle_input(world.now, Input::Admin(AdminCommand::RecordRooms(pattern)));
    world
}

/// The traces of all rooms that were recorded, after everyone has gone.
fn traces(mut world: World) -> BTreeMap<RoomId, Vec<u8>> {
    world.input(crate::world::Recorded::Admin(AdminCommand::Shutdown));
    world.settle();
    let mut traces = Traces::default();
    traces.collect(&mut world.sfu);
    assert!(traces.writers.is_empty(), "a recording ends with its room");
    traces.done
}

/// A call with all that can happen in one.
fn eventful(world: &mut World, room: &str) {
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

fn replayed(trace: &[u8], shift: Duration) -> Replayed {
    let mut trace = Trace::open(trace, None).expect("a trace");
    replay(&mut trace, Instant::now() + shift, None, &mut []).expect("it can be replayed")
}

/// Runs the program on a file.
fn strait(arguments: &[&str]) -> ProcessOutput {
    Process::new(env!("CARGO_BIN_EXE_strait")).args(arguments).output().expect("it runs")
}

/// A file in the tests' own folder.
fn file(name: &str, content: &[u8]) -> PathBuf {
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
