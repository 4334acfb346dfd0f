//! Style, script and icon of the pages. Their addresses carry a digest, so that a browser may keep them for ever.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::http::{Answer, Call};

const ASSETS: [(&str, &str, &[u8]); 3] = [
    ("app.css", "text/css; charset=utf-8", include_bytes!("../../../assets/pages/app.css")),
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/pages/app.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../../assets/pages/icon.svg")),
];

fn digests() -> &'static [String; 3] {
    static DIGESTS: OnceLock<[String; 3]> = OnceLock::new();
    DIGESTS.get_or_init(|| {
        ASSETS.map(|(_, _, bytes)| Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>())
    })
}

/// The address of an asset for a template.
pub fn address(name: String) -> minijinja::Value {
    let digest = ASSETS.iter().position(|(known, _, _)| *known == name).map_or("", |index| digests()[index].as_str());
    // Ours alone, so it needs no escaping.
    minijinja::Value::from_safe_string(format!("/assets/{name}?v={digest}"))
}

/// `GET /assets/<name>`.
pub fn answer(call: &Call, name: &str) -> Answer {
    let Some(index) = ASSETS.iter().position(|(known, _, _)| *known == name) else {
        return Answer::refuse(404, "there is no such asset", "reload the page");
    };
    let (_, content_type, bytes) = ASSETS[index];
    let tag = format!("\"{}\"", digests()[index]);
    if call.header("If-None-Match").is_some_and(|known| known.contains(&tag)) {
        return Answer::empty(304).with("ETag", tag);
    }
    let kept = if call.query("v") == Some(&digests()[index]) { "public, max-age=31536000, immutable" } else { "no-cache" };
    Answer::text(200, content_type, bytes).with("ETag", tag).with("Cache-Control", kept)
}
