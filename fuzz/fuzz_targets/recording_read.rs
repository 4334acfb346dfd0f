//! Traffic that is recorded: no secret stays in it, whatever stands around; and any text as a recording that somebody edited.
#![no_main]

use entrepot::recording::places::{Places, recorded, shown};
use entrepot::recording::{Exchange, redact};

const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL2EifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
/// No escape ends with the character that it begins with.
const SECRET: &str = "~secret~";

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| {
    let (before, after) = input;
    let without = |text: String, secret: &str| assert!(!text.contains(secret), "{text}");
    let clean = |text: &str| !text.contains(SECRET) && !redact::form(text).contains(SECRET);
    if clean(before) && clean(after) {
        without(redact::form(&format!("{before}&Client_Secret={SECRET}&{after}")), SECRET);
        without(redact::text(&format!("{before} sig={SECRET}&{after}")), SECRET);
        without(redact::target(&format!("/dmf/x?{before}&sig={SECRET}&{after}")), SECRET);
        let json = serde_json::json!({ "a": before, "nested": [{ "access_token": SECRET }], "b": after }).to_string();
        without(redact::body("application/json", &json), SECRET);
    }
    if !before.contains("eyJhdWQi") && !after.contains("eyJhdWQi") {
        without(redact::text(&format!("{before} {TOKEN} {after}")), "eyJhdWQi");
        without(redact::body("application/json", &format!("{before} \"{TOKEN}\" {after}")), "eyJhdWQi");
    }
    let places = Places {
        own: "http://127.0.0.1:8430".into(),
        upstream: "https://contoso.operations.dynamics.com".into(),
        authority: "https://login.microsoftonline.com".into(),
        also: vec!["*.blob.core.windows.net".into()],
    };
    let text = format!("{before}https://Contoso.operations.dynamics.com{after}");
    let kept = places.inward(&text);
    assert_eq!(places.inward(&kept), kept, "what was led here once stays");
    assert_eq!(recorded(&shown(&kept, &places.own), &places.own), recorded(&kept, &places.own));
    places.outward(&text);
    if let Ok(exchange) = serde_json::from_str::<Exchange>(before) {
        let again = serde_json::to_string(&exchange).expect("it is JSON");
        assert_eq!(serde_json::from_str::<Exchange>(&again).expect("it was written as JSON"), exchange);
    }
});
