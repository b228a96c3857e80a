//! Steps: the ways in which a track can be shown to somebody, and what each of them costs and is worth. A step is one of the
//! track's encodings, up to some of the layers inside it.
//!
//! **What a step is worth** is the height of its pictures, and less if there are fewer of them. Of a camera half of the
//! pictures are worth four fifths of all, and a quarter is worth half: as much as all pictures of half the height. So pictures
//! become fewer before they become smaller, but where only a quarter is left, smaller ones come first. Of a screen each
//! picture counts, and how many of them come hardly does.
//!
//! Steps rise both in what they cost and in what they are worth. A part of an encoding that costs more than something
//! better is no step.

use crate::core::media::layers::Layers;
use crate::limits::ENCODINGS_MAX;

/// What stands for the heights of pictures of which nothing is known, from the smallest on, in pixels.
const HEIGHTS_ASSUMED: [u64; 4] = [180, 360, 720, 1080];

/// One way to show a track, before all of them are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The rank of its encoding.
    pub rank: usize,
    /// Up to which layers inside the encoding it is; the base layer if nothing is known of any.
    pub layers: Layers,
    /// Whether that is all of the encoding.
    pub is_whole: bool,
    /// The height of its pictures in pixels, if it is known.
    pub height: Option<u16>,
    /// How many of the encoding's pictures it has, in 1/1000.
    pub pictures_permille: u64,
    /// What it takes of a viewer's network, bits per second.
    pub cost: u64,
}

/// One of the ways in which a viewer could be shown a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The rank of its encoding.
    pub rank: usize,
    /// Up to which layers inside the encoding it is; the base layer if nothing is known of any.
    pub layers: Layers,
    /// Whether that is all of the encoding.
    pub is_whole: bool,
    /// What it is worth, in 1/1000 of a pixel of height: more than the steps below.
    pub value: u64,
    /// What it takes of a viewer's network, bits per second: not less than the steps below.
    pub cost: u64,
}

impl Step {
    /// Returns a step that is a whole encoding of which no layers are known.
    pub fn whole(rank: usize, height: u64, cost: u64) -> Self {
        Self { rank, layers: Layers::BASE, is_whole: true, value: height * 1000, cost }
    }

    /// Returns up to which layers inside the encoding somebody gets it who is given this step.
    fn cap(&self) -> Layers {
        if self.is_whole { Layers::ALL } else { self.layers }
    }
}

/// Puts the ways to show a track in order.
pub fn steps(variants: &[Variant], is_screen: bool) -> Vec<Step> {
    let sizes = sizes(variants);
    let of =
        |one: &Variant| sizes.iter().find(|size| (size.rank, size.spatial) == (one.rank, one.layers.spatial));
    let step = |one: &Variant| {
        let size = of(one)?;
        // What is smaller never costs more: so a larger size that costs less comes in its place.
        let raised = size.cost_in_order - size.cost;
        let worth = worth_permille(one.pictures_permille.min(1000), is_screen);
        let (rank, layers, is_whole) = (one.rank, one.layers, one.is_whole);
        Some(Step { rank, layers, is_whole, value: size.height * worth, cost: one.cost + raised })
    };
    let mut all: Vec<Step> = variants.iter().filter_map(step).collect();
    // Of what costs the same, whole sizes come in their order, so that the smaller one is there if the larger one does not come.
    all.sort_by_key(|step| (step.cost, step.value));
    let mut steps: Vec<Step> = Vec::new();
    for step in all {
        // What costs as much and is worth less stays only if it is a size of its own.
        while let Some(last) = steps.last()
            && last.cost == step.cost
            && last.rank == step.rank
            && last.value <= step.value
        {
            steps.pop();
        }
        if steps.last().is_none_or(|last| last.value < step.value) {
            steps.push(step);
        }
    }
    steps
}

/// Pictures of one size.
struct Size {
    rank: usize,
    spatial: u8,
    known: Option<u16>,
    /// In pixels, or what stands for it if it is not known: more than that of the sizes below.
    height: u64,
    /// What all of it costs.
    cost: u64,
    /// The same, and not less than the sizes below.
    cost_in_order: u64,
}

/// Returns the sizes that there are: by their heights, or if one of those is not known, by what they cost.
fn sizes(variants: &[Variant]) -> Vec<Size> {
    let mut sizes: Vec<Size> = Vec::new();
    for Variant { rank, layers, height, cost, .. } in variants {
        match sizes.iter_mut().find(|size| (size.rank, size.spatial) == (*rank, layers.spatial)) {
            Some(size) => size.cost = size.cost.max(*cost),
            None => {
                let (known, height, cost_in_order) = (*height, 0, 0);
                let (rank, spatial, cost) = (*rank, layers.spatial, *cost);
                sizes.push(Size { rank, spatial, known, height, cost, cost_in_order });
            }
        }
    }
    let all_known = sizes.iter().all(|size| size.known.is_some());
    sizes.sort_by_key(|size| (size.known.filter(|_| all_known), size.cost, size.rank, size.spatial));
    let mut below = (0, 0);
    for (place, size) in sizes.iter_mut().enumerate() {
        let assumed = HEIGHTS_ASSUMED.get(place).copied().unwrap_or(0);
        let height = size.known.filter(|_| all_known).map_or(assumed, u64::from);
        below = (height.max(below.0 + 1), size.cost.max(below.1));
        (size.height, size.cost_in_order) = below;
    }
    sizes
}

/// Returns what a part of a stream's pictures is worth beside all of them, both in 1/1000.
fn worth_permille(pictures: u64, is_screen: bool) -> u64 {
    match pictures {
        _ if is_screen => 800 + pictures / 5,
        500.. => 600 + pictures * 2 / 5,
        _ => 200 + pictures * 6 / 5,
    }
}

/// Which of a track's encodings a viewer may be shown, and up to which layers inside each of them. Encodings are named by their
/// ranks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps([Option<Layers>; ENCODINGS_MAX]);

impl Caps {
    /// Returns what all of these steps take.
    pub fn of(steps: &[Step]) -> Self {
        let mut caps = Self::default();
        for step in steps {
            if let Some(cap) = caps.0.get_mut(step.rank) {
                *cap = Some(step.cap());
            }
        }
        caps
    }

    /// Returns up to which layers an encoding may be shown; `None` if it may not.
    pub fn of_rank(&self, rank: usize) -> Option<Layers> {
        self.0.get(rank).copied().flatten()
    }

    /// Whether a step is among what may be shown.
    pub fn permits(&self, step: &Step) -> bool {
        self.of_rank(step.rank).is_some_and(|cap| cap.include(step.layers))
    }

    /// Whether nothing may be shown.
    pub fn is_nothing(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Returns what one of the two permits.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let mut both = self;
        for (own, other) in both.0.iter_mut().zip(other.0) {
            *own = match (*own, other) {
                (Some(one), Some(two)) => Some(one.higher(two)),
                (one, two) => one.or(two),
            };
        }
        both
    }
}

/// What of a track a viewer may be shown, as far as their network goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Allowance {
    /// Any of its encodings, and all of each.
    #[default]
    Everything,
    /// Some of them, or some of their layers.
    Only(Caps),
    /// None: nothing of the track is sent to them.
    Nothing,
}

impl Allowance {
    /// Whether the encoding of that rank may be shown.
    pub fn permits(self, rank: usize) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(caps) => caps.of_rank(rank).is_some(),
            Self::Nothing => false,
        }
    }

    /// Returns up to which layers the encoding of that rank is sent.
    pub fn layers(self, rank: usize) -> Layers {
        match self {
            // What may not be shown at all is left in a moment, and is whole until then.
            Self::Only(caps) => caps.of_rank(rank).unwrap_or(Layers::ALL),
            Self::Everything | Self::Nothing => Layers::ALL,
        }
    }
}

/// What the machine has no time for of a track, as far as one viewer goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// No pictures but the smallest are sent.
    pub is_smallest: bool,
    /// No layers that only make more pictures are sent.
    pub is_fewest: bool,
    /// Nothing is sent.
    pub is_nothing: bool,
}

impl Load {
    /// Returns up to which layers inside an encoding it is sent.
    pub fn layers(self) -> Layers {
        Layers {
            spatial: if self.is_smallest { Layers::BASE.spatial } else { Layers::ALL.spatial },
            temporal: if self.is_fewest { Layers::BASE.temporal } else { Layers::ALL.temporal },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An encoding with three temporal layers, of which each doubles the pictures; the first takes half of its rate.
    fn temporal(rank: usize, height: u16, cost: u64) -> Vec<Variant> {
        let variant = |(temporal, pictures_permille, percent): (u8, u64, u64)| Variant {
            rank,
            layers: Layers { spatial: 0, temporal },
            is_whole: temporal == 2,
            height: Some(height),
            pictures_permille,
            cost: cost * percent / 100,
        };
        [(0, 250, 50), (1, 500, 70), (2, 1000, 100)].map(variant).to_vec()
    }

    fn whole(rank: usize, height: Option<u16>, cost: u64) -> Variant {
        Variant { rank, layers: Layers::BASE, is_whole: true, height, pictures_permille: 1000, cost }
    }

    fn told(steps: &[Step]) -> Vec<(usize, u8, u64, u64)> {
        steps
            .iter()
            .map(|step| (step.rank, step.layers.temporal, step.cost / 1000, step.value / 1000))
            .collect()
    }

    #[test]
    fn pictures_become_fewer_before_they_become_smaller_but_not_a_quarter() {
        let all =
            [temporal(2, 180, 150_000), temporal(0, 360, 500_000), temporal(1, 720, 1_500_000)].concat();
        assert_eq!(
            told(&steps(&all, false)),
            [
                (2, 0, 75, 90),
                (2, 1, 105, 144),
                (2, 2, 150, 180),
                (0, 1, 350, 288),
                (0, 2, 500, 360),
                (1, 1, 1050, 576),
                (1, 2, 1500, 720)
            ]
        );
        let screen = steps(&all, true);
        assert!(
            told(&screen).contains(&(1, 0, 750, 612)),
            "of a screen few large pictures are better: {screen:?}"
        );
    }

    #[test]
    fn steps_rise_in_height_and_cost_or_in_cost_alone() {
        let known =
            steps(&[whole(0, Some(360), 500), whole(1, Some(720), 400), whole(2, Some(180), 100)], false);
        let steps_of = |steps: &[Step]| -> Vec<_> {
            steps.iter().map(|step| (step.rank, step.value / 1000, step.cost)).collect()
        };
        assert_eq!(steps_of(&known), [(2, 180, 100), (0, 360, 500), (1, 720, 500)]);
        let unknown = steps(&[whole(0, Some(360), 500), whole(1, None, 900), whole(2, None, 100)], false);
        assert_eq!(steps_of(&unknown), [(2, 180, 100), (0, 360, 500), (1, 720, 900)]);
        let nothing_known = steps(&[whole(0, None, 0), whole(1, None, 0)], false);
        assert_eq!(nothing_known.len(), 2, "each of them may come: {nothing_known:?}");
        assert_eq!(steps(&[], false), []);
    }

    #[test]
    fn who_is_given_a_step_may_be_shown_what_is_below_it() {
        let all =
            [temporal(2, 180, 150_000), temporal(0, 360, 500_000), temporal(1, 720, 1_500_000)].concat();
        let steps = steps(&all, false);
        for given in 0..steps.len() {
            let caps = Caps::of(&steps[..=given]);
            let highest = steps.iter().rposition(|step| caps.permits(step));
            assert_eq!(highest, Some(given), "a step is found again by what it permits");
        }
        let caps = Caps::of(&steps[..4]);
        assert_eq!(caps.of_rank(2), Some(Layers::ALL));
        assert_eq!(caps.of_rank(0), Some(Layers { spatial: 0, temporal: 1 }));
        assert_eq!(caps.of_rank(1), None);
        let of_the_smallest = Caps::of(&[Step::whole(2, 180, 1)]);
        assert_eq!(of_the_smallest.with(caps), caps);
        assert!(Caps::of(&[]).is_nothing());
        // What was undivided turns out to have layers, and the other way round.
        let undivided = Caps::of(&[Step::whole(0, 360, 1)]);
        assert!(steps.iter().filter(|step| step.rank == 0).all(|step| undivided.permits(step)));
        assert!(caps.permits(&Step::whole(0, 360, 1)));
    }
}
