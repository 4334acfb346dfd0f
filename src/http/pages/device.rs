//! `/device`: a person enters the code that a program on another device shows, sees which application it is, and allows it or not (RFC 8628 §3.3).

use serde_json::json;

use super::session::{self, Visitor};
use super::{Failed, page};
use crate::appliance::Appliance;
use crate::auth::oauth::Client;
use crate::http::{Answer, Call, pace};

/// `GET /device`, with `?code=` from a link that a program printed: it fills the form and decides nothing.
pub fn ask(call: &Call, visitor: &Visitor) -> Result<Answer, Failed> {
    let code: String = call.query("code").unwrap_or_default().chars().filter(|character| !character.is_control()).take(16).collect();
    enter(visitor, 200, &code, None)
}

fn enter(visitor: &Visitor, status: u16, code: &str, problem: Option<&str>) -> Result<Answer, Failed> {
    page(status, "device.html", json!({ "user": visitor.context(), "step": "enter", "code": code, "problem": problem }))
}

/// `POST /device`: the code alone shows who asks; with `answer` it is decided.
pub fn decide(appliance: &Appliance, call: &mut Call, visitor: &Visitor) -> Result<Answer, Failed> {
    let fields = session::signed_form(appliance, call, visitor)?;
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let (code, now) = (field("code"), appliance.clock.now());
    // Somebody who tries codes is slowed like somebody who tries passwords.
    let (address, name) = (call.peer_address(), format!("device code {}", visitor.name));
    pace::attempt(appliance, address, &name)?;
    let live = appliance.live();
    let asking = appliance.devices.asking(code, now).and_then(|id| live.config.application(id));
    let Some(application) = asking else {
        appliance.pace.failed(address, &name, now);
        return enter(
            visitor,
            400,
            code,
            Some("No program waits with this code. Codes end after a quarter of an hour; let the program show a new one."),
        );
    };
    let context = |step: &str| json!({ "user": visitor.context(), "step": step, "code": code, "application": application.name });
    if !Client::from(application).has(&visitor.name) {
        return page(403, "device.html", context("not_named"));
    }
    let allowed = match field("answer") {
        "allow" => true,
        "refuse" => false,
        _ => return page(200, "device.html", context("confirm")),
    };
    appliance.devices.decide(code, allowed.then_some(visitor.name.as_str()), now);
    log::info!(
        "device sign-in {} application={} user=\"{}\" peer={}",
        if allowed { "allowed" } else { "refused" },
        application.id,
        visitor.name.escape_debug(),
        call.peer()
    );
    page(200, "device.html", context(if allowed { "allowed" } else { "refused" }))
}
