//! The lanes: a drawing of the call, with time from left to right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::super::model::{Blame, Explanation, Person, Published, Second, Watched};
use super::super::text::clock;
use super::super::time::{Span, Time};
use super::super::words;
use super::escaped;
use crate::core::command::{MediaKind, Source};
use crate::core::path::Carrier;

/// The widths of the column of labels, of the drawing, and of the column after it.
const LEFT: f64 = 210.0;
const WIDTH: f64 = 1000.0;
const RIGHT: f64 = 90.0;
const AXIS: f64 = 30.0;
const NAME: f64 = 30.0;
const ROUTE: f64 = 9.0;
const LANE: f64 = 26.0;
const GAP: f64 = 6.0;
/// The most bars of a lane. A bar stands for one or more seconds.
const BARS_MAX: usize = 500;
/// The most characters of a label. More would run into the drawing.
const LABEL_CHARS: usize = 30;
const TICKS_MAX: u64 = 10;

struct Drawing {
    out: String,
    length: f64,
    y: f64,
}

/// Returns all participants' lanes as SVG.
pub fn draw(explanation: &Explanation) -> String {
    let length = explanation.call_time.seconds().max(0.1);
    let mut drawing = Drawing { out: String::new(), length, y: AXIS };
    for (number, person) in explanation.participants.iter().enumerate() {
        drawing.person(number, person);
    }
    let height = drawing.y + GAP;
    let axis = drawing.axis(height);
    let hatch = "<pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
                 patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern>";
    format!(
        "<svg viewBox=\"0 0 {:.0} {height:.0}\" role=\"img\" aria-label=\"lanes of all participants\">\n\
         <defs>{hatch}</defs>\n{axis}{}</svg>\n",
        LEFT + WIDTH + RIGHT,
        drawing.out
    )
}

/// Returns how many seconds lie between two ticks of the axis.
fn tick_step(length: f64) -> u64 {
    let steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200];
    let fits = |step: &u64| length / *step as f64 <= TICKS_MAX as f64;
    steps.into_iter().find(fits).unwrap_or((length as u64 / TICKS_MAX).max(1))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LABEL_CHARS {
        return text.to_owned();
    }
    text.chars().take(LABEL_CHARS - 1).chain(['…']).collect()
}

fn media_class(source: Source) -> &'static str {
    match source.kind() {
        MediaKind::Audio => "audio",
        MediaKind::Video => "media",
    }
}

fn blame_class(blame: Blame) -> &'static str {
    match blame {
        Blame::Publisher => "publisher",
        Blame::PublisherUplink => "publisher-uplink",
        Blame::Server => "server",
        Blame::SubscriberDownlink => "subscriber-downlink",
    }
}

impl Drawing {
    fn x(&self, at: Time) -> f64 {
        LEFT + (at.seconds() / self.length).clamp(0.0, 1.0) * WIDTH
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let text = escaped(text);
        let _ = writeln!(self.out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    /// Draws a bar from one moment to another, with a tooltip.
    fn bar(&mut self, class: &str, span: &Span, (y, height): (f64, f64), says: &str) {
        let (from, to) = (self.x(span.from), self.x(span.to));
        // Even a short one must be visible and wide enough to point at.
        let width = (to - from).max(1.5);
        let says = escaped(says);
        let _ = writeln!(
            self.out,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">\
             <title>{says}</title></rect>"
        );
    }

    fn axis(&self, height: f64) -> String {
        let mut out = String::new();
        let step = tick_step(self.length);
        let mut second = 0;
        while second as f64 <= self.length {
            let at = Time(Duration::from_secs(second));
            let x = self.x(at);
            let (minutes, seconds) = (second / 60, second % 60);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{height:.1}\"/>\
                 <text class=\"tick middle\" x=\"{x:.1}\" y=\"{:.1}\">{minutes}:{seconds:02}</text>",
                AXIS - 8.0,
                AXIS - 13.0
            );
            second += step;
        }
        out
    }

    fn person(&mut self, number: usize, person: &Person) {
        // All tracks of one source are one lane, however often they were in a slot.
        let mut watched: BTreeMap<(&str, Source), Vec<&Watched>> = BTreeMap::new();
        for watch in &person.watches {
            watched.entry((watch.of.as_str(), watch.source)).or_default().push(watch);
        }
        let mut published: BTreeMap<Source, Vec<&Published>> = BTreeMap::new();
        for publish in &person.publishes {
            published.entry(publish.source).or_default().push(publish);
        }
        let lanes = (watched.len() + published.len()) as f64;
        let height = NAME + ROUTE + GAP + lanes * (LANE + GAP) + GAP;
        let _ = writeln!(self.out, "<g class=\"lane\" data-participant=\"{}\">", escaped(&person.id));
        // Every other participant has a background, so that the eye finds the end of a row.
        if number.is_multiple_of(2) {
            let (y, width) = (self.y, LEFT + WIDTH + RIGHT);
            let _ = writeln!(
                self.out,
                "<rect class=\"band\" x=\"0\" y=\"{y:.1}\" width=\"{width:.0}\" height=\"{height:.1}\"/>"
            );
        }
        let top = self.y;
        self.text("name", 14.0, top + 21.0, &shortened(&person.name));
        self.routes(person, top + NAME - 8.0);
        self.y = top + NAME + ROUTE + GAP;
        for (source, publishes) in published {
            self.published(source, &publishes);
        }
        for ((of, source), watches) in watched {
            self.watched(of, source, &watches);
        }
        self.y = top + height;
        self.out.push_str("</g>\n");
    }

    fn routes(&mut self, person: &Person, y: f64) {
        self.bar("track", &person.present, (y, ROUTE), &format!("{} was there", person.name));
        for route in &person.routes {
            let class = match route.by {
                Some(Carrier::Udp) => "udp",
                Some(Carrier::Tcp | Carrier::Tls) => "tcp",
                Some(Carrier::TurnUdp | Carrier::TurnTcp | Carrier::TurnTls) => "turn",
                None => "cut",
            };
            let how = match route.by {
                Some(by) => format!("reached by {}", words::carrier(by)),
                None => "could not be reached".to_owned(),
            };
            let address = route.address.as_deref().unwrap_or_default();
            let span = route.span;
            let says = format!("{how} {address}, {} to {}", clock(span.from), clock(span.to));
            self.bar(class, &span, (y, ROUTE), &says);
        }
        let kinds = [
            "ice-restart",
            "signalling-lost",
            "signalling-back",
            "path-changed",
            "path-lost",
            "path-back",
            "media-lost",
            "media-back",
            "topology",
        ];
        for entry in person.timeline.iter().filter(|entry| kinds.contains(&entry.kind)) {
            let (x, says) = (self.x(entry.at), escaped(&format!("{}: {}", clock(entry.at), entry.text)));
            let y = y + ROUTE / 2.0;
            let _ = writeln!(
                self.out,
                "<circle class=\"mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{says}</title></circle>"
            );
        }
    }

    fn label(&mut self, verb: &str, what: &str) {
        let y = self.y + LANE / 2.0 + 4.0;
        self.text("soft", 14.0, y, verb);
        self.text("", 64.0, y, &shortened(what));
    }

    fn published(&mut self, source: Source, publishes: &[&Published]) {
        self.label("sends", words::source(source));
        let lane = (self.y, LANE);
        for publish in publishes {
            self.bar("track", &publish.published, lane, words::source(source));
        }
        let seconds = publishes.iter().map(|publish| (publish.published.from, publish.seconds.as_slice()));
        self.area(media_class(source), seconds, true);
        for publish in publishes {
            for muted in &publish.muted {
                self.bar("quiet", muted, lane, &format!("muted for {}", muted.length()));
            }
            for request in &publish.keyframe_requests {
                let (x, bottom) = (self.x(request.at), self.y + LANE);
                let answer =
                    request.answered.map_or("none came".to_owned(), |after| format!("came after {after}"));
                let says =
                    format!("{}: key frame asked for, because {}; {answer}", clock(request.at), request.why);
                let _ = writeln!(
                    self.out,
                    "<path class=\"ask\" d=\"M{x:.1} {:.1}l4 7h-8z\"><title>{}</title></path>",
                    bottom - 7.0,
                    escaped(&says)
                );
            }
        }
        self.y += LANE + GAP;
    }

    fn watched(&mut self, of: &str, source: Source, watches: &[&Watched]) {
        let verb = if source.kind() == MediaKind::Video { "sees" } else { "hears" };
        self.label(verb, &format!("{of}’s {}", words::source(source)));
        let lane = (self.y, LANE);
        for watch in watches {
            self.bar("track", &watch.shown, lane, &format!("{of}'s {}", words::source(source)));
        }
        let seconds = watches.iter().map(|watch| (watch.shown.from, watch.seconds.as_slice()));
        self.area(media_class(source), seconds, false);
        for watch in watches {
            for paused in &watch.paused {
                self.bar("quiet", paused, lane, &format!("paused for {}", paused.length()));
            }
            for freeze in &watch.freezes {
                let class = format!("freeze {}", blame_class(freeze.blame));
                let (from, lasted) = (clock(freeze.span.from), freeze.span.length());
                let says = format!("{from}: stood still for {lasted}: {}", freeze.why);
                self.bar(&class, &freeze.span, lane, &says);
            }
        }
        self.y += LANE + GAP;
    }

    /// Draws packets that passed as bars upwards, and lost packets as bars downwards.
    fn area<'s>(
        &mut self,
        class: &str,
        tracks: impl Iterator<Item = (Time, &'s [Second])>,
        counts_arrivals: bool,
    ) {
        let bars = (self.length.ceil() as usize).clamp(1, BARS_MAX);
        let each = self.length.ceil().max(1.0) / bars as f64;
        let mut sums = vec![(0.0, 0.0, 0.0); bars];
        for (from, seconds) in tracks {
            for (index, second) in seconds.iter().enumerate() {
                let bar = ((from.0.as_secs() as f64 + index as f64) / each) as usize;
                let Some(sum) = sums.get_mut(bar) else { continue };
                let lost = f64::from(second.lost);
                sum.0 += f64::from(second.bytes);
                sum.1 += f64::from(second.packets) + if counts_arrivals { lost } else { 0.0 };
                sum.2 += lost;
            }
        }
        // Each lane has a scale of its own, which the rate beside it tells, because audio would be invisible on the
        // scale of video.
        let most = sums.iter().map(|sum| sum.0).fold(0.0, f64::max);
        if most <= 0.0 {
            return;
        }
        let bottom = self.y + LANE;
        let (mut passed, mut lost) = (String::new(), String::new());
        for (index, (bytes, packets, missing)) in sums.iter().enumerate() {
            let from = (LEFT + index as f64 * each / self.length * WIDTH).min(LEFT + WIDTH);
            let to = (LEFT + (index + 1) as f64 * each / self.length * WIDTH).min(LEFT + WIDTH);
            let (width, height) = (to - from, bytes / most * (LANE - 4.0));
            if height > 0.0 && width > 0.0 {
                let _ = write!(passed, "M{from:.1} {bottom:.1}v-{height:.1}h{width:.1}v{height:.1}z");
            }
            if *missing > 0.0 && width > 0.0 {
                // Loss is drawn by its share, but never too thin to be seen.
                let height = (missing / packets.max(1.0)).clamp(0.0, 1.0) * LANE;
                let (height, top) = (height.max(2.0), self.y);
                let _ = write!(lost, "M{from:.1} {top:.1}v{height:.1}h{width:.1}v-{height:.1}z");
            }
        }
        let _ = writeln!(self.out, "<path class=\"{class}\" d=\"{passed}\"/>");
        if !lost.is_empty() {
            let _ =
                writeln!(self.out, "<path class=\"loss\" d=\"{lost}\"><title>packets lost</title></path>");
        }
        let rate = words::bit_rate((most * 8.0 / each) as u64);
        self.text("soft end", LEFT + WIDTH + RIGHT - 12.0, self.y + LANE / 2.0 + 4.0, &rate);
    }
}
