//! Configurations that were whole before a few edits: each is refused with problems that have a place, or can be shown as it is in force, with schedules
//! that run in order.
#![no_main]

use std::path::Path;

use entrepot::config::effective::effective;
use entrepot::config::parse::parse;
use entrepot::model::job::Recurrence;
use entrepot::model::time::Timestamp;
use shared::{Edit, edited};

const WHOLE: &str = include_str!("../src/whole.toml");

/// The hashes in it. What an edit leaves of one, behind a comment's sign, tells nothing.
const HASHES: [&str; 2] = [
    "sha256:4eff7fe4a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c",
    "$argon2id$v=19$m=19456,t=2,p=1$nauk9vXvtSKHgurIuz0Z6Q$YrFtma1BDnvBJHl8a+bAI5Zc0dbIkv/xgxe94epzvao",
];

libfuzzer_sys::fuzz_target!(init: {
    if let Err(problems) = parse(WHOLE, Path::new("/base"), None) {
        panic!("{problems}");
    }
}, |edits: Vec<Edit<'_>>| {
    let text = edited(WHOLE, &edits);
    match parse(&text, Path::new("/base"), None) {
        Ok(checked) => {
            let shown = effective(&text, &checked.config);
            assert!(!HASHES.iter().any(|hash| shown.contains(hash)), "hashes of secrets are masked");
            for job in &checked.config.jobs {
                let Recurrence::Schedule(schedule) = &job.recurrence else { continue };
                assert!(schedule.next_n(Timestamp(1_700_000_000_000), 5).is_sorted());
            }
        }
        Err(problems) => {
            let mut faults = problems.problems.iter().filter(|problem| !problem.warning).peekable();
            assert!(faults.peek().is_some(), "it is refused for a reason");
            let lines = text.lines().count() + 1;
            faults.for_each(|fault| assert!(!fault.message.is_empty() && fault.line as usize <= lines, "{fault:?}"));
        }
    }
});
