//! Packets in groups: what was sent within a few milliseconds is taken as one, because a link delays a burst's packets one
//! after the other, which says nothing of its queue. From group to group the time between the last packets of both is
//! compared, as sent and as received.

use super::{MILLISECOND, Micros, SECOND};

/// Packets sent within this time of a group's first one belong to it.
const GROUP_SPAN: Micros = 5 * MILLISECOND;
/// A packet that comes this soon after the one before belongs to its group, if the way has become no longer,
const BURST_GAP: Micros = 5 * MILLISECOND;
/// and the group has been coming for less than this.
const BURST_SPAN: Micros = 100 * MILLISECOND;
/// After this many groups that came before their predecessors the receiver's clock has jumped.
const REORDERED_MAX: u32 = 3;
/// When arrivals run ahead of our own clock by this much, the receiver's clock has jumped.
const CLOCK_JUMP: Micros = 3 * SECOND;

/// The time between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupDelta {
    /// Between the last packets sent of either.
    pub sent: Micros,
    /// Between the last packets received of either.
    pub received: Micros,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: Micros,
    last_sent: Micros,
    first_received: Micros,
    last_received: Micros,
    /// When the report of its last packet came.
    reported: Micros,
}

impl Group {
    fn takes(&self, sent: Micros, received: Micros) -> bool {
        self.is_burst(sent, received) || sent - self.first_sent <= GROUP_SPAN
    }

    fn is_burst(&self, sent: Micros, received: Micros) -> bool {
        let (sent_gap, received_gap) = (sent - self.last_sent, received.saturating_sub(self.last_received));
        sent_gap == 0
            || (received_gap < sent_gap
                && received_gap <= BURST_GAP
                && received.saturating_sub(self.first_received) < BURST_SPAN)
    }
}

/// Gathers packets, in the order of their arrival.
#[derive(Debug, Default)]
pub struct PacketGroups {
    current: Option<Group>,
    previous: Option<Group>,
    reordered: u32,
    /// Whether the receiver's clock has jumped, so that nothing before can be compared with what comes.
    has_jumped: bool,
}

impl PacketGroups {
    /// Returns whether the receiver's clock has jumped since the last call.
    pub fn take_jump(&mut self) -> bool {
        std::mem::take(&mut self.has_jumped)
    }

    fn jump(&mut self) {
        *self = Self { has_jumped: true, ..Self::default() };
    }

    /// Takes a packet. If it begins a new group, the group before it is complete: returns how far that one is from its
    /// predecessor.
    pub fn on_packet(&mut self, now: Micros, sent: Micros, received: Micros) -> Option<GroupDelta> {
        let first = Group {
            first_sent: sent,
            last_sent: sent,
            first_received: received,
            last_received: received,
            reported: now,
        };
        let Some(current) = &mut self.current else {
            self.current = Some(first);
            return None;
        };
        if sent < current.first_sent {
            return None;
        }
        if current.takes(sent, received) {
            current.last_sent = current.last_sent.max(sent);
            current.last_received = received;
            current.reported = now;
            return None;
        }
        let complete = *current;
        let mut delta = None;
        if let Some(previous) = &self.previous {
            let received = complete.last_received.saturating_sub(previous.last_received);
            if received.saturating_sub(complete.reported - previous.reported) >= CLOCK_JUMP {
                self.jump();
                return None;
            }
            if received < 0 {
                self.reordered += 1;
                if self.reordered >= REORDERED_MAX {
                    self.jump();
                }
                return None;
            }
            self.reordered = 0;
            delta = Some(GroupDelta { sent: complete.last_sent - previous.last_sent, received });
        }
        self.previous = Some(complete);
        self.current = Some(first);
        delta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets as (sent, received) in milliseconds; returns the deltas that they lead to, in milliseconds.
    fn deltas(packets: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut groups = PacketGroups::default();
        let mut found = Vec::new();
        for &(sent, received) in packets {
            let delta = groups.on_packet(received * MILLISECOND, sent * MILLISECOND, received * MILLISECOND);
            found.extend(delta.map(|delta| (delta.sent / MILLISECOND, delta.received / MILLISECOND)));
        }
        found
    }

    #[test]
    fn packets_that_were_sent_together_are_one_group() {
        type Pairs<'a> = &'a [(i64, i64)];
        let cases: [(&str, Pairs<'_>, Pairs<'_>); 5] = [
            ("one packet each", &[(0, 50), (20, 70), (40, 95), (60, 115)], &[(20, 20), (20, 25)]),
            ("a frame of three", &[(0, 50), (1, 52), (2, 54), (33, 84), (34, 86), (66, 120)], &[(32, 32)]),
            ("a burst released at once", &[(0, 50), (10, 51), (20, 52), (60, 110), (90, 140)], &[(40, 58)]),
            (
                "a packet from before is passed over",
                &[(0, 50), (20, 70), (5, 71), (40, 90), (60, 110)],
                &[(20, 20), (20, 20)],
            ),
            (
                "equal send times, whatever the arrivals",
                &[(0, 50), (0, 90), (50, 100), (99, 150)],
                &[(50, 10)],
            ),
        ];
        for (name, packets, expected) in cases {
            assert_eq!(deltas(packets), expected, "{name}");
        }
    }

    #[test]
    fn a_jump_of_the_receivers_clock_begins_anew() {
        let mut groups = PacketGroups::default();
        let mut on = |now, sent, received| {
            groups.on_packet(now * MILLISECOND, sent * MILLISECOND, received * MILLISECOND)
        };
        assert_eq!(on(100, 0, 50), None);
        assert_eq!(on(120, 20, 70), None);
        let steady = Some(GroupDelta { sent: 20 * MILLISECOND, received: 20 * MILLISECOND });
        assert_eq!(on(140, 40, 5_090), steady, "the group that jumped is not complete yet");
        assert!(!groups.take_jump());
        let mut on = |now, sent, received| {
            groups.on_packet(now * MILLISECOND, sent * MILLISECOND, received * MILLISECOND)
        };
        assert_eq!(on(160, 60, 5_110), None, "the jump is seen, and forgotten");
        assert!(groups.take_jump() && !groups.take_jump());
        let mut on = |now, sent, received| {
            groups.on_packet(now * MILLISECOND, sent * MILLISECOND, received * MILLISECOND)
        };
        assert_eq!(on(180, 80, 5_130), None);
        assert_eq!(on(200, 100, 5_150), None);
        assert_eq!(on(220, 120, 5_170), steady);
    }
}
