//! The one table from our states to the spellings of the wire (CONTRACT §2).

use crate::model::execution::{EntityOutcome, EntityRun};
use crate::model::finding::Finding;
use crate::model::state::MessageState;

/// `GetMessageStatus` and the grid (CONTRACT §2.1). `PostProcessingFailed`, not `PostProcessingError`: a PowerShell client waits for it.
pub fn message_status(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued | MessageState::Enqueued => "Enqueued",
        MessageState::Processing => "Processing",
        MessageState::Processed => "Processed",
        MessageState::ProcessedWithErrors => "ProcessedWithErrors",
        MessageState::Refused | MessageState::Cancelled => "PreProcessingError",
        MessageState::Failed => "PostProcessingFailed",
        MessageState::Dequeued => "Dequeued",
        MessageState::Downloaded => "Downloaded",
        MessageState::Acked => "Acked",
    }
}

/// `DataJobState` of jobstatus (CONTRACT §2.2). A name outside the vendor's list makes its client throw.
pub fn data_job_state(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued | MessageState::Enqueued => "Enqueued",
        MessageState::Processing => "InProcess",
        MessageState::Processed => "Processed",
        MessageState::ProcessedWithErrors => "ProcessedWithErrors",
        MessageState::Refused | MessageState::Cancelled => "PreProcessError",
        MessageState::Failed => "PostProcessError",
        MessageState::Dequeued => "Dequeued",
        MessageState::Downloaded => "Downloaded",
        MessageState::Acked => "Acked",
    }
}

/// Entity execution states of jobstatus, for staging and target.
pub fn entity_states(state: MessageState) -> (&'static str, &'static str) {
    match state {
        MessageState::Queued | MessageState::Enqueued | MessageState::Dequeued | MessageState::Downloaded => ("NotStarted", "NotStarted"),
        MessageState::Processing => ("Executing", "NotStarted"),
        MessageState::Processed | MessageState::Acked => ("Finished", "Finished"),
        MessageState::ProcessedWithErrors => ("Error", "Finished"),
        MessageState::Refused => ("Error", "NotRun"),
        MessageState::Failed => ("Finished", "Error"),
        MessageState::Cancelled => ("Canceled", "Canceled"),
    }
}

/// `GetExecutionSummaryStatus` of an import (CONTRACT §2.3). Never `Unknown`: a client takes that for a failure.
pub fn summary_status(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "NotRun",
        MessageState::Processing => "Executing",
        MessageState::ProcessedWithErrors => "PartiallySucceeded",
        MessageState::Refused | MessageState::Failed => "Failed",
        MessageState::Cancelled => "Canceled",
        MessageState::Processed | MessageState::Enqueued | MessageState::Dequeued | MessageState::Downloaded | MessageState::Acked => {
            "Succeeded"
        }
    }
}

/// `GetExecutionSummaryStatus` of an export, by its outcome.
pub fn outcome_status(outcome: &str) -> &'static str {
    match outcome {
        "requested" => "NotRun",
        "executing" => "Executing",
        "failed" => "Failed",
        _ => "Succeeded",
    }
}

/// The status of one entity of an execution, in the same words.
pub fn run_status(run: &EntityRun) -> &'static str {
    match judged(run) {
        EntityOutcome::Processed | EntityOutcome::Staged => "Succeeded",
        EntityOutcome::ProcessedWithErrors => "PartiallySucceeded",
        EntityOutcome::Refused => "Failed",
        EntityOutcome::Skipped => "NotRun",
    }
}

/// Entity execution states of an entity that an execution has done, for staging and target.
pub fn run_states(run: &EntityRun) -> (&'static str, &'static str) {
    let (staging, target) = match judged(run) {
        EntityOutcome::Processed => ("Finished", "Finished"),
        EntityOutcome::ProcessedWithErrors => ("Error", "Finished"),
        EntityOutcome::Refused => ("Error", "NotRun"),
        EntityOutcome::Skipped => ("NotRun", "NotRun"),
        EntityOutcome::Staged => ("Finished", "NotRun"),
    };
    (staging, if run.outcome == EntityOutcome::Staged { "NotRun" } else { target })
}

/// How it went with an entity of which nothing was to be loaded: as with one that was.
fn judged(run: &EntityRun) -> EntityOutcome {
    match run.outcome {
        EntityOutcome::Staged => EntityOutcome::of(&run.counts, run.findings),
        outcome => outcome,
    }
}

/// A finding in one line, for clients that show text: its entity where there are several, its place as far as it has one (row and column only where they
/// are told nowhere else), its value, what is wrong and what to do.
pub fn told(finding: &Finding, runs: &[EntityRun], whole: bool) -> String {
    let mut place = Vec::new();
    if runs.len() > 1 && !finding.entity.is_empty() {
        place.push(finding.entity.clone());
    }
    if finding.line > 0 {
        place.push(format!("line {}", finding.line));
    }
    if whole && finding.row > 0 {
        place.push(format!("row {}", finding.row));
    }
    if whole && !finding.subject().is_empty() {
        place.push(finding.subject().to_owned());
    }
    let place = if place.is_empty() { String::new() } else { format!("{}: ", place.join(", ")) };
    let value = if finding.value.is_empty() && finding.row == 0 { String::new() } else { format!("\"{}\": ", finding.value) };
    format!("{place}{value}{}; {}", finding.message, finding.hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::execution::{ENTITY_OUTCOMES, RowCounts};
    use crate::model::state::MESSAGE_STATES;

    fn run(outcome: EntityOutcome, validated: u64, refused: u64) -> EntityRun {
        EntityRun {
            entity: "E".into(),
            outcome,
            started_at: Default::default(),
            finished_at: Default::default(),
            counts: RowCounts { read: validated + refused, validated, refused, ..RowCounts::default() },
            findings: refused,
            refused_file: None,
            transformed_file: None,
            staging_file: None,
        }
    }

    #[test]
    fn an_entity_of_which_nothing_is_loaded_is_judged_by_its_rows() {
        for (validated, refused, status, staging) in
            [(2, 0, "Succeeded", "Finished"), (1, 1, "PartiallySucceeded", "Error"), (0, 2, "Failed", "Error")]
        {
            let run = run(EntityOutcome::Staged, validated, refused);
            assert_eq!((run_status(&run), run_states(&run)), (status, (staging, "NotRun")));
        }
    }

    #[test]
    fn every_state_has_a_spelling_that_the_vendors_clients_know() {
        const JOB: [&str; 9] = [
            "Enqueued",
            "Dequeued",
            "Downloaded",
            "Acked",
            "InProcess",
            "Processed",
            "ProcessedWithErrors",
            "PostProcessError",
            "PreProcessError",
        ];
        const MESSAGE: [&str; 10] = [
            "Enqueued",
            "Dequeued",
            "Downloaded",
            "Acked",
            "PreProcessing",
            "Processing",
            "Processed",
            "ProcessedWithErrors",
            "PreProcessingError",
            "PostProcessingFailed",
        ];
        const ENTITY: [&str; 10] =
            ["NotStarted", "Waiting", "Executing", "Error", "Finished", "Ready", "NotRun", "Cancelling", "Canceled", "Hold"];
        for state in MESSAGE_STATES {
            assert!(JOB.contains(&data_job_state(state)), "{state}");
            assert!(MESSAGE.contains(&message_status(state)), "{state}");
            let (staging, target) = entity_states(state);
            assert!(ENTITY.contains(&staging) && ENTITY.contains(&target), "{state}");
        }
        for outcome in ENTITY_OUTCOMES {
            let (staging, target) = run_states(&run(outcome, 2, 1));
            assert!(ENTITY.contains(&staging) && ENTITY.contains(&target), "{outcome:?}");
        }
    }
}
