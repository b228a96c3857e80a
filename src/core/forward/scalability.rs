//! Scalability: what is known of the layers inside one encoding: how they depend on each other, how large their pictures
//! are, and how much comes of each. From that follows which of them fit a viewer's wish.

use std::time::{Duration, Instant};

use super::ladder::{Candidate, fit};
use crate::core::command::Wish;
use crate::core::media::layers::{Dependencies, LayerInfo, Layers};
use crate::wire::dependency_descriptor::{self, Structure};

/// How many spatial layers are told apart.
pub const SPATIAL_MAX: usize = 4;
/// How many temporal layers are told apart; higher ones count as the last of these.
pub const TEMPORAL_MAX: usize = 4;
/// The time over which is measured.
const WINDOW: Duration = Duration::from_secs(1);

/// How much came of one layer, without those below.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    bytes: u32,
    pictures: u16,
    /// The timestamp of the picture that was counted last.
    timestamp: u32,
}

/// One way to show an encoding: up to some of its layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The layers.
    pub layers: Layers,
    /// Whether that is all that comes.
    pub is_whole: bool,
    /// The height of its pictures in pixels, if it is known.
    pub height: Option<u16>,
    /// How many of the encoding's pictures it has, in 1/1000.
    pub pictures_permille: u64,
    /// How much of the encoding's rate it takes, in 1/1000.
    pub rate_permille: u64,
}

type Shares = [[Share; TEMPORAL_MAX]; SPATIAL_MAX];

/// The layers of one encoding.
#[derive(Debug, Default)]
pub struct Scalability {
    /// The last two structures: packets of the one before may still wait when a key frame brings another.
    structures: [Option<Structure>; 2],
    /// Counts the structures.
    structure: u8,
    /// The decode targets of which the sender sends frames, as a mask.
    active: u32,
    /// Whether larger pictures need nothing of the smaller ones, but for key frames, as in the modes whose names end in `_KEY`.
    sizes_stand_alone: bool,
    /// Width and height of the pictures of each spatial layer; 0 if they are not known.
    sizes: [(u16, u16); SPATIAL_MAX],
    began: Option<Instant>,
    /// What came since then.
    counted: Shares,
    /// What came in the last window that is complete, and how long that was.
    measured: Option<(Shares, Duration)>,
    /// How many bits per second came of each layer, without those below, smoothed over the last few windows, in which one key
    /// frame does not show.
    means: [[u64; TEMPORAL_MAX]; SPATIAL_MAX],
    /// Whether layers have to be chosen anew, because something else is known of them.
    is_new: bool,
    /// Whether other layers come than before.
    has_new_top: bool,
}

impl Scalability {
    /// Reads a dependency descriptor. Returns what it says of its packet; `None` if nothing is known of its structure.
    pub fn read_descriptor(&mut self, bytes: &[u8]) -> Option<LayerInfo> {
        if let Ok(Some(structure)) = dependency_descriptor::structure(bytes) {
            self.take_structure(structure);
        }
        let structure = self.structure(self.structure)?;
        let mandatory = dependency_descriptor::parse(bytes).ok()?;
        let frame = dependency_descriptor::describe(bytes, structure).ok()?;
        let all = u32::MAX >> (32 - structure.decode_targets.len().clamp(1, 32));
        if let Some(active) = frame.active.or(mandatory.has_structure.then_some(all)) {
            self.active = active;
        }
        Some(LayerInfo {
            is_layered: true,
            starts_frame: mandatory.start_of_frame,
            ends_frame: mandatory.end_of_frame,
            layers: Layers { spatial: frame.spatial, temporal: frame.temporal },
            dependencies: Some(Dependencies {
                structure: self.structure,
                indications: frame.indications,
                chain_diffs: frame.chain_diffs,
                active_place: frame.active_place,
            }),
            ..LayerInfo::default()
        })
    }

    fn take_structure(&mut self, structure: Structure) {
        if self.structure(self.structure) == Some(&structure) {
            return;
        }
        self.set_sizes(&structure.resolutions);
        self.sizes_stand_alone = sizes_stand_alone(&structure);
        self.structure = self.structure.wrapping_add(1);
        self.structures[usize::from(self.structure & 1)] = Some(structure);
    }

    /// Returns a structure by its number, if it is one of the last two.
    pub fn structure(&self, number: u8) -> Option<&Structure> {
        let is_kept = self.structure.wrapping_sub(number) < 2;
        self.structures[usize::from(number & 1)].as_ref().filter(|_| is_kept)
    }

    /// Returns the decode targets of which the sender sends frames, as a mask.
    pub fn active(&self) -> u32 {
        self.active
    }

    /// Returns whether larger pictures need nothing of the smaller ones, but for key frames.
    pub fn sizes_stand_alone(&self) -> bool {
        self.sizes_stand_alone
    }

    /// Notes whether a frame of larger pictures needs nothing of the smaller one beside it.
    pub fn note_standing(&mut self, alone: bool) {
        self.sizes_stand_alone = alone;
    }

    /// Notes how large the pictures of the spatial layers are, from the smallest on.
    pub fn set_sizes(&mut self, sizes: &[(u16, u16)]) {
        self.sizes = [(0, 0); SPATIAL_MAX];
        self.sizes.iter_mut().zip(sizes).for_each(|(own, size)| *own = *size);
        self.is_new = true;
    }

    /// Counts a packet.
    pub fn note(&mut self, now: Instant, timestamp: u32, layers: Layers, bytes: usize) {
        let began = *self.began.get_or_insert(now);
        let elapsed = now.saturating_duration_since(began);
        if elapsed >= WINDOW {
            self.is_new = true;
            let (is_first, top) = (self.measured.is_none(), self.top());
            self.measured = Some((self.counted, elapsed));
            self.has_new_top |= is_first || self.top() != top;
            for (mean, share) in self.means.iter_mut().flatten().zip(self.counted.iter().flatten()) {
                let bps = u64::from(share.bytes) * 8_000_000 / (elapsed.as_micros().max(1) as u64);
                *mean = if is_first { bps } else { (3 * *mean + bps) / 4 };
            }
            self.began = Some(now);
            self.counted.iter_mut().flatten().for_each(|share| (share.bytes, share.pictures) = (0, 0));
        }
        let spatial = usize::from(layers.spatial).min(SPATIAL_MAX - 1);
        let temporal = usize::from(layers.temporal).min(TEMPORAL_MAX - 1);
        let share = &mut self.counted[spatial][temporal];
        share.bytes = share.bytes.saturating_add(bytes as u32);
        if share.timestamp != timestamp {
            share.timestamp = timestamp;
            share.pictures = share.pictures.saturating_add(1);
        }
    }

    /// Returns whether something else is known than when this was asked last.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.is_new)
    }

    /// Returns whether other layers come than when this was asked last.
    pub fn take_new_top(&mut self) -> bool {
        std::mem::take(&mut self.has_new_top)
    }

    /// Returns how many bits per second came lately of all layers up to these; `None` before a second has passed.
    pub fn bps(&self, up_to: Layers) -> Option<u64> {
        let (shares, elapsed) = self.measured.as_ref()?;
        let bytes: u64 = self.below(shares, up_to).map(|share| u64::from(share.bytes)).sum();
        Some(bytes * 8_000_000 / (elapsed.as_micros().max(1) as u64))
    }

    /// Returns the ways to show the encoding, up to a limit: each with its layers, the height of its pictures if that is known,
    /// how many of the pictures it has and how much of the rate it takes, both in 1/1000. Empty before a second has passed.
    pub fn parts(&self, limit: Layers) -> Vec<Part> {
        let (Some(top), Some(_)) = (self.top(), &self.measured) else { return Vec::new() };
        let limit = limit.lower(top);
        let rate = |up_to: Layers| -> u64 { self.below(&self.means, up_to).sum() };
        let (whole, all) = (rate(top).max(1), self.pictures(top.temporal).unwrap_or(0).max(1));
        let part = |(spatial, temporal): (u8, u8)| {
            let layers = Layers { spatial, temporal };
            Part {
                layers,
                is_whole: layers == top,
                height: self.size(spatial).map(|(_, height)| height),
                pictures_permille: self.pictures(temporal).unwrap_or(all) * 1000 / all,
                rate_permille: rate(layers) * 1000 / whole,
            }
        };
        let spatial = 0..=limit.spatial;
        spatial
            .flat_map(|spatial| (0..=limit.temporal).map(move |temporal| (spatial, temporal)))
            .map(part)
            .collect()
    }

    /// Returns what is known of the layers that somebody needs who gets the stream up to some layers.
    fn below<'a, T>(
        &self,
        all: &'a [[T; TEMPORAL_MAX]; SPATIAL_MAX],
        up_to: Layers,
    ) -> impl Iterator<Item = &'a T> {
        let top = self.top().map_or(0, |top| top.spatial).min(up_to.spatial);
        let lowest = if self.sizes_stand_alone { top } else { 0 };
        let rows = all.get(usize::from(lowest)..=usize::from(top)).unwrap_or_default();
        let temporal = usize::from(up_to.temporal);
        rows.iter().flat_map(move |row| row.iter().take(temporal.saturating_add(1)))
    }

    /// Returns the width and height of the pictures up to a spatial layer, if they are known.
    pub fn size(&self, spatial: u8) -> Option<(u16, u16)> {
        self.sizes.get(usize::from(spatial)).copied().filter(|(_, height)| *height > 0)
    }

    /// Returns how many pictures came lately in ten seconds of all temporal layers up to this one.
    fn pictures(&self, temporal: u8) -> Option<u64> {
        let (shares, elapsed) = self.measured.as_ref()?;
        let of_layer = |layer: usize| shares.iter().map(|spatial| u64::from(spatial[layer].pictures)).max();
        let pictures: u64 = (0..=usize::from(temporal).min(TEMPORAL_MAX - 1)).filter_map(of_layer).sum();
        Some(pictures * 10_000_000 / (elapsed.as_micros().max(1) as u64))
    }

    /// Returns the highest layers of which something came lately; before a second has passed, those of which the sender has
    /// told the sizes.
    pub fn top(&self) -> Option<Layers> {
        let Some((shares, _)) = &self.measured else {
            let spatial = self.sizes.iter().rposition(|(_, height)| *height > 0)?;
            return Some(Layers { spatial: spatial as u8, temporal: TEMPORAL_MAX as u8 - 1 });
        };
        let came = |share: &Share| share.pictures > 0;
        let spatial = shares.iter().rposition(|spatial| spatial.iter().any(came))?;
        let temporal =
            (0..TEMPORAL_MAX).rfind(|layer| shares.iter().any(|spatial| came(&spatial[*layer])))?;
        Some(Layers { spatial: spatial as u8, temporal: temporal as u8 })
    }

    /// Returns the layers that fit a wish. `before` are those that were chosen last: what fits nearly as well stays.
    pub fn fit(&self, wish: Wish, before: Layers) -> Layers {
        let Some(top) = self.top() else { return Layers::ALL };
        let candidates = (0..=top.spatial).map(|spatial| {
            let (width, height) = self.sizes[usize::from(spatial)];
            let known = |size: u16| (size > 0).then_some(size);
            Candidate {
                place: usize::from(spatial),
                rank: usize::from(top.spatial - spatial),
                width: known(width),
                height: known(height),
            }
        });
        let spatial = fit(wish, candidates).map_or(u8::MAX, |place| place as u8);
        let temporal = wish.frame_rate.map_or(top.temporal, |wanted| {
            let fits = |layer: &u8| {
                // A quarter more than what is wanted is as good. Whoever has a layer keeps it a little longer, so that
                // a rate that is not steady does not make them go up and down.
                let most = u64::from(wanted) * if *layer <= before.temporal { 15 } else { 12 };
                self.pictures(*layer).is_none_or(|pictures| pictures <= most)
            };
            (0..=top.temporal).rfind(fits).unwrap_or(0)
        });
        self.or_all(Layers { spatial, temporal })
    }

    /// Returns the same layers, those that leave out nothing of what comes as [all](Layers::ALL): what comes later is theirs,
    /// too.
    pub fn or_all(&self, layers: Layers) -> Layers {
        let Some(top) = self.top() else { return layers };
        let or_all = |layer: u8, top: u8| if layer < top { layer } else { u8::MAX };
        Layers {
            spatial: or_all(layers.spatial, top.spatial),
            temporal: or_all(layers.temporal, top.temporal),
        }
    }
}

/// Returns whether the target of the largest pictures can be decoded without most frames of smaller ones.
fn sizes_stand_alone(structure: &Structure) -> bool {
    let targets = structure.decode_targets.iter().zip(0_u8..);
    let Some((top, number)) = targets.clone().max_by_key(|(one, _)| (one.spatial, one.temporal)) else {
        return false;
    };
    let within = structure.within(number);
    targets.into_iter().any(|(one, number)| one.spatial < top.spatial && within >> number & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(spatial: u8, temporal: u8) -> Layers {
        Layers { spatial, temporal }
    }

    fn wish(height: Option<u16>, frame_rate: Option<u16>) -> Wish {
        Wish { height, frame_rate, ..Wish::default() }
    }

    /// Two spatial layers of 1000 and 3000 bytes a picture and three temporal ones, 32 pictures a second.
    fn measured() -> Scalability {
        let start = Instant::now();
        let mut scalability = Scalability::default();
        scalability.set_sizes(&[(320, 180), (640, 360)]);
        assert!(scalability.take_news(), "the sizes are known");
        let mut news = 0;
        for picture in 0..40 {
            let now = start + Duration::from_micros(31_250 * picture);
            let temporal = [0, 2, 1, 2][picture as usize % 4];
            for (spatial, bytes) in [(0, 1000), (1, 3000)] {
                let timestamp = 3000 * picture as u32 + 7;
                scalability.note(now, timestamp, layers(spatial, temporal), bytes);
                news += u32::from(scalability.take_news());
            }
        }
        assert_eq!(news, 1);
        scalability
    }

    #[test]
    fn rates_add_up_from_the_base_layer_on() {
        let scalability = measured();
        assert_eq!(scalability.top(), Some(layers(1, 2)));
        let rates = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]
            .map(|(spatial, temporal)| scalability.bps(layers(spatial, temporal)));
        assert_eq!(rates, [64_000, 128_000, 256_000, 256_000, 1_024_000].map(Some));
        assert_eq!(scalability.bps(Layers::ALL), Some(1_024_000));
        assert_eq!(Scalability::default().bps(Layers::ALL), None);
    }

    #[test]
    fn each_part_has_its_share_of_the_pictures_and_of_the_rate() {
        let parts = measured().parts(Layers::ALL);
        let told = parts.iter().map(|part| {
            let Layers { spatial, temporal } = part.layers;
            (spatial, temporal, part.height.unwrap_or(0), part.pictures_permille, part.rate_permille)
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (0, 0, 180, 250, 62),
                (0, 1, 180, 500, 125),
                (0, 2, 180, 1000, 250),
                (1, 0, 360, 250, 250),
                (1, 1, 360, 500, 500),
                (1, 2, 360, 1000, 1000)
            ]
        );
        assert_eq!(parts.iter().filter(|part| part.is_whole).count(), 1);
        let small = measured().parts(layers(0, 1));
        assert!(small.len() == 2 && small.iter().all(|part| !part.is_whole), "{small:?}");
        assert_eq!(Scalability::default().parts(Layers::ALL), []);
    }

    #[test]
    fn the_highest_layers_that_fit_are_chosen() {
        let scalability = measured();
        let fit = |height, frame_rate| scalability.fit(wish(height, frame_rate), Layers::BASE);
        assert_eq!(fit(None, None), Layers::ALL);
        assert_eq!(fit(Some(180), None), layers(0, u8::MAX));
        assert_eq!(fit(Some(360), None), Layers::ALL);
        for (frame_rate, temporal) in [(1, 0), (7, 0), (12, 0), (14, 1), (15, 1), (25, 1), (30, u8::MAX)] {
            assert_eq!(fit(None, Some(frame_rate)), layers(u8::MAX, temporal), "{frame_rate}");
        }
        assert_eq!(Scalability::default().fit(wish(Some(1), Some(1)), Layers::BASE), Layers::ALL);
        let mut sized = Scalability::default();
        sized.set_sizes(&[(320, 180), (640, 360)]);
        assert_eq!(
            sized.fit(wish(Some(180), Some(7)), Layers::BASE),
            layers(0, u8::MAX),
            "rates are not known"
        );
        let upper = layers(u8::MAX, 1);
        assert_eq!(scalability.fit(wish(None, Some(12)), upper), upper, "whoever has it keeps it");
    }
}
