//! What the edge asks before it reads a body: is the caller let in, and how large may the body be? Decided from the head and from memory, by the
//! same functions that the handlers use, so that an upload of gigabytes without a token costs one head.

use std::sync::Arc;

use super::{Answer, address, blob, connector, listener, pace, route};
use crate::appliance::Appliance;
use crate::edge::{self, Admission, BodyLength, Head};
use crate::files::SMALL_MAX;

/// The largest body where no document is expected: forms, tokens, actions.
const SMALL_BODY_MAX: u64 = connector::JSON_MAX as u64;

/// The edge's gate.
pub struct Gate(pub Arc<Appliance>);

impl edge::Gate for Gate {
    fn admit(&self, head: &Head<'_>) -> Admission {
        match admit(&self.0, head) {
            Ok(Admitted { max_body, at_once: true }) if self.0.live().faults.is_empty() => Admission::Take { max_body },
            Ok(Admitted { max_body, .. }) => Admission::Admit { max_body },
            Err(answer) => Admission::Refuse(answer.of_edge()),
        }
    }

    fn take(&self, request: edge::Request, answering: edge::Answering) {
        listener::carry_out(&self.0, request, answering);
    }

    fn taken(&self) {
        self.0.store.begin();
    }
}

struct Admitted {
    max_body: u64,
    /// An enqueue that waits for nothing but its commit, once its body is here, and unless a fault takes its time.
    at_once: bool,
}

fn admit(appliance: &Appliance, head: &Head<'_>) -> Result<Admitted, Answer> {
    let other = |max_body| Ok(Admitted { max_body, at_once: false });
    let Some(path) = address::segments(head.path()) else {
        return Err(Answer::refuse(400, "the address has a broken percent escape", "correct the request"));
    };
    let place = route::place(&path);
    if let [container, path @ ..] = place.as_slice()
        && container.eq_ignore_ascii_case(blob::CONTAINER)
    {
        let query = head.target.split_once('?').map_or("", |(_, query)| query);
        let Some(query) = address::pairs(query) else {
            return Err(Answer::refuse(400, "the address has a broken percent escape", "correct the request"));
        };
        return blob::admit(appliance, head.method, path, &query, head.body).and_then(|(_, most)| other(most));
    }
    let is = |index: usize, word: &str| place.get(index).is_some_and(|segment| segment.eq_ignore_ascii_case(word));
    if !(is(0, "data") || is(0, "metadata") || is(0, "api") && is(1, "connector")) {
        return other(SMALL_BODY_MAX);
    }
    let caller = route::caller(appliance, head.header("Authorization"))?;
    pace::request(appliance, caller.id)?;
    if is(2, "enqueue") && head.method == "POST" {
        if let Some(activity) = place.get(3) {
            route::job(appliance, &caller, activity)?;
        }
        let most = appliance.live().config.queue.max_body;
        return match head.body {
            BodyLength::Known(length) if length > most => Err(connector::too_large(most)),
            // What is larger goes to a file of its own, and that is waited for.
            BodyLength::Known(length) => Ok(Admitted { max_body: most, at_once: length <= SMALL_MAX as u64 }),
            _ => other(most),
        };
    }
    other(SMALL_BODY_MAX)
}
