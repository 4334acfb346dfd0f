//! Templates and how values look in them. Everything is escaped by default; the filters that make markup escape what they are given.

use std::sync::OnceLock;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error};
use serde::Serialize;

use crate::model::execution::EntityOutcome;
use crate::model::state::MessageState;
use crate::model::time::Timestamp;

/// A template that does not render: a bug of ours.
#[derive(Debug)]
pub struct RenderError(pub Error);

const TEMPLATES: [(&str, &str); 11] = [
    ("layout.html", include_str!("../../../assets/pages/layout.html")),
    ("parts.html", include_str!("../../../assets/pages/parts.html")),
    ("sign_in.html", include_str!("../../../assets/pages/sign_in.html")),
    ("device.html", include_str!("../../../assets/pages/device.html")),
    ("welcome.html", include_str!("../../../assets/pages/welcome.html")),
    ("workspace_show.html", include_str!("../../../assets/pages/workspace_show.html")),
    ("job_show.html", include_str!("../../../assets/pages/job_show.html")),
    ("message_list.html", include_str!("../../../assets/pages/message_list.html")),
    ("message_show.html", include_str!("../../../assets/pages/message_show.html")),
    ("message_staging.html", include_str!("../../../assets/pages/message_staging.html")),
    ("problem.html", include_str!("../../../assets/pages/problem.html")),
];

/// Compiled at the first page, so that an appliance nobody looks at does not hold them in memory.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::SemiStrict);
        for (name, source) in TEMPLATES {
            // They are part of the binary, and each is rendered by a test.
            environment.add_template(name, source).unwrap_or_else(|error| panic!("template {name}: {error:#}"));
        }
        environment.add_filter("bytes", bytes);
        environment.add_filter("count", count);
        environment.add_filter("moment", moment);
        environment.add_filter("milliseconds", milliseconds);
        environment.add_filter("state_label", state_label);
        environment.add_filter("sentence", sentence);
        environment.add_function("asset", super::asset::address);
        environment
    })
}

/// A page.
pub fn render(name: &str, context: impl Serialize) -> Result<String, RenderError> {
    environment().get_template(name).and_then(|template| template.render(Value::from(Serde(context)))).map_err(RenderError)
}

/// `1.4 MB`; the exact number for small ones.
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "bytes";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "bytes" { format!("{count} bytes") } else { format!("{value:.1} {unit}") }
}

/// `1,234,567`.
fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + 6);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// An RFC 3339 instant as a `<time>`, in UTC to the second; a dash when there is none.
fn moment(at: Value) -> Value {
    let text = at.as_str().unwrap_or_default();
    if text.len() < 19 || !text.is_ascii() || text.contains(['<', '>', '&', '"', '\'']) {
        return Value::from_safe_string("<span class=\"none\">–</span>".into());
    }
    Value::from_safe_string(format!("<time datetime=\"{text}\">{} {}</time>", &text[..10], &text[11..19]))
}

/// `340 ms`, `12.4 s`, `3 min 20 s`.
fn milliseconds(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} ms"),
        1_000..60_000 => format!("{}.{} s", value / 1000, value % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", value / 60_000, value % 60_000 / 1000),
        _ => format!("{} h {} min", value / 3_600_000, value % 3_600_000 / 60_000),
    }
}

/// The word for people of a state.
fn state_label(state: String) -> String {
    match state.parse::<MessageState>() {
        Ok(state) => state.label().to_owned(),
        // Outcomes that an entity alone has.
        Err(_) if state == EntityOutcome::Skipped.name() => "Not run".into(),
        Err(_) if state == EntityOutcome::Staged.name() => "Validated".into(),
        Err(_) => state,
    }
}

/// First letter in upper case.
pub fn sentence(text: String) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The instant in another zone, to the minute, with the day: `Tue 24 Nov 13:05`.
pub fn in_zone(at: Timestamp, zone: chrono_tz::Tz) -> String {
    at.to_utc().with_timezone(&zone).format("%a %-d %b %Y %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_sizes_and_times_rounded_for_people() {
        assert_eq!([count(0), count(999), count(1000), count(1234567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([bytes(999), bytes(1000), bytes(2_147_483_648)], ["999 bytes", "1.0 kB", "2.1 GB"]);
        let times = [milliseconds(7), milliseconds(1250), milliseconds(200_000), milliseconds(7_260_000)];
        assert_eq!(times, ["7 ms", "1.2 s", "3 min 20 s", "2 h 1 min"]);
    }

    #[test]
    fn what_is_no_instant_is_no_markup() {
        assert!(moment(Value::from("2026-11-24T12:00:00.000Z")).to_string().contains(">2026-11-24 12:00:00<"));
        for hostile in ["", "<script>alert(1)</script>aaaaaaaa", "2026-11-24T12:00:00.\"onx=", "ééééééééééééé"] {
            assert!(moment(Value::from(hostile)).to_string().starts_with("<span"), "{hostile}");
        }
    }
}
