//! Guesses how delimited text is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{FIXED_WIDTH, Shape, encoding_key, kind_of, text_of};
use crate::model::format::{CsvFormat, Format};

/// Delimiter and header of delimited text: the delimiter that most lines have equally often.
pub(super) fn csv(sample: &[u8]) -> Result<Shape, String> {
    let (text, encoding) = text_of(sample, false);
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(50).collect();
    // A first line that states the delimiter is passed over when the document is read, too.
    let stated = lines.first().and_then(|line| line.strip_prefix("sep=")).filter(|stated| stated.chars().count() == 1);
    if stated.is_some() {
        lines.remove(0);
    }
    let score = |delimiter: &str| {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        let outside = |line: &str| line.split('"').step_by(2).map(|part| part.matches(delimiter).count()).sum::<usize>();
        lines.iter().for_each(|line| *counts.entry(outside(line)).or_default() += 1);
        let best = counts.into_iter().filter(|(count, _)| *count > 0).max_by_key(|(count, lines)| (*lines, *count));
        best.map_or((0, 0), |(count, lines)| (lines, count))
    };
    // Of two that stand equally often, the one that stands in values less often. Colons stand in times.
    let best = [",", ";", "|", "\t"].into_iter().max_by_key(|delimiter| score(delimiter)).unwrap_or(",");
    let best = if score(":").0 > 2 * score(best).0 { ":" } else { best };
    let delimiter = stated.unwrap_or(if score(best).0 == 0 { "," } else { best });
    let width = lines.first().map_or(0, |line| line.chars().count());
    let padded = lines.iter().any(|line| line.contains("  ")) && lines.iter().all(|line| line.chars().count() == width);
    if score(delimiter).0 == 0 && width >= FIXED_WIDTH && lines.len() > 1 && padded {
        return Err(format!(
            "every line has {width} characters and none delimits them: this is fixed width, and where its columns begin cannot be seen\n  \
             hint: write format = {{ type = \"fixed\", columns = [{{ name = \"ID\", start = 1, length = 10 }}] }}, with record_type where lines are of several kinds"
        ));
    }
    // Ends of several characters, as SQL Server's samples have them.
    if text.contains("+|") && text.contains("&|\n") {
        let format = CsvFormat {
            delimiter: "+|".into(),
            record_end: Some("&|\n".into()),
            qualifier: None,
            header: false,
            encoding,
            ..CsvFormat::default()
        };
        let key = encoding_key(sample, encoding);
        let text = "{ type = \"csv\", delimiter = \"+|\", record_end = \"&|\\n\", qualifier = \"\", header = false".to_owned();
        return Ok(Shape::of(Format::Csv(format), format!("{text}{key} }}")));
    }
    let mut format = CsvFormat { delimiter: delimiter.into(), encoding, ..CsvFormat::default() };
    let first: Vec<&str> =
        lines.first().map_or_else(Vec::new, |line| line.split(delimiter).map(|value| value.trim().trim_matches('"')).collect());
    let name = |value: &&str| {
        value.chars().any(char::is_alphabetic) && value.len() <= 100 && kind_of(&[(*value).to_owned()]).0.starts_with("type = \"string\"")
    };
    // Names that stand twice are those of a header where values of another kind stand below.
    let distinct = first.iter().collect::<BTreeSet<_>>().len() == first.len();
    let below = |at: usize| {
        let values = lines[1..].iter().filter_map(|line| line.split(delimiter).nth(at));
        values.map(|value| value.trim().trim_matches('"').to_owned()).collect::<Vec<_>>()
    };
    let differs = || (0..first.len()).any(|at| !kind_of(&below(at)).0.starts_with("type = \"string\""));
    format.header =
        !lines.is_empty() && (distinct || differs()) && first.iter().filter(|value| !value.is_empty()).all(name) && lines.len() > 1;
    let mut text = "{ type = \"csv\"".to_owned();
    if delimiter != "," {
        let _ = write!(text, ", delimiter = {}", toml_edit::Value::from(delimiter));
    }
    if !format.header {
        text.push_str(", header = false");
    }
    text.push_str(&encoding_key(sample, encoding));
    text.push_str(" }");
    Ok(Shape::of(Format::Csv(format), text))
}
