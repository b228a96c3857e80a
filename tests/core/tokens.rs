//! A call of a day by tokens of five minutes: who is in it stays, whatever becomes of their connection and of the server.

use std::time::Duration;

use strait::access::{AuthMode, Gate, Key, Pass};
use strait::core::event::Event;
use strait::core::grants::{Grants, Sources};

use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
/// When the call begins, in seconds since 1970.
const BEGINS: u64 = 1_800_000_000;

/// Somebody in the call, with the newest token that they were sent.
struct Caller {
    client: usize,
    token: String,
    /// What the shell keeps of their token while their connection lasts.
    pass: Option<Pass>,
}

impl Caller {
    /// They come in by their token.
    fn joins(world: &mut World, gate: &Gate, token: String, unix: u64) -> Self {
        let pass = gate.read(&token, unix).expect("the token that they have is good");
        let (room, grants) = gate.enter(Some(&pass), None).expect("it opens the room");
        world.grants = grants;
        world.profile = pass.profile("Nobody");
        let name = world.profile.name.clone();
        let client = world.join(room.expect("it names one").as_str(), &name);
        assert!(world.clients[client].joined.is_some(), "{:?}", world.clients[client].refusals());
        Self { client, token, pass: Some(pass) }
    }

    /// As the shell does it with each ping.
    fn is_renewed(&mut self, gate: &Gate, unix: u64) -> bool {
        let Some(renewed) = self.pass.as_ref().and_then(|pass| pass.renewed(unix)) else { return false };
        self.token = gate.sign(&renewed).expect("there is a key");
        self.pass = Some(renewed);
        true
    }
}

#[test]
fn a_day_passes_by_tokens_of_five_minutes() {
    let key = Key { id: "team".into(), secret: "a secret that only the back end has".into() };
    let gate = Gate { mode: AuthMode::Token, keys: vec![key], auto_create: true };
    let first = Pass {
        room: "standup".parse().ok(),
        identity: "anna".into(),
        name: Some("Anna".into()),
        metadata: "{}".into(),
        attributes: [("seat".to_owned(), "3".to_owned())].into(),
        grants: Grants { publish: Sources::ALL, create: false, moderate: true, ..Grants::OPEN },
        not_before: 0,
        expires: BEGINS + 300,
    };
    let mut world = World::new();
    let mut anna = Caller::joins(&mut world, &gate, gate.sign(&first).expect("there is a key"), BEGINS);
    let (mut renewals, mut resumes, mut restarts) = (0, 0, 0);
    for minute in 1..=24 * 60 {
        let unix = BEGINS + minute * 60;
        world.run(MINUTE);
        renewals += u32::from(anna.is_renewed(&gate, unix));
        gate.read(&anna.token, unix).expect("the token that she has is good at any time");
        if minute % 37 == 0 {
            world.break_signalling(anna.client);
            world.resume(anna.client, None);
            let events = world.clients[anna.client].events.iter().rev();
            let mut resumed = events.filter_map(|event| match event {
                Event::Resumed(_, resumed) => Some(resumed.joined.clone()),
                _ => None,
            });
            // Nothing is left of her old connection but what the core knows.
            anna.pass = Pass::of_resumed(&resumed.next().expect("she is back"));
            assert!(anna.is_renewed(&gate, unix), "she is sent a new token at once");
            resumes += 1;
        }
        if minute % 300 == 0 {
            world = World::new();
            anna = Caller::joins(&mut world, &gate, anna.token, unix);
            restarts += 1;
        }
    }
    assert!(renewals > 24 * 60 / 10 && resumes == 38 && restarts == 4, "{renewals} {resumes} {restarts}");
    let last = gate.read(&anna.token, BEGINS + 24 * 3600).expect("still good");
    assert_eq!(Pass { expires: 0, ..last }, Pass { expires: 0, ..first }, "it says what the first one said");
    let people = &world.sfu.snapshot(world.now).rooms[0].participants;
    assert_eq!((people.len(), people[0].profile.identity.as_deref()), (1, Some("anna")));
}
