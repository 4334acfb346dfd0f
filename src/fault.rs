//! Named points at which a test lets the process die, or a worker panic: what is durable is proven there. Nothing of it is in a release build.

/// A test may strike here: `ENTREPOT_TEST_FAULT=name:abort` ends the process as a power cut would, `name:panic` is a bug.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::sync::OnceLock;

    static PLANNED: OnceLock<Option<(String, String)>> = OnceLock::new();
    let planned = PLANNED.get_or_init(|| {
        let text = std::env::var("ENTREPOT_TEST_FAULT").ok()?;
        text.split_once(':').map(|(name, effect)| (name.to_owned(), effect.to_owned()))
    });
    match planned {
        Some((planned, effect)) if planned == name && effect == "abort" => std::process::abort(),
        Some((planned, _)) if planned == name => panic!("a test strikes at {name}"),
        _ => {}
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &str) {}
