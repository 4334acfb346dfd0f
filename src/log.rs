//! How log lines look: on stderr or in a file, time first, level, then the event with its fields, or one JSON object a line.

pub mod rolling;

use std::io::Write;

use serde_json::json;

use crate::clock::Clock;

/// How to write the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// Starts logging on stderr, at `default` or as `RUST_LOG` says.
pub fn start(format: LogFormat, default: &str) {
    start_on(env_logger::Target::Stderr, format, default);
}

/// Starts logging into a file.
pub fn start_in(file: rolling::RollingFile, format: LogFormat, default: &str) {
    start_on(env_logger::Target::Pipe(Box::new(file)), format, default);
}

fn start_on(target: env_logger::Target, format: LogFormat, default: &str) {
    let environment = env_logger::Env::default().default_filter_or(default);
    let mut builder = env_logger::Builder::from_env(environment);
    builder.target(target).format(move |out, record| {
        // The log tells the machine's time, also when a test sets the appliance's clock.
        let at = Clock::system().now();
        let level = record.level().as_str().to_ascii_lowercase();
        match format {
            LogFormat::Text => writeln!(out, "{at} {level:<5} {}", record.args()),
            LogFormat::Json => {
                writeln!(out, "{}", json!({ "at": at, "level": level, "target": record.target(), "message": record.args().to_string() }))
            }
        }
    });
    // A second start, in one process, keeps the first.
    let _ = builder.try_init();
}
