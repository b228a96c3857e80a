//! Figures as text: OpenMetrics 1.0, or the older text format of Prometheus.
//!
//! Nothing is registered beforehand: a page is a list of families that the caller has just filled with numbers.

use std::fmt::Write;

/// The text format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics, for scrapers that name it.
    OpenMetrics,
    /// The older format, which all scrapers read.
    PrometheusText,
}

impl Format {
    /// Returns the value of `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The unit of a family. Its name ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, of payload unless the help says otherwise.
    Bytes,
    /// Seconds, with a fraction.
    Seconds,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
        }
    }
}

/// One number, or a histogram of many.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number that only grows.
    Counter(u64),
    /// A number that only grows, with a fraction.
    Seconds(f64),
    /// A number that goes up and down.
    Gauge(f64),
    /// No number: only the labels matter.
    Info,
    /// Buckets (upper bound and count, not cumulated; the last bound is infinite), and the sum of all values.
    Histogram(Vec<(f64, u64)>, f64),
}

/// Labels and a number.
pub type Sample = (Vec<(&'static str, String)>, Value);

/// Makes a sample with these labels.
pub fn labelled<const N: usize>(labels: [(&'static str, &str); N], value: Value) -> Sample {
    (labels.map(|(name, value)| (name, value.to_owned())).to_vec(), value)
}

/// Makes counters that one label tells apart.
pub fn counted<const N: usize>(name: &'static str, counts: [(&str, u64); N]) -> Vec<Sample> {
    counts.map(|(label, count)| labelled([(name, label)], Value::Counter(count))).to_vec()
}

/// Makes gauges that one label tells apart.
pub fn gauged<'a>(name: &'static str, counts: impl IntoIterator<Item = (&'a str, usize)>) -> Vec<Sample> {
    counts.into_iter().map(|(label, count)| labelled([(name, label)], Value::Gauge(count as f64))).collect()
}

/// Samples of one name.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    samples: Vec<Sample>,
}

/// A list of families.
#[derive(Debug, Default)]
pub struct Page(Vec<Family>);

impl Page {
    /// Adds a family. `name` is without unit and `_total`; all samples must be of one sort.
    pub fn add(
        &mut self,
        name: &'static str,
        unit: Option<Unit>,
        help: &'static str,
        samples: impl IntoIterator<Item = Sample>,
    ) {
        self.0.push(Family { name, unit, help, samples: samples.into_iter().collect() });
    }

    /// Adds a family of a single sample without labels.
    pub fn one(&mut self, name: &'static str, unit: Option<Unit>, help: &'static str, value: Value) {
        self.add(name, unit, help, [(Vec::new(), value)]);
    }

    /// Writes the page as text.
    pub fn text(&self, format: Format) -> String {
        let mut out = String::new();
        for family in &self.0 {
            family.write(&mut out, format);
        }
        if format == Format::OpenMetrics {
            out += "# EOF\n";
        }
        out
    }
}

impl Family {
    fn write(&self, out: &mut String, format: Format) {
        let Some((_, first)) = self.samples.first() else { return };
        let name = match self.unit {
            Some(unit) => format!("{}_{}", self.name, unit.as_str()),
            None => self.name.to_owned(),
        };
        let (sort, suffix) = match first {
            Value::Counter(_) | Value::Seconds(_) => ("counter", "_total"),
            Value::Gauge(_) => ("gauge", ""),
            Value::Info => ("info", "_info"),
            Value::Histogram(..) => ("histogram", ""),
        };
        // The older format declares the name that samples have, and knows neither infos nor units.
        let (declared, sort) = match (format, sort) {
            (Format::OpenMetrics, sort) => (name.clone(), sort),
            (Format::PrometheusText, "info") => (format!("{name}{suffix}"), "gauge"),
            (Format::PrometheusText, sort) => (format!("{name}{suffix}"), sort),
        };
        line(out, format_args!("# HELP {declared} {}.", self.help));
        line(out, format_args!("# TYPE {declared} {sort}"));
        if let (Format::OpenMetrics, Some(unit)) = (format, self.unit) {
            line(out, format_args!("# UNIT {declared} {}", unit.as_str()));
        }
        for (labels, value) in &self.samples {
            let labels = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value)));
            let labels: Vec<String> = labels.collect();
            sample(out, &format!("{name}{suffix}"), &labels, value);
        }
    }
}

fn sample(out: &mut String, name: &str, labels: &[String], value: &Value) {
    let braced = |labels: &[String]| match labels {
        [] => String::new(),
        labels => format!("{{{}}}", labels.join(",")),
    };
    match value {
        Value::Counter(value) => line(out, format_args!("{name}{} {value}", braced(labels))),
        Value::Info => line(out, format_args!("{name}{} 1", braced(labels))),
        // `Debug` always writes a decimal point, by which OpenMetrics knows floating-point numbers.
        Value::Seconds(value) | Value::Gauge(value) => {
            line(out, format_args!("{name}{} {value:?}", braced(labels)));
        }
        Value::Histogram(buckets, sum) => {
            let mut count = 0;
            for (bound, in_bucket) in buckets {
                count += in_bucket;
                let bound = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".to_owned() };
                let labels = [labels, &[format!("le=\"{bound}\"")]].concat();
                line(out, format_args!("{name}_bucket{} {count}", braced(&labels)));
            }
            line(out, format_args!("{name}_sum{} {sum:?}", braced(labels)));
            line(out, format_args!("{name}_count{} {count}", braced(labels)));
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let mut page = Page::default();
        let labels = vec![("kind", "a\"b\\c\nd".to_owned())];
        page.add("strait_sent", Some(Unit::Bytes), "Sent", [(labels.clone(), Value::Counter(7))]);
        page.one("strait_rooms", None, "Rooms", Value::Gauge(2.0));
        page.add("strait_build", None, "Build", [(labels, Value::Info)]);
        let buckets = vec![(0.5, 1), (f64::INFINITY, 2)];
        page.one("strait_setup", Some(Unit::Seconds), "Time", Value::Histogram(buckets, 1.5));
        page.add("strait_none", None, "Never seen", []);
        page
    }

    #[test]
    fn a_page_is_open_metrics_text() {
        let text = page().text(Format::OpenMetrics);
        for line in [
            "# HELP strait_sent_bytes Sent.",
            "# TYPE strait_sent_bytes counter",
            "# UNIT strait_sent_bytes bytes",
            "strait_sent_bytes_total{kind=\"a\\\"b\\\\c\\nd\"} 7",
            "strait_rooms 2.0",
            "strait_build_info{kind=\"a\\\"b\\\\c\\nd\"} 1",
            "strait_setup_seconds_bucket{le=\"0.5\"} 1",
            "strait_setup_seconds_bucket{le=\"+Inf\"} 3",
            "strait_setup_seconds_count 3",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains("strait_none"), "{text}");
    }

    #[test]
    fn the_older_format_declares_names_as_they_stand() {
        let text = page().text(Format::PrometheusText);
        assert!(text.contains("# TYPE strait_sent_bytes_total counter\nstrait_sent_bytes_total{"), "{text}");
        assert!(text.contains("# TYPE strait_build_info gauge\n") && !text.contains("# UNIT"), "{text}");
        assert!(!text.contains("# EOF") && text.contains("# TYPE strait_setup_seconds histogram"), "{text}");
    }
}
