//! What is wrong with a configuration file: where, what, and what to do. All problems are told together.

use std::fmt;
use std::path::PathBuf;

use super::watched::Watched;
use crate::model::nearest::nearest;

/// One thing that is wrong, or that should be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; 0 when it has no place.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Where in the configuration: `project "Rates in".entity[1].format.delimiter`.
    pub key: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// The configuration can be used all the same.
    pub warning: bool,
}

/// Everything that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file, when there is one.
    pub file: Option<PathBuf>,
    /// In the order of the file.
    pub problems: Vec<Problem>,
    /// The files that were read: what is wrong may be mended in any of them.
    pub watched: Vec<Watched>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_ref().map_or_else(|| "the configuration".into(), |file| file.display().to_string());
        for problem in &self.problems {
            let kind = if problem.warning { "warning" } else { "error" };
            writeln!(f, "{file}:{}:{}: {kind}: {}: {}", problem.line, problem.column, problem.key, problem.message)?;
            if !problem.hint.is_empty() {
                writeln!(f, "  hint: {}", problem.hint)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `, did you mean "x"?`-like hint from candidates: the nearest, or all of them when they are few.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if candidates.is_empty() => "there is none yet".into(),
        None => format!("known are {}", candidates.iter().take(30).copied().collect::<Vec<_>>().join(", ")),
    }
}
