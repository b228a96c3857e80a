//! Strip: makes a trace without media and keys, which can be shared, and finds the facts of any trace.
//!
//! Stripping replays the trace and writes the room's decisions beside the headers, because a stripped trace cannot be
//! replayed to find them out again.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::facts::{FACTS_VERSION, Fact, FactSink, Line};
use super::format::{BlockKind, EndOfTrace, Header, TIME_MAX, TraceWriter};
use super::reader::{BadTrace, Ending, Trace};
use super::replay::{Parted, replay};
use super::wiretap::Wiretap;
use super::witness::Witness;

/// A block of facts ends with the fact that makes it reach this size.
const BLOCK_BYTES: usize = 64 * 1024;

/// How much of a call the facts cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// From the room's beginning to the last fact or step.
    pub call_time: Duration,
    /// How the trace ends, if it was read to its end.
    pub ending: Option<Ending>,
    /// Where the replay did something else than was recorded; facts end there.
    pub parted: Option<Parted>,
}

/// Gives a sink the facts of a trace: those of a stripped trace, or else those of a replay. `epoch` may be any point of
/// the clock.
pub fn tell_facts(trace: &mut Trace<'_>, epoch: Instant, sink: &mut dyn FactSink) -> Result<Told, BadTrace> {
    if !trace.header().is_stripped() {
        let mut witness = Witness::new(sink);
        let mut wiretap = Wiretap::new(None, vec![&mut witness]);
        let replayed = replay(trace, epoch, None, &mut [&mut wiretap])?;
        return Ok(Told { call_time: replayed.call_time, ending: replayed.ending, parted: replayed.parted });
    }
    let mut at = Duration::ZERO;
    let mut told = 0;
    while let Some((kind, block)) = trace.next_block() {
        if kind != BlockKind::Facts {
            continue;
        }
        let mut rest = block.as_slice();
        while !rest.is_empty() {
            let (line, behind) =
                postcard::take_from_bytes::<Line>(rest).map_err(|_| BadTrace::BadRecord { step: told })?;
            rest = behind;
            at = at
                .checked_add(Duration::from_nanos(line.after))
                .filter(|at| *at < TIME_MAX)
                .ok_or(BadTrace::BadRecord { step: told })?;
            told += 1;
            sink.fact(at, &line.fact);
        }
    }
    Ok(Told { call_time: at, ending: trace.ending().cloned(), parted: None })
}

/// The result of stripping.
#[derive(Debug)]
pub struct Stripped {
    /// How much of the call the facts cover.
    pub told: Told,
    /// How many there are.
    pub facts: u64,
    /// Bytes of the new file.
    pub written: u64,
}

/// Why a trace was not stripped.
#[derive(Debug)]
pub enum StripError {
    /// The trace cannot be used.
    Trace(BadTrace),
    /// The new file cannot be written.
    Write(io::Error),
}

/// Writes a trace that can be shared. With `is_anonymous`, names and addresses are replaced, too.
pub fn strip(
    trace: &mut Trace<'_>,
    epoch: Instant,
    out: impl Write,
    is_anonymous: bool,
) -> Result<Stripped, StripError> {
    let header = stripped_header(trace.header(), is_anonymous);
    let writer = TraceWriter::new(out, &header).map_err(StripError::Write)?;
    let mut writer = FactWriter {
        writer,
        buffer: Vec::new(),
        last: Duration::ZERO,
        facts: 0,
        failed: None,
        masks: is_anonymous.then(Masks::default),
    };
    let told = tell_facts(trace, epoch, &mut writer).map_err(StripError::Trace)?;
    writer.block();
    let FactWriter { writer, facts, failed, .. } = writer;
    if let Some(error) = failed {
        return Err(StripError::Write(error));
    }
    let end = match (&told.parted, &told.ending) {
        (Some(parted), _) => EndOfTrace {
            complete: false,
            reason: format!("the replay parted from what was recorded at step {}", parted.step),
        },
        (None, Some(Ending::Said(end))) => end.clone(),
        (None, Some(ending)) => EndOfTrace { complete: false, reason: ending.to_string() },
        (None, None) => EndOfTrace { complete: false, reason: "it was not read to its end".to_owned() },
    };
    let written = writer.written();
    writer.end(&end).map_err(StripError::Write)?;
    Ok(Stripped { told, facts, written })
}

/// Returns the header of the stripped trace, without anything that would let a datagram in or identify the server.
fn stripped_header(header: &Header, is_anonymous: bool) -> Header {
    let mut header = header.clone();
    header.facts_version = Some(FACTS_VERSION);
    header.room.certificate.clear();
    header.room.tag.clear();
    if is_anonymous && let Ok(room) = "room".parse() {
        header.room.room = room;
    }
    header
}

/// Made-up names and addresses, the same for the same person or address.
#[derive(Debug, Default)]
struct Masks {
    people: u32,
    addresses: BTreeMap<IpAddr, u32>,
}

impl Masks {
    fn mask(&mut self, fact: &mut Fact) {
        match fact {
            Fact::Joined { name, .. } => {
                self.people += 1;
                *name = format!("Person {}", self.people);
            }
            // Addresses of TURN are made up already.
            Fact::Routed(_, Some(route)) if !route.carrier.is_relayed() => {
                let next = self.addresses.len() as u32 + 1;
                let number = *self.addresses.entry(route.remote.ip()).or_insert(next);
                route.remote.set_ip(Ipv4Addr::from(0x0a00_0000 | number & 0x00ff_ffff).into());
            }
            _ => {}
        }
    }
}

struct FactWriter<W> {
    writer: TraceWriter<W>,
    buffer: Vec<u8>,
    last: Duration,
    facts: u64,
    /// The first error, after which nothing is written.
    failed: Option<io::Error>,
    masks: Option<Masks>,
}

impl<W: Write> FactWriter<W> {
    fn block(&mut self) {
        if !self.buffer.is_empty() && self.failed.is_none() {
            self.failed = self.writer.block(BlockKind::Facts, &self.buffer).err();
        }
        self.buffer.clear();
    }
}

impl<W: Write> FactSink for FactWriter<W> {
    fn fact(&mut self, at: Duration, fact: &Fact) {
        let after = at.saturating_sub(self.last).as_nanos();
        self.last = at;
        let mut fact = fact.clone();
        if let Some(masks) = &mut self.masks {
            masks.mask(&mut fact);
        }
        // 64 bits of nanoseconds are 584 years.
        let line = Line { after: u64::try_from(after).unwrap_or(u64::MAX), fact };
        match postcard::to_extend(&line, std::mem::take(&mut self.buffer)) {
            Ok(buffer) => self.buffer = buffer,
            Err(error) => {
                self.failed.get_or_insert(io::Error::other(error));
            }
        }
        self.facts += 1;
        if self.buffer.len() >= BLOCK_BYTES {
            self.block();
        }
    }
}
