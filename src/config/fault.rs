//! `[[fault]]`: what is done to clients on purpose.

use std::time::Duration;

use super::problem::suggest;
use super::section::Section;
use crate::model::injury::{Effect, Fault, TARGETS, When};

const EFFECTS: [&str; 8] = ["429", "503", "cut before", "cut after", "expired token", "slow", "short lease", "clock"];

pub(super) fn read_faults(root: &Section<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for section in root.sections("fault") {
        section.warning("effect", "clients of this appliance are treated badly on purpose", "remove [[fault]] where real work is done");
        let on = section.name("on").and_then(|word| {
            let found = TARGETS.iter().find(|(name, _)| *name == word).map(|(_, target)| *target);
            if found.is_none() {
                section.problem("on", format!("there are no requests \"{word}\""), suggest(&word, TARGETS.iter().map(|(name, _)| *name)));
            }
            found
        });
        let second = Duration::from_secs(1);
        let day = Duration::from_secs(86_400);
        let retry_after = section.duration("retry_after", second, second..=day);
        let lease = section.duration("lease", second, Duration::ZERO..=day);
        let advance = section.duration("advance", second, Duration::ZERO..=366 * day);
        let rate = section.size("bytes_per_second", 1024, 1..=1 << 30);
        let effect = section.name("effect").and_then(|word| {
            let effect = match word.as_str() {
                "429" => Effect::Refuse(429, retry_after),
                "503" => Effect::Refuse(503, retry_after),
                "cut before" => Effect::CutBefore,
                "cut after" => Effect::CutAfter,
                "expired token" => Effect::ExpiredToken,
                "slow" => Effect::Slow(rate),
                "short lease" => Effect::ShortLease(lease),
                "clock" => Effect::Clock(advance),
                _ => {
                    section.problem("effect", format!("there is no effect \"{word}\""), suggest(&word, EFFECTS));
                    return None;
                }
            };
            Some(effect)
        });
        let every = section.integer("every", 1..=i64::MAX).map(i64::unsigned_abs);
        let probability = section.item("probability").map(|item| {
            let of = item.as_float().or_else(|| item.as_integer().map(|value| value as f64)).filter(|of| (0.0..=1.0).contains(of));
            if of.is_none() {
                section.problem("probability", "a probability is a number from 0 to 1", "0.1 is every tenth request, on average");
            }
            of.unwrap_or(0.0)
        });
        let seed = section.integer("seed", 0..=i64::MAX).map_or(0, i64::unsigned_abs);
        let times = section.integer("times", 1..=i64::MAX).map(i64::unsigned_abs);
        if every.is_some() && probability.is_some() {
            section.problem("every", "only one of every and probability", "take the other out");
        }
        let when = match probability {
            Some(of) => When::Probability { of, seed },
            None => When::Every(every.unwrap_or(1)),
        };
        if let (Some(on), Some(effect)) = (on, effect) {
            faults.push(Fault { on, effect, when, times });
        }
        section.finish();
    }
    faults
}
