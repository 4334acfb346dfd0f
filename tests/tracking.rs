//! What tracks changes stands in a database as long as somebody needs it, and no longer.

use std::time::Duration;

use crate::appliance::{Appliance, EXPORT, groups};
use crate::package_api;

/// Time enough for what is cleared away every hour.
const HOUR: Duration = Duration::from_secs(3601);

/// How long the tracking of a table stays that nobody exports any more.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

fn incremental(job: &str) -> String {
    let full = "direction = \"export\"\n[[project.entity]]\nentity = \"Customer groups\"\n";
    let activity = format!("activity_id = \"{EXPORT}\"\n");
    let configuration = groups("");
    assert!(configuration.contains(full) && configuration.contains(&activity));
    configuration.replace(full, &format!("{full}refresh = \"incremental\"\n")).replace(&activity, &format!("{activity}{job}"))
}

fn reload(app: &mut Appliance, configuration: &str) {
    app.rewrite_configuration(configuration);
    app.operator("POST", "configuration/reload").expect(200);
    app.advance(HOUR);
}

/// Triggers and log of all tables, and what is noted of them.
fn tracking(app: &Appliance) -> String {
    app.sql("SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE name LIKE 'entrepot\\_%' ESCAPE '\\' ORDER BY name)")[0]
        .replace("entrepot_loaded", "")
        .replace("entrepot_sequence", "")
        .trim_matches(',')
        .to_owned()
}

fn export(app: &mut Appliance) {
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
}

/// Takes the job's next message, and acks it.
fn take(app: &Appliance) {
    let dequeued = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    app.post(&format!("/api/connector/ack/{EXPORT}"), dequeued.to_string().as_bytes()).expect(200);
}

#[test]
fn tracking_stays_for_a_job_that_rests_and_goes_with_the_last_that_needs_it() {
    let mut app = Appliance::start(&incremental(""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,one,1\n", None);
    app.settle();
    export(&mut app);
    take(&app);
    let tracked = tracking(&app);
    assert!(tracked.contains("entrepot_changes_customer_groups_update"), "{tracked}");
    app.operator("POST", &format!("jobs/{EXPORT}/pause")).expect(200);
    app.advance(HOUR);
    app.operator("POST", &format!("jobs/{EXPORT}/resume")).expect(200);
    reload(&mut app, &incremental("enabled = false\n"));
    assert_eq!(tracking(&app), tracked);
    // Taken out by mistake, and put back: nothing is lost by it.
    reload(&mut app, &groups(""));
    assert_eq!(tracking(&app), tracked);
    app.advance(RETENTION);
    assert_eq!(tracking(&app), "");
    assert!(app.log().contains("change tracking ended database=\"entities\" table=\"customer_groups\""), "{}", app.log());
    app.enqueue(b"ID,NAME,AMOUNT\n2,two,2\n", None);
    app.settle();
    reload(&mut app, &incremental(""));
    export(&mut app);
    let standing = app.operator("GET", &format!("jobs/{EXPORT}")).json()["increments"][0].clone();
    assert_eq!(standing["anew"], "its table, or what tracks changes in it, is another one than before");
    take(&app);
    app.advance(HOUR);
    assert_eq!(tracking(&app), tracked);
}

#[test]
fn tracking_stays_for_a_client_of_the_package_api_until_it_is_forgotten() {
    let mut app = package_api::start();
    package_api::load(&mut app, "A,1\r\n");
    package_api::delta(&mut app, "ExportToPackageDelta", "1");
    package_api::fetch(&app, "1", &[]);
    app.advance(HOUR);
    assert!(tracking(&app).contains("entrepot_changes_terms"), "{}", tracking(&app));
    app.advance(Duration::from_secs(91 * 24 * 3600));
    assert_eq!(tracking(&app), "");
}
