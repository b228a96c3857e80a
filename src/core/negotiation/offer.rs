//! An offer as a whole: its sections, the BUNDLE group that gives them one transport (RFC 9143), and the client's side
//! of that transport.

use super::codecs::Role;
use super::limits;
use super::lines::{Line, read_lines};
use super::refusal::{Refused, quoted};
use super::section::{Direction, OfferedExtension, Section, SessionLines};
use super::transport::{Transport, TransportLines};
use crate::core::codec_set::CodecSet;
use crate::core::ids::Mid;
use crate::core::slot_counts::SlotCounts;
use crate::core::source::MediaKind;

/// How many sections a refusal explains.
const EXPLAINED_MAX: usize = 4;

/// An offer, read once. It borrows from the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer<'a> {
    /// All its sections in order, including rejected ones.
    pub sections: Vec<Section<'a>>,
    /// The indices of the sections that can be served and share the transport, in the order of the BUNDLE group. The
    /// first one describes the transport. Without a group, it is the only one that can be served. Never empty.
    pub bundle: Vec<usize>,
    /// Whether the offer has a BUNDLE group; else `bundle` has one section.
    pub has_bundle: bool,
    /// Whether it says that its msids name streams (`a=msid-semantic`), so that the answer may say the same.
    pub has_msid_semantic: bool,
    /// Whether both forms of header extensions may come in one stream, in all sections (RFC 8285 §6).
    pub allows_mixed: bool,
    /// The client's side of the transport.
    pub transport: Transport,
}

impl<'a> Offer<'a> {
    /// Reads an offer, data channels with it. Refuses it if nothing in it can be served, or if the parts to be served
    /// contradict each other.
    pub fn read(text: &'a str) -> Result<Self, Refused> {
        Self::read_for(text, CodecSet::ALL, true)
    }

    /// Reads an offer to a room that takes these codecs, and data channels or none; others are not served.
    pub fn read_for(text: &'a str, codecs: CodecSet, serves_data: bool) -> Result<Self, Refused> {
        limits::check(text)?;
        let lines = read_lines(text)?;
        match lines.first() {
            None => return Err(Refused::malformed("the SDP is empty")),
            Some(Line { kind: b'v', value: "0", .. }) => {}
            Some(line) => {
                return Err(Refused::malformed(format!("line {} is not v=0: this is no SDP", line.number)));
            }
        }
        let first = lines.iter().position(|line| line.kind == b'm').unwrap_or(lines.len());
        let (head, media) = lines.split_at(first);
        let mut session = Session::read(head)?;
        session.lines.codecs = codecs;
        let mut sections: Vec<Section<'a>> = Vec::new();
        for (index, lines) in split_sections(media).enumerate() {
            sections.push(Section::read(index, lines, &session.lines)?);
        }
        refuse_data(&mut sections, serves_data);
        if sections.is_empty() {
            return Err(Refused::malformed("the SDP has no media section"));
        }
        name_sections(&mut sections)?;
        let bundle = session.bundle(&sections)?;
        check_payload_types(&sections, &bundle)?;
        check_extension_ids(&sections, &bundle)?;
        let transport = session.transport_of(&sections, &bundle)?;
        let has_bundle = session.has_bundle();
        let Session { has_msid_semantic, allows_mixed, .. } = session;
        Ok(Self { sections, bundle, has_bundle, has_msid_semantic, allows_mixed, transport })
    }

    /// Takes sections in which the client would receive beyond these numbers as sections in which it does not: their
    /// answers say so, and they are no slots.
    pub fn limit_receiving(&mut self, most: SlotCounts) {
        let SlotCounts { mut audio, mut video } = most;
        for section in self.sections.iter_mut().filter(|section| section.receives()) {
            let left = if section.kind == Some(MediaKind::Audio) { &mut audio } else { &mut video };
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => section.direction = section.direction.without_receiving(),
            }
        }
    }

    /// Returns the sections that can be served, in the order of the offer.
    pub fn served(&self) -> impl Iterator<Item = &Section<'a>> {
        self.sections.iter().filter(|section| section.rejected.is_none())
    }

    /// Returns the section with that mid. The search is linear, so call it a few times only, not for every section.
    pub fn section(&self, mid: Mid) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.mid == mid)
    }
}

/// Rejects sections of data channels if none are served, and all but the first: there is one association (RFC 8841 §9.3).
fn refuse_data(sections: &mut [Section<'_>], serves_data: bool) {
    let served = sections.iter_mut().filter(|section| section.data.is_some() && section.rejected.is_none());
    for section in served.skip(usize::from(serves_data)) {
        let why =
            if serves_data { "there is another one" } else { "this server has none (media.data_channels)" };
        section.rejected = Some(format!("data channels are not served here: {why}"));
    }
}

/// Splits lines into sections, each of which begins with its `m=` line.
fn split_sections<'b, 'a>(media: &'b [Line<'a>]) -> impl Iterator<Item = &'b [Line<'a>]> {
    let mut rest = media;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = rest.iter().skip(1).position(|line| line.kind == b'm').map_or(rest.len(), |at| at + 1);
        let (section, behind) = rest.split_at(next);
        rest = behind;
        Some(section)
    })
}

/// The lines before the first section.
#[derive(Debug, Default)]
struct Session<'a> {
    lines: SessionLines<'a>,
    transport: TransportLines<'a>,
    has_msid_semantic: bool,
    allows_mixed: bool,
    /// The mids of each BUNDLE group.
    groups: Vec<Vec<&'a str>>,
}

impl<'a> Session<'a> {
    fn read(head: &[Line<'a>]) -> Result<Self, Refused> {
        let mut session = Self::default();
        for line in head {
            session.transport.take(line)?;
            match line.attribute() {
                Some(("ice-lite", _)) => {
                    return Err(Refused::unserved(format!(
                        "line {}: the client is an ICE Lite agent, and so is this server: nobody would send checks",
                        line.number
                    )));
                }
                Some(("group", value)) => {
                    let mut words = value.split_whitespace();
                    if words.next() == Some("BUNDLE") {
                        session.groups.push(words.collect());
                    }
                }
                Some(("msid-semantic", _)) => session.has_msid_semantic = true,
                Some(("extmap-allow-mixed", _)) => session.allows_mixed = true,
                Some(("extmap", value)) => session.lines.extensions.push((line.number, value)),
                Some((name, _)) => {
                    session.lines.direction = session.lines.direction.or_else(|| Direction::from_name(name));
                }
                None => {}
            }
        }
        Ok(session)
    }

    fn has_bundle(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Returns the sections that share the transport, in the group's order.
    fn bundle(&self, sections: &[Section<'a>]) -> Result<Vec<usize>, Refused> {
        let mut served = sections.iter().filter(|section| section.rejected.is_none());
        let Some(first) = served.next() else { return Err(nothing_served(sections)) };
        let others = served.clone().count();
        let mids = MidTable::new(sections);
        let names_first = |group: &&Vec<&str>| group.iter().any(|mid| mids.find(mid) == Some(first.index));
        let Some(group) = self.groups.iter().find(names_first) else {
            return if others == 0 { Ok(vec![first.index]) } else { Err(not_bundled(first, served.next())) };
        };
        let mut is_in = vec![false; sections.len()];
        let mut bundle = Vec::new();
        // The group may name sections that are rejected, or gone: they just leave it (RFC 9143 §7.3.3).
        for index in group.iter().filter_map(|mid| mids.find(mid)) {
            if sections[index].rejected.is_none() && !std::mem::replace(&mut is_in[index], true) {
                bundle.push(index);
            }
        }
        match served.find(|section| !is_in[section.index]) {
            Some(outside) => Err(not_bundled(first, Some(outside))),
            None => Ok(bundle),
        }
    }

    /// Returns the client's side of the transport from the first section of the bundle, else from the session, else
    /// from another section of the bundle: sections that exist only in a bundle need not repeat it (RFC 9143 §7.1.3).
    fn transport_of(&self, sections: &[Section<'a>], bundle: &[usize]) -> Result<Transport, Refused> {
        let place = bundle.first().map_or_else(String::new, |first| sections[*first].place());
        let mut known = TransportLines::default();
        for (rank, index) in bundle.iter().enumerate() {
            known = known.or(&sections[*index].transport);
            if rank == 0 {
                known = known.or(&self.transport);
            }
            if known.is_complete() {
                break;
            }
        }
        known.finish(&place)
    }
}

/// Finds sections by their mids. It is sorted, so that a look-up is cheap however many there are.
struct MidTable<'a>(Vec<(&'a str, usize)>);

impl<'a> MidTable<'a> {
    fn new(sections: &'a [Section<'_>]) -> Self {
        let named = sections.iter().filter(|section| section.has_mid);
        let mut sorted: Vec<(&str, usize)> =
            named.map(|section| (section.mid.as_str(), section.index)).collect();
        sorted.sort_unstable();
        Self(sorted)
    }

    fn find(&self, mid: &str) -> Option<usize> {
        let place = self.0.binary_search_by(|(other, _)| (*other).cmp(mid)).ok()?;
        self.0.get(place).map(|(_, index)| *index)
    }
}

fn nothing_served(sections: &[Section<'_>]) -> Refused {
    let mut why: Vec<String> = sections
        .iter()
        .filter_map(|section| Some(format!("{}: {}", section.place(), section.rejected.as_ref()?)))
        .take(EXPLAINED_MAX)
        .collect();
    if sections.len() > EXPLAINED_MAX {
        why.push(format!("and {} more", sections.len() - EXPLAINED_MAX));
    }
    Refused::unserved(format!("no section can be served: {}", why.join("; ")))
}

fn not_bundled(first: &Section<'_>, other: Option<&Section<'_>>) -> Refused {
    let other = other.map_or_else(|| "another".to_owned(), Section::place);
    Refused::unserved(format!(
        "{other} is in no a=group:BUNDLE with {}: this server has one transport for all sections \
         (bundlePolicy \"max-bundle\")",
        first.place()
    ))
}

/// Gives the only section a mid if it has none, and refuses two sections with the same mid.
fn name_sections(sections: &mut [Section<'_>]) -> Result<(), Refused> {
    if let [only] = sections
        && !only.has_mid
    {
        only.mid = Mid::from("0");
        return Ok(());
    }
    if let Some(nameless) = sections.iter().find(|section| !section.has_mid && section.rejected.is_none()) {
        return Err(Refused::malformed(format!("{} has no a=mid", nameless.place())));
    }
    let mut mids: Vec<(&str, usize)> = sections
        .iter()
        .filter(|section| section.has_mid)
        .map(|section| (section.mid.as_str(), section.index))
        .collect();
    mids.sort_unstable();
    for pair in mids.windows(2) {
        if let [(mid, one), (other, two)] = pair
            && mid == other
        {
            return Err(Refused::malformed(format!(
                "sections {one} and {two} have the same mid, {}",
                quoted(mid)
            )));
        }
    }
    Ok(())
}

/// Refuses a payload type with two meanings, because all sections share one transport (RFC 9143 §9.1). Formats that the
/// answer will not take do not matter.
fn check_payload_types(sections: &[Section<'_>], bundle: &[usize]) -> Result<(), Refused> {
    let mut meanings: [Option<(Role, usize, &str)>; 128] = [None; 128];
    for section in bundle.iter().map(|index| &sections[*index]) {
        for format in &section.formats {
            let Some(role) = format.role else { continue };
            let Some(meaning) = meanings.get_mut(usize::from(format.pt)) else { continue };
            match meaning {
                None => *meaning = Some((role, section.index, format.encoding)),
                Some((known, _, _)) if *known == role => {}
                Some((_, other, encoding)) => {
                    return Err(Refused::malformed(format!(
                        "{}: payload type {} stands for {}, and in section {other} for {}; in one BUNDLE it has one \
                         meaning (RFC 9143 §9.1)",
                        section.place(),
                        format.pt,
                        quoted(format.encoding),
                        quoted(encoding)
                    )));
                }
            }
        }
    }
    Ok(())
}

/// The same for ids of header extensions (RFC 8285 §5, RFC 9143 §9.1).
fn check_extension_ids(sections: &[Section<'_>], bundle: &[usize]) -> Result<(), Refused> {
    let mut names: [Option<(&str, usize)>; 256] = [None; 256];
    for section in bundle.iter().map(|index| &sections[*index]) {
        for OfferedExtension { id, name, .. } in &section.extensions {
            let known = names[usize::from(*id)].get_or_insert((name, section.index));
            if known.0 != *name {
                return Err(Refused::malformed(format!(
                    "{}: a=extmap gives the id {id} to {}, and in section {} to {}: each needs an id of its own",
                    section.place(),
                    quoted(name),
                    known.1,
                    quoted(known.0)
                )));
            }
        }
    }
    Ok(())
}
