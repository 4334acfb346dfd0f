//! `entrepot check`.

use serde_json::json;

use super::{ConfigFile, Failure};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::effective::effective;
use crate::model::job::Recurrence;
use crate::model::time::Timestamp;

#[derive(clap::Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Show the configuration as it is in force: with all defaults, secrets masked.
    #[arg(long)]
    effective: bool,
    /// For programs.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        let checked = self.config.load()?;
        let now = Clock::system().now();
        let config = &checked.config;
        if self.json {
            let jobs: Vec<_> = config
                .jobs
                .iter()
                .map(|job| json!({ "name": job.name, "activity_id": job.activity_id, "next_runs": next(&job.recurrence, now) }))
                .collect();
            let warnings: Vec<_> = checked
                .warnings
                .iter()
                .map(|warning| json!({ "line": warning.line, "key": warning.key, "message": warning.message, "hint": warning.hint }))
                .collect();
            println!("{}", json!({ "jobs": jobs, "warnings": warnings, "effective": self.effective(config) }));
            return Ok(());
        }
        let file = config.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        for warning in &checked.warnings {
            eprintln!(
                "{file}:{}:{}: warning: {}: {}\n  hint: {}",
                warning.line, warning.column, warning.key, warning.message, warning.hint
            );
        }
        println!("{file}: {} entities, {} projects, {} jobs", config.entities.len(), config.projects.len(), config.jobs.len());
        for job in &config.jobs {
            let state = if job.enabled { "" } else { "  (disabled)" };
            println!(
                "\n{}{state}\n  activity id  {}\n  project      {} ({})",
                job.name,
                job.activity_id,
                job.project.name,
                job.project.direction.name()
            );
            match &job.recurrence {
                Recurrence::OnArrival => println!("  runs         on arrival of a message"),
                Recurrence::OnDemand => println!("  runs         on demand: entrepot job run \"{}\"", job.name),
                Recurrence::Schedule(schedule) => {
                    println!("  runs         {schedule}, {}", schedule.zone());
                    for at in next(&job.recurrence, now) {
                        println!(
                            "               {}   {}",
                            at.to_utc().with_timezone(&schedule.zone()).format("%a %Y-%m-%d %H:%M:%S %Z"),
                            at.to_utc().format("%Y-%m-%dT%H:%M:%SZ")
                        );
                    }
                }
            }
        }
        if self.effective {
            println!("\n# In force: the file with the defaults that it leaves out; secrets are masked.\n{}", self.effective(config));
        } else {
            println!("\n--effective shows the whole configuration as it is in force");
        }
        Ok(())
    }

    fn effective(&self, config: &Config) -> String {
        // It was read a moment ago.
        let written = config.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        effective(&written, config)
    }
}

fn next(recurrence: &Recurrence, now: Timestamp) -> Vec<Timestamp> {
    match recurrence {
        Recurrence::Schedule(schedule) => schedule.next_n(now, 5),
        _ => Vec::new(),
    }
}
