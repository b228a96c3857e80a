//! The network between clients and server, which loses, delays, duplicates and reorders datagrams. Each direction of
//! each person's access is a [`Link`] with its own dice.

use std::net::{IpAddr, SocketAddr};

use super::dice::Dice;

/// Microseconds of virtual time since the world began.
pub type Micros = u64;

/// One second in microseconds.
pub const SECOND: Micros = 1_000_000;

/// Returns the name of a person: A, B, C …
pub fn name(index: usize) -> String {
    char::from_u32('A' as u32 + index as u32)
        .filter(char::is_ascii_uppercase)
        .map_or(format!("#{index}"), String::from)
}

/// Returns a time as text.
pub fn seconds(at: Micros) -> String {
    format!("{}.{:03}s", at / SECOND, at / 1000 % 1000)
}

/// Returns the server's address.
pub fn server_address() -> SocketAddr {
    SocketAddr::from(([10, 9, 9, 9], 7443))
}

/// Returns the address by which somebody can be banned, wherever they move.
pub fn host_of(person: usize) -> IpAddr {
    IpAddr::from([10, 77, (person / 256) as u8, (person % 256) as u8])
}

/// How good one direction of somebody's access is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPlan {
    /// The shortest time that a packet takes, µs.
    pub delay: Micros,
    /// How much longer than that a packet may take at most, µs. Each packet draws its own.
    pub jitter: Micros,
    /// Whether jitter keeps packets in order.
    pub ordered: bool,
    /// Packets that are lost one by one, in a million.
    pub loss: u32,
    /// Packets with which a burst of losses begins, in a million.
    pub bursts: u32,
    /// Packets that are overtaken by later ones, in a million.
    pub reorder: u32,
    /// Packets that come twice, in a million.
    pub duplicate: u32,
    /// Bits per second; 0 is unlimited.
    pub bandwidth: u64,
    /// How long a packet may wait before a narrow link until it is dropped, µs.
    pub queue: Micros,
}

impl LinkPlan {
    /// A link without any faults.
    pub const PERFECT: Self = Self {
        delay: 5_000,
        jitter: 0,
        ordered: true,
        loss: 0,
        bursts: 0,
        reorder: 0,
        duplicate: 0,
        bandwidth: 0,
        queue: 0,
    };

    /// Draws a link, good or bad.
    pub fn draw(dice: &mut Dice) -> Self {
        let mut plan = Self { delay: dice.among(500..80_000), ..Self::PERFECT };
        if dice.percent(35) {
            return plan;
        }
        if dice.percent(60) {
            plan.jitter = dice.among(0..40_000);
            plan.ordered = dice.percent(60);
        }
        if dice.percent(60) {
            plan.loss = dice.among(0..80_000) as u32;
        }
        if dice.percent(30) {
            plan.bursts = dice.among(0..8_000) as u32;
        }
        if dice.percent(40) {
            plan.reorder = dice.among(0..40_000) as u32;
        }
        if dice.percent(40) {
            plan.duplicate = dice.among(0..40_000) as u32;
        }
        if dice.percent(20) {
            plan.bandwidth = dice.among(150_000..2_000_000);
            plan.queue = dice.among(20_000..400_000);
        }
        plan
    }

    /// Returns the faults of the link, in words.
    pub fn describe(&self) -> String {
        let mut text = format!("{} ms", self.delay / 1000);
        if self.jitter > 0 {
            let order = if self.ordered { "" } else { ", unordered" };
            text += &format!(" + 0–{} ms{order}", self.jitter / 1000);
        }
        for (what, ppm) in [("lost", self.loss), ("reordered", self.reorder), ("twice", self.duplicate)] {
            if ppm > 0 {
                text += &format!(", {}.{} % {what}", ppm / 10_000, ppm / 1000 % 10);
            }
        }
        if self.bursts > 0 {
            text += ", bursts of loss";
        }
        if self.bandwidth > 0 {
            text += &format!(", {} kbit/s with {} ms of queue", self.bandwidth / 1000, self.queue / 1000);
        }
        text
    }
}

/// One direction of somebody's access, at work.
#[derive(Debug)]
pub struct Link {
    plan: LinkPlan,
    dice: Dice,
    /// When it becomes perfect.
    heals_at: Micros,
    /// How many packets the present burst of losses will still take.
    burst: u64,
    /// When the present cut ends.
    cut_until: Micros,
    free_at: Micros,
    last: Micros,
}

/// When copies of a packet arrive.
pub type Arrivals = [Option<Micros>; 2];

impl Link {
    /// Returns a link of that quality.
    pub fn new(plan: LinkPlan, heals_at: Micros, dice: Dice) -> Self {
        Self { plan, dice, heals_at, burst: 0, cut_until: 0, free_at: 0, last: 0 }
    }

    /// Cuts the link: nothing gets through before `until`.
    pub fn cut(&mut self, until: Micros) {
        self.cut_until = self.cut_until.max(until);
    }

    /// Returns whether the link is cut.
    pub fn is_cut(&self, now: Micros) -> bool {
        now < self.cut_until
    }

    /// Sends a packet of that many bytes, and returns when its copies arrive.
    pub fn send(&mut self, now: Micros, bytes: usize) -> Arrivals {
        // Every packet draws the same numbers, so that one packet's luck does not change the next one's.
        let (lost, burst) = (self.dice.ppm(self.plan.loss), self.dice.ppm(self.plan.bursts));
        let (twice, late) = (self.dice.ppm(self.plan.duplicate), self.dice.ppm(self.plan.reorder));
        let jitter = self.dice.among(0..self.plan.jitter.max(1));
        let extra = self.dice.among(1_000..60_000);
        if self.is_cut(now) {
            return [None, None];
        }
        if now >= self.heals_at {
            return [Some(self.in_order(now + self.plan.delay)), None];
        }
        if burst {
            self.burst = 2 + extra % 30;
        }
        if self.burst > 0 {
            self.burst -= 1;
            return [None, None];
        }
        if lost {
            return [None, None];
        }
        let Some(queued) = self.queue(now, bytes) else { return [None, None] };
        // Jitter alone would let packets overtake each other; most networks keep them in order.
        let mut at = now + queued + self.plan.delay + jitter;
        if self.plan.ordered {
            at = self.in_order(at);
        }
        if late {
            at += extra;
        }
        [Some(at), twice.then_some(at + extra / 2)]
    }

    fn in_order(&mut self, at: Micros) -> Micros {
        self.last = self.last.max(at);
        self.last
    }

    /// Returns how long a packet waits before a narrow link; `None` if the queue is full.
    fn queue(&mut self, now: Micros, bytes: usize) -> Option<Micros> {
        if self.plan.bandwidth == 0 {
            return Some(0);
        }
        let waits = self.free_at.saturating_sub(now);
        if waits > self.plan.queue {
            return None;
        }
        let takes = (bytes as u64 + 28) * 8_000_000 / self.plan.bandwidth;
        self.free_at = now.max(self.free_at) + takes;
        Some(waits + takes)
    }
}
