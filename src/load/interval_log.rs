//! Latency second by second as an HdrHistogram log (the text form whose histograms are V2, deflated, base 64), which the
//! usual plotters and `hdr-plot` read. Values are nanoseconds; the log's own maximum is in milliseconds.

use std::io;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use super::generator::Generator;

/// Nanoseconds in the unit of the log's maxima.
const MAX_DIVISOR: f64 = 1e6;

/// Writes the log of a run.
pub(super) fn write(run: &Generator, began: SystemTime) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let profile = run.shared.options.profile.name();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!("[strait load {}, profile {profile}]", env!("CARGO_PKG_VERSION")))
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(&mut out, &mut serializer)?;
    for interval in &run.intervals {
        let histogram = interval.latency.histogram();
        log.write_histogram(histogram, interval.start, Duration::from_secs(1), None)
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
    }
    Ok(out)
}
