//! Figures as text: OpenMetrics by `prometheus-client`, or the older text format of Prometheus, which is made from it.
//!
//! Nothing is registered beforehand: a page is a list of families that somebody has just filled with numbers.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// The media type that OpenMetrics is sent as.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type that the older format is sent as.
pub const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    /// Adds a family. `name` lacks its unit and `_total`; all samples must be of one sort.
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

    /// Writes the page as OpenMetrics text.
    pub fn open_metrics(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for Family { name, unit, help, samples } in &self.0 {
            let Some((_, first)) = samples.first() else { continue };
            let metric_type = match first {
                Value::Counter(_) | Value::Seconds(_) => MetricType::Counter,
                Value::Gauge(_) => MetricType::Gauge,
                Value::Info => MetricType::Info,
                Value::Histogram(..) => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), metric_type)?;
            if let [(labels, value)] = samples.as_slice()
                && labels.is_empty()
            {
                encode(value, metric)?;
                continue;
            }
            for (labels, value) in samples {
                match value {
                    Value::Info => metric.encode_info(labels)?,
                    value => encode(value, metric.encode_family(labels)?)?,
                }
            }
        }
        Ok(())
    }
}

fn encode(value: &Value, mut metric: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match value {
        Value::Counter(value) => ConstCounter::new(*value).encode(metric),
        Value::Seconds(value) => ConstCounter::new(*value).encode(metric),
        Value::Gauge(value) => ConstGauge::new(*value).encode(metric),
        Value::Histogram(buckets, sum) => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
        Value::Info => Ok(()),
    }
}

/// Translates a page to the older format: counters are declared by the name that their samples have, an info is a
/// gauge, and units and the end are not marked.
pub fn prometheus_text(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help: Option<&str> = None;
    for line in open_metrics.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
        } else if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, sort) = declared.split_once(' ').unwrap_or((declared, "untyped"));
            let (suffix, sort) = match sort {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            let words = help.take().and_then(|line| line.splitn(4, ' ').nth(3)).unwrap_or_default();
            out += &format!("# HELP {name}{suffix} {words}\n# TYPE {name}{suffix} {sort}\n");
        } else if !line.starts_with('#') {
            out += line;
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let mut page = Page::default();
        let labels = vec![("kind", "a\"b".to_owned())];
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
        let text = page().open_metrics().expect("it is written");
        for line in [
            "# TYPE strait_sent_bytes counter",
            "# UNIT strait_sent_bytes bytes",
            "strait_sent_bytes_total{kind=\"a\\\"b\"} 7",
            "strait_rooms 2.0",
            "strait_build_info{kind=\"a\\\"b\"} 1",
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
        let text = prometheus_text(&page().open_metrics().expect("it is written"));
        assert!(text.contains("# TYPE strait_sent_bytes_total counter\nstrait_sent_bytes_total{"), "{text}");
        assert!(text.contains("# TYPE strait_build_info gauge\n") && !text.contains("# UNIT"), "{text}");
        assert!(!text.contains("# EOF") && text.contains("# TYPE strait_setup_seconds histogram"), "{text}");
    }
}
