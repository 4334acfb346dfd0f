//! Guesses how delimited text is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::encoding::{Text, text_of};
use super::{FIXED_WIDTH, Shape, kind_of};
use crate::model::format::{CsvFormat, Format};

/// Delimiter and header of delimited text: the delimiter that most lines have equally often.
pub(super) fn csv(sample: &[u8]) -> Result<Shape, String> {
    let Text { text, encoding, key, note } = text_of(sample, false);
    let text = if text.contains('\n') { text } else { text.replace('\r', "\n") };
    let mut lines = lines_behind(&text, 0);
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
        let text = "{ type = \"csv\", delimiter = \"+|\", record_end = \"&|\\n\", qualifier = \"\", header = false".to_owned();
        let shape = Shape::of(Format::Csv(format), format!("{text}{key} }}"));
        return Ok(Shape { notes: note.into_iter().collect(), ..shape });
    }
    let mut format = CsvFormat { delimiter: delimiter.into(), encoding, ..CsvFormat::default() };
    let skipped = preamble(&text, delimiter).filter(|_| stated.is_none());
    let behind = skipped.map(|skipped| lines_behind(&text, skipped));
    let mut header = behind.and_then(|lines| header(&lines, delimiter));
    // A line that lacks values is a row; one that has fewer cells is a title, also where no header stands below it.
    let count = |line: &str| cells(line, delimiter).count();
    let is_title = |skipped: usize| {
        let below = lines_behind(&text, skipped).first().map_or(0, |line| count(line));
        text.lines().take(skipped).all(|line| line.trim().is_empty() || count(line) < below)
    };
    match skipped.filter(|skipped| header.is_some() || is_title(*skipped)) {
        Some(skipped) => format.skip_first = u32::try_from(skipped).unwrap_or_default(),
        None => header = self::header(&lines, delimiter),
    }
    format.header = header.is_some();
    let mut notes: Vec<String> = note.into_iter().collect();
    match header {
        None => notes.push("the first line is taken for a row: where it names the columns, take header = false out".to_owned()),
        Some((others, _)) if !others.is_empty() => {
            let others: Vec<String> = others.iter().map(|cell| format!("{cell:?}")).collect();
            let message = format!("the header is taken for one, though {} would be no name elsewhere", others.join(", "));
            notes.push(format!("{message}: where it is a row, write header = false"));
        }
        Some((_, false)) => notes.push(
            "the first line is taken for the header, though all columns are texts: where it is a row, write header = false".to_owned(),
        ),
        Some(_) => {}
    }
    let mut text = "{ type = \"csv\"".to_owned();
    if delimiter != "," {
        let _ = write!(text, ", delimiter = {}", toml_edit::Value::from(delimiter));
    }
    if !format.header {
        text.push_str(", header = false");
    }
    if format.skip_first > 0 {
        let _ = write!(text, ", skip_first = {}", format.skip_first);
        let what = if format.header { "header seems" } else { "first row seems" };
        notes.push(format!("the {what} to stand on line {}: what is above it is passed over", format.skip_first + 1));
    }
    text.push_str(&key);
    text.push_str(" }");
    Ok(Shape { notes, ..Shape::of(Format::Csv(format), text) })
}

/// Up to fifty lines that are not blank, behind so many.
fn lines_behind(text: &str, skipped: usize) -> Vec<&str> {
    text.lines().skip(skipped).filter(|line| !line.trim().is_empty()).take(50).collect()
}

/// The values of a line. Qualified ones may hold the delimiter, where their quotes are pairs.
fn cells<'a>(line: &'a str, delimiter: &'a str) -> impl Iterator<Item = &'a str> {
    let (mut rest, pairs) = (Some(line), line.matches('"').count().is_multiple_of(2));
    let next = move || {
        let text = rest?;
        let (mut quotes, mut seen) = (0usize, 0);
        let outside = |at: &usize| {
            quotes += text[std::mem::replace(&mut seen, *at)..*at].matches('"').count();
            !pairs || quotes.is_multiple_of(2)
        };
        let end = text.match_indices(delimiter).map(|(at, _)| at).find(outside);
        rest = end.map(|at| &text[at + delimiter.len()..]);
        Some(text[..end.unwrap_or(text.len())].trim().trim_matches('"'))
    };
    std::iter::from_fn(next)
}

/// Lines above the first that has as many values as most have: a title, and what stands below it.
fn preamble(text: &str, delimiter: &str) -> Option<usize> {
    let said = |line: &str| cells(line, delimiter).filter(|value| !value.is_empty()).count();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    text.lines().take(50).map(said).filter(|count| *count > 1).for_each(|count| *counts.entry(count).or_default() += 1);
    let (most, _) = counts.into_iter().max_by_key(|(count, lines)| (*lines, *count))?;
    text.lines().take(50).position(|line| said(line) >= most).filter(|first| text.lines().take(*first).any(|line| said(line) > 0))
}

/// Whether the first of these lines names the columns: then its cells that are no names by themselves, and whether more than its words says so.
fn header<'a>(lines: &[&'a str], delimiter: &'a str) -> Option<(Vec<&'a str>, bool)> {
    let (first, below) = lines.split_first().filter(|(_, below)| !below.is_empty())?;
    let first: Vec<&str> = cells(first, delimiter).collect();
    // Names that stand twice are those of a header where values of another kind stand below.
    let distinct = first.iter().collect::<BTreeSet<_>>().len() == first.len();
    let values = |at: usize| -> Vec<&str> {
        below.iter().filter_map(|line| cells(line, delimiter).nth(at)).filter(|value| !value.is_empty()).collect()
    };
    let kind = |values: &[&str]| kind_of(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>(), true, None).0;
    let typed = |values: &[&str]| !kind(values).starts_with("type = \"string\"");
    let differs = || (0..first.len()).any(|at| typed(&values(at)));
    // Short for number, and no answer.
    let number = |at: usize| first[at].eq_ignore_ascii_case("no") && kind(&values(at)) != "type = \"boolean\"";
    let (names, others): (Vec<usize>, Vec<usize>) =
        (0..first.len()).filter(|at| !first[*at].is_empty()).partition(|at| is_name(first[*at]) || number(*at));
    if others.is_empty() {
        let differs = differs();
        return (distinct || differs).then(|| (Vec::new(), differs));
    }
    // Others are tolerated among more names, where each is none of the values below it, and something says that the line is a header.
    let years: Vec<u16> = others.iter().filter_map(|at| year(first[*at])).collect();
    let stands_out = |at: &usize| {
        let (cell, mut values): (&str, Vec<&str>) = (first[*at], values(*at));
        if year(cell).is_some() {
            return values.iter().any(|value| year(value).is_none());
        }
        if !cell.contains(char::is_alphanumeric) {
            return !values.contains(&cell);
        }
        let was = typed(&values);
        values.push(cell);
        was && !typed(&values)
    };
    let said = names.iter().any(|at| typed(&values(*at))) || years.windows(2).any(|two| two[0].abs_diff(two[1]) == 1);
    let is = distinct && said && names.len() > others.len() - years.len() && others.iter().all(stands_out);
    is.then(|| (others.iter().map(|at| first[*at]).collect(), true))
}

/// A year may well be the name of a column.
pub(super) fn year(cell: &str) -> Option<u16> {
    cell.parse().ok().filter(|year| cell.len() == 4 && (1900..=2100).contains(year))
}

/// Whether a text may be the name of a column.
pub(super) fn is_name(value: &str) -> bool {
    value.chars().any(char::is_alphabetic)
        && value.len() <= 100
        && kind_of(&[value.to_owned()], true, None).0.starts_with("type = \"string\"")
}
