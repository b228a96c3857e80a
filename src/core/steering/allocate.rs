//! Allocation: who gets which layer of video, out of what a viewer's network carries. A pure function of the budget and of
//! what is wanted: integers, no state, no time.
//!
//! Three rules, in this order. What must not be paused keeps its lowest layer. A class comes before the next: screens, then
//! cameras, then thumbnails. Within a class whatever adds most for a bit comes first, and of equals who spoke last.
//!
//! Audio is not part of it: whoever calls takes its rate off the budget before, so that audio never pays for video. When a
//! target is approached is for [`Patience`](super::patience::Patience) to say: down at once, up with care.

/// What a track is to its viewer. The first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What somebody shows on purpose.
    Screen,
    /// A person in full size.
    Camera,
    /// A person among many, in small.
    Thumbnail,
}

/// One layer of a track, with all that it stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// What it costs, with the layers below it, bits per second.
    pub cost: u64,
    /// What it is worth, with the layers below it: more than they are.
    pub value: u64,
}

/// A track that a viewer wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want<'a> {
    /// What it is to them.
    pub class: Class,
    /// Its place among those of its class: of equals the lower one comes first.
    pub rank: u32,
    /// Its layers that exist and are of use in the viewer's tile, by rising cost.
    pub layers: &'a [Layer],
    /// Whether it may be left out. If not, its lowest layer comes before all that others could have beyond theirs.
    pub may_pause: bool,
}

impl Want<'_> {
    /// What a layer costs, and is worth; nothing costs nothing.
    fn at(&self, layer: Option<usize>) -> Layer {
        let nothing = Layer { cost: 0, value: 0 };
        layer.map_or(nothing, |layer| self.layers.get(layer).copied().unwrap_or(nothing))
    }

    /// The next layer to go to: the one that adds most for each bit, and of equals the highest. Those between add less for a
    /// bit than the way over them.
    fn next_step(&self, from: Option<usize>) -> Option<Step> {
        let now = self.at(from);
        let mut best: Option<Step> = None;
        for (layer, above) in self.layers.iter().enumerate().skip(from.map_or(0, |layer| layer + 1)) {
            let (cost, value) = (above.cost.saturating_sub(now.cost), above.value.saturating_sub(now.value));
            let step = Step { layer, cost, value };
            if value > 0 && best.is_none_or(|best| !best.is_better_than(&step)) {
                best = Some(step);
            }
        }
        best
    }
}

/// A way up.
#[derive(Debug, Clone, Copy)]
struct Step {
    layer: usize,
    cost: u64,
    value: u64,
}

impl Step {
    /// Whether it adds more for each bit.
    fn is_better_than(&self, other: &Self) -> bool {
        u128::from(self.value) * u128::from(other.cost) > u128::from(other.value) * u128::from(self.cost)
    }
}

/// Returns for each want the index of its layer, `None` where nothing of it is sent. What they cost together is no more than
/// `budget`, bits per second.
pub fn allocate(budget: u64, wants: &[Want<'_>]) -> Vec<Option<usize>> {
    let mut targets = vec![None; wants.len()];
    let mut left = budget;
    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|&index| (wants[index].class, wants[index].rank, index));
    for &index in order.iter().filter(|&&index| !wants[index].may_pause) {
        if let Some(lowest) = wants[index].layers.first()
            && lowest.cost <= left
        {
            left -= lowest.cost;
            targets[index] = Some(0);
        }
    }
    for class in [Class::Screen, Class::Camera, Class::Thumbnail] {
        let members = order.iter().copied().filter(|&index| wants[index].class == class);
        raise(&mut left, wants, &members.collect::<Vec<_>>(), &mut targets);
    }
    targets
}

/// Raises the wants of one class, step by step, until the best step there is does not fit. That one goes as far as it can;
/// smaller steps of others are not taken in its place, so that more budget never means less for anybody in the class.
fn raise(left: &mut u64, wants: &[Want<'_>], members: &[usize], targets: &mut [Option<usize>]) {
    loop {
        let mut best: Option<(usize, Step)> = None;
        for &index in members {
            // What must not be paused, and has no room for its lowest layer, has none for a higher one.
            let is_left_out = !wants[index].may_pause && targets[index].is_none();
            let Some(step) = wants[index].next_step(targets[index]).filter(|_| !is_left_out) else {
                continue;
            };
            if best.is_none_or(|(_, best)| step.is_better_than(&best)) {
                best = Some((index, step));
            }
        }
        let Some((index, step)) = best else { return };
        if step.cost <= *left {
            *left -= step.cost;
            targets[index] = Some(step.layer);
            continue;
        }
        let now = wants[index].at(targets[index]);
        let first = targets[index].map_or(0, |layer| layer + 1);
        let fitting = |layer: &usize| {
            let layer = wants[index].at(Some(*layer));
            layer.value > now.value && layer.cost.saturating_sub(now.cost) <= *left
        };
        if let Some(layer) =
            (first..step.layer).filter(fitting).max_by_key(|&layer| wants[index].at(Some(layer)).value)
        {
            *left -= wants[index].at(Some(layer)).cost.saturating_sub(now.cost);
            targets[index] = Some(layer);
        }
        return;
    }
}

/// Returns how much a budget is to count for when it is about stepping up: a tenth is kept, so that the next small dip does
/// not take the step back.
pub fn with_margin(budget: u64) -> u64 {
    budget - budget / 10
}

#[cfg(test)]
#[path = "allocate/tests.rs"]
mod tests;
