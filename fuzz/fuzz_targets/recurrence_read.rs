//! Any text as cron text, in any zone and within any bounds: what is not refused fires, in order, and each instant follows the one before it.
#![no_main]

use chrono::DateTime;
use entrepot::model::time::Timestamp;
use entrepot::recurrence::Schedule;
use shared::{Edit, edited};

const TEXTS: [&str; 6] = ["*/5 * * * *", "30 2 29 feb sun", "0 0,6-18/3 1-15 */2 mon-fri", "15 30 2 l * ?", "@daily", "59 23 31 12 5#3"];

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<Edit<'_>>, u16, [Option<i64>; 2], i64)| {
    let (text, edits, zone, bounds, after) = input;
    let zone = chrono_tz::TZ_VARIANTS[usize::from(zone) % chrono_tz::TZ_VARIANTS.len()];
    let [start, end] = bounds.map(|bound| bound.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map(|at| at.naive_utc()));
    let text = edited(TEXTS[usize::from(text) % TEXTS.len()], &edits);
    match Schedule::new(&text, zone, start, end, None) {
        Err(problem) => assert!(!problem.to_string().is_empty()),
        Ok(schedule) => {
            assert!(schedule.next(Timestamp(-1)).is_some(), "what never fires is refused: {text}");
            let instants = schedule.next_n(Timestamp(after), 20);
            assert!(instants.iter().all(|at| at.0 > after) && instants.is_sorted_by(|one, next| one < next), "{text}: {instants:?}");
            for at in &instants {
                assert_eq!(schedule.next(Timestamp(at.0 - 1)), Some(*at), "{text} in {zone}");
            }
        }
    }
});
