//! The streams that a section declares: SSRCs and their groups (RFC 5576), and the rids of a simulcast (RFC 8851,
//! RFC 8853).

use super::lines::BLANKS;
use crate::core::ids::Ssrc;
use crate::limits::ENCODINGS_MAX;

/// One rid that the client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SentRid<'a> {
    name: &'a str,
    /// Its restrictions, `pt=` among them.
    restrictions: &'a str,
}

/// The streams that the lines of one section declare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamLines<'a> {
    /// SSRCs in the order of their first mention.
    ssrcs: Vec<Ssrc>,
    /// Pairs of a stream and its retransmissions.
    repairs: Vec<(Ssrc, Ssrc)>,
    /// The encodings of a simulcast that is declared by SSRCs, smallest first.
    simulcast_group: Vec<Ssrc>,
    rids: Vec<SentRid<'a>>,
    /// The rids of the simulcast, in the client's order: the first of each list of alternatives.
    simulcast: Vec<&'a str>,
}

fn number(word: &str) -> Option<Ssrc> {
    word.parse().ok().map(Ssrc)
}

/// Whether a text is a rid (RFC 8851 §10): letters, digits, hyphens and underscores, and no longer than fits into a
/// header extension.
pub fn is_rid(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=16).contains(&text.len()) && text.bytes().all(allowed)
}

impl<'a> StreamLines<'a> {
    /// Takes an attribute if it is about streams.
    pub fn take(&mut self, name: &str, value: &'a str) {
        match name {
            "ssrc" => {
                if let Some(ssrc) = value.split_whitespace().next().and_then(number)
                    && !self.ssrcs.contains(&ssrc)
                {
                    self.ssrcs.push(ssrc);
                }
            }
            "ssrc-group" => self.take_group(value),
            "rid" => {
                let mut words = value.splitn(3, BLANKS);
                if let (Some(name), Some("send")) = (words.next(), words.next())
                    && is_rid(name)
                    && !self.rids.iter().any(|rid| rid.name == name)
                {
                    self.rids.push(SentRid { name, restrictions: words.next().unwrap_or_default() });
                }
            }
            "simulcast" => self.take_simulcast(value),
            _ => {}
        }
    }

    fn take_group(&mut self, value: &str) {
        let mut words = value.split_whitespace();
        let semantics = words.next().unwrap_or_default();
        let mut ssrcs = words.map_while(number);
        if semantics == "FID" {
            if let (Some(main), Some(repair)) = (ssrcs.next(), ssrcs.next()) {
                self.repairs.push((main, repair));
            }
        } else if semantics == "SIM" && self.simulcast_group.is_empty() {
            self.simulcast_group = ssrcs.take(ENCODINGS_MAX).collect();
        }
    }

    /// Reads `send a;b recv c` in either order. Only `send` matters: a client that would receive a simulcast gets one
    /// stream from us.
    fn take_simulcast(&mut self, value: &'a str) {
        let mut words = value.split_whitespace();
        while let (Some(direction), Some(list)) = (words.next(), words.next()) {
            if direction == "send" && self.simulcast.is_empty() {
                // Drafts of RFC 8853 had the kind of the list in front of it.
                let list = list.strip_prefix("rid=").unwrap_or(list);
                let first = |alternatives: &'a str| {
                    alternatives.split(',').next().unwrap_or_default().trim_start_matches('~')
                };
                self.simulcast = list.split(';').map(first).take(ENCODINGS_MAX).collect();
            }
        }
    }

    /// Returns the rids that the answer takes, in the order of the simulcast. Rids are left out if none of their
    /// payload types is agreed on or if no `a=rid` declares them (RFC 8853 §5.2).
    pub fn rids(&self, agreed: impl Fn(u8) -> bool) -> Vec<&'a str> {
        let is_usable = |rid: &SentRid<'_>| {
            let restrictions = rid.restrictions.split(';').map(str::trim);
            restrictions
                .filter_map(|one| one.strip_prefix("pt="))
                .all(|list| list.split(',').any(|pt| pt.trim().parse().is_ok_and(&agreed)))
        };
        // Each is looked at once, because the restrictions can be long, and one rid can be named several times.
        let usable: Vec<&str> = self.rids.iter().filter(|rid| is_usable(rid)).map(|rid| rid.name).collect();
        let mut taken: Vec<&str> = Vec::new();
        for name in &self.simulcast {
            if usable.contains(name) && !taken.contains(name) {
                taken.push(name);
            }
        }
        taken
    }

    /// Returns every SSRC that is mentioned.
    pub fn all(&self) -> impl Iterator<Item = Ssrc> {
        let repairs = self.repairs.iter().flat_map(|(main, repair)| [*main, *repair]);
        self.ssrcs.iter().copied().chain(repairs).chain(self.simulcast_group.iter().copied())
    }

    /// Returns the streams that are declared by SSRCs, each with its retransmissions: the encodings of a simulcast,
    /// smallest first, else one stream.
    pub fn declared(&self) -> Vec<(Ssrc, Option<Ssrc>)> {
        let repair =
            |main: Ssrc| self.repairs.iter().find(|(other, _)| *other == main).map(|(_, repair)| *repair);
        if self.simulcast_group.len() > 1 {
            return self.simulcast_group.iter().map(|ssrc| (*ssrc, repair(*ssrc))).collect();
        }
        let first = self.repairs.first().map(|(main, _)| *main).or(self.ssrcs.first().copied());
        first.map(|ssrc| (ssrc, repair(ssrc))).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::read_lines;
    use super::*;

    fn streams(text: &str) -> StreamLines<'_> {
        let mut streams = StreamLines::default();
        for line in read_lines(text).expect("lines") {
            let (name, value) = line.attribute().expect("an attribute");
            streams.take(name, value);
        }
        streams
    }

    #[test]
    fn a_stream_is_known_by_the_ssrcs_that_its_section_declares() {
        let both = [(Ssrc(7), Some(Ssrc(8)))];
        assert_eq!(streams("a=ssrc-group:FID 7 8\na=ssrc:7 cname:c\na=ssrc:8 cname:c\n").declared(), both);
        assert_eq!(streams("a=ssrc:8 cname:c\na=ssrc:7 cname:c\na=ssrc-group:FID 7 8\n").declared(), both);
        assert_eq!(streams("a=ssrc:7 cname:c\na=ssrc:7 msid:a b\n").declared(), [(Ssrc(7), None)]);
        assert_eq!(streams("").declared(), []);
        assert_eq!(streams("a=ssrc-group:FID seven 8\n").declared(), []);
    }

    #[test]
    fn a_group_of_ssrcs_is_a_simulcast_with_its_retransmissions() {
        let declared =
            streams("a=ssrc-group:SIM 1 2 3\na=ssrc-group:FID 1 4\na=ssrc-group:FID 3 6\n").declared();
        assert_eq!(declared, [(Ssrc(1), Some(Ssrc(4))), (Ssrc(2), None), (Ssrc(3), Some(Ssrc(6)))]);
    }

    #[test]
    fn a_simulcast_is_read_in_either_order_and_with_alternatives() {
        let rids = "a=rid:low send\na=rid:mid send max-width=640\na=rid:high send pt=98\na=rid:in recv\n";
        for simulcast in [
            "send low;~mid;high,low recv in",
            "recv in send low;mid;high",
            "send rid=low;mid;high recv rid=in",
            "\tsend\tlow;mid;high",
        ] {
            let text = format!("{rids}a=simulcast:{simulcast}\n");
            assert_eq!(streams(&text).rids(|_| true), ["low", "mid", "high"]);
            assert_eq!(streams(&text).rids(|pt| pt == 96), ["low", "mid"], "high has another codec");
        }
        let twice = streams("a=rid:low send\na=simulcast:send low;low\n").rids(|_| true).len();
        assert_eq!(twice, 1, "the same rid is one encoding");
        assert_eq!(streams("a=rid:low recv\na=simulcast:send low;other\n").rids(|_| true), [""; 0]);
        assert_eq!(streams("a=rid:a b send\na=simulcast:send\n").rids(|_| true), [""; 0]);
    }
}
