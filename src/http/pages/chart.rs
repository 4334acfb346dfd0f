//! The load of a job's queue as a picture, and as numbers for those who cannot see it. Pure: samples in, markup out.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::time::Timestamp;
use crate::store::jobs::LoadSample;

/// Quarters of an hour in a day.
const BUCKETS: usize = 96;
const BUCKET_MS: i64 = 15 * 60 * 1000;
/// The picture is stretched to the width of the page: only its proportions matter.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 100.0;

#[derive(Clone, Copy, Default)]
struct Bucket {
    sampled: bool,
    depth: u64,
    arrivals: u64,
    processed: u64,
}

/// The last 24 hours up to `now`: the depth of the queue as a line, arrivals and ends as bars. `null` without a sample.
pub fn load(samples: &[LoadSample], now: Timestamp) -> Value {
    let mut buckets = [Bucket::default(); BUCKETS];
    let begin = now.minus(Duration::from_millis(BUCKET_MS.unsigned_abs() * BUCKETS as u64));
    let mut any = false;
    for sample in samples {
        let Ok(index) = usize::try_from((sample.at.0 - begin.0 - 1).div_euclid(BUCKET_MS)) else { continue };
        let Some(bucket) = buckets.get_mut(index) else { continue };
        any = true;
        bucket.sampled = true;
        bucket.depth = bucket.depth.max(sample.depth);
        bucket.arrivals += sample.arrivals;
        bucket.processed += sample.processed;
    }
    if !any {
        return Value::Null;
    }
    let depth_max = buckets.iter().map(|bucket| bucket.depth).max().unwrap_or(0);
    let flow_max = buckets.iter().map(|bucket| bucket.arrivals.max(bucket.processed)).max().unwrap_or(0);
    json!({
        "depth": depth(&buckets, depth_max), "flow": flow(&buckets, flow_max), "depth_max": depth_max, "flow_max": flow_max,
        "depth_now": samples.last().map_or(0, |sample| sample.depth), "oldest_now": samples.last().map_or(0, |sample| sample.oldest_age_seconds * 1000),
        "arrivals": buckets.iter().map(|bucket| bucket.arrivals).sum::<u64>(), "processed": buckets.iter().map(|bucket| bucket.processed).sum::<u64>(),
    })
}

fn height(value: u64, most: u64) -> f64 {
    if most == 0 { 0.0 } else { value as f64 / most as f64 * (HEIGHT - 4.0) }
}

/// An area per stretch of buckets that were sampled: where nothing was sampled, nothing is drawn.
fn depth(buckets: &[Bucket; BUCKETS], most: u64) -> String {
    let step = WIDTH / BUCKETS as f64;
    let mut svg = opening("Depth of the queue", &format!("Messages waiting or in work over the last 24 hours, at most {most}"));
    let mut index = 0;
    while index < BUCKETS {
        if !buckets[index].sampled {
            index += 1;
            continue;
        }
        let first = index;
        let mut line = String::new();
        while index < BUCKETS && buckets[index].sampled {
            let y = HEIGHT - height(buckets[index].depth, most);
            let _ = write!(line, " L{:.1} {y:.1} L{:.1} {y:.1}", index as f64 * step, (index + 1) as f64 * step);
            index += 1;
        }
        let (left, right) = (first as f64 * step, index as f64 * step);
        let _ = write!(svg, "<path class=\"area\" d=\"M{left:.1} {HEIGHT}{line} L{right:.1} {HEIGHT} Z\"/>");
        let _ = write!(svg, "<path class=\"line\" d=\"M{}\"/>", line.trim_start_matches(" L"));
    }
    svg.push_str("</svg>");
    svg
}

fn flow(buckets: &[Bucket; BUCKETS], most: u64) -> String {
    let step = WIDTH / BUCKETS as f64;
    let mut svg = opening("Arrivals and ends", &format!("Messages that came and that ended per quarter of an hour, at most {most}"));
    for (index, bucket) in buckets.iter().enumerate() {
        for (class, value, shift) in [("arrived", bucket.arrivals, 0.1), ("ended", bucket.processed, 0.5)] {
            if value > 0 {
                let tall = height(value, most);
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
                    (index as f64 + shift) * step,
                    HEIGHT - tall,
                    step * 0.4
                );
            }
        }
    }
    svg.push_str("</svg>");
    svg
}

fn opening(title: &str, description: &str) -> String {
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}. {description}\"><title>{title}</title><desc>{description}</desc>"
    )
}

/// The same by the hour, newest first, for a table.
pub fn hours(samples: &[LoadSample]) -> Vec<Value> {
    let mut hours: Vec<(i64, LoadSample)> = Vec::new();
    for sample in samples.iter().rev() {
        let hour = sample.at.0.div_euclid(3_600_000);
        match hours.last_mut().filter(|(known, _)| *known == hour) {
            None => hours.push((hour, *sample)),
            Some((_, sum)) => {
                sum.depth = sum.depth.max(sample.depth);
                sum.oldest_age_seconds = sum.oldest_age_seconds.max(sample.oldest_age_seconds);
                sum.arrivals += sample.arrivals;
                sum.processed += sample.processed;
                sum.duration_ms += sample.duration_ms;
            }
        }
    }
    let row = |(hour, sum): (i64, LoadSample)| {
        json!({
            "at": Timestamp(hour * 3_600_000), "depth": sum.depth, "oldest_ms": sum.oldest_age_seconds * 1000, "arrivals": sum.arrivals,
            "processed": sum.processed, "duration_ms": sum.duration_ms,
        })
    };
    hours.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(minutes_ago: i64, depth: u64, arrivals: u64) -> LoadSample {
        LoadSample {
            at: Timestamp(NOW - minutes_ago * 60_000),
            depth,
            oldest_age_seconds: 60,
            arrivals,
            processed: arrivals,
            duration_ms: 5,
        }
    }

    const NOW: i64 = 1_795_521_600_000;

    #[test]
    fn every_sample_of_the_day_is_in_the_sums_and_older_ones_are_not() {
        let samples = [sample(24 * 60 + 1, 99, 7), sample(23 * 60, 3, 2), sample(90, 4, 5), sample(0, 1, 1)];
        let chart = load(&samples, Timestamp(NOW));
        assert_eq!((chart["arrivals"].as_u64(), chart["depth_max"].as_u64(), chart["depth_now"].as_u64()), (Some(8), Some(4), Some(1)));
        assert_eq!(chart["depth"].as_str().unwrap().matches("class=\"area\"").count(), 3, "gaps stay gaps");
        let hours = hours(&samples);
        assert_eq!(hours.iter().map(|hour| hour["arrivals"].as_u64().unwrap()).sum::<u64>(), 15);
        assert_eq!(hours[0]["at"], "2026-11-24T12:00:00.000Z");
    }

    #[test]
    fn without_samples_there_is_no_picture_and_an_empty_queue_is_a_flat_line() {
        assert!(load(&[], Timestamp(NOW)).is_null());
        let flat = load(&[sample(0, 0, 0)], Timestamp(NOW));
        assert!(
            flat["depth"].as_str().unwrap().contains("L950.0 100.0") || flat["depth"].as_str().unwrap().contains("M950.0 100.0"),
            "{flat}"
        );
        assert!(!flat["depth"].as_str().unwrap().contains("NaN") && !flat["flow"].as_str().unwrap().contains("<rect"));
    }
}
