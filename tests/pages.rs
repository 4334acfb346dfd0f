//! The pages as a browser without JavaScript sees them: signing in, reading, acting, and what they refuse.

use std::time::Duration;

use crate::appliance::{Answer, Appliance, IMPORT, groups};

pub const PASSWORD: &str = "correct horse battery";
const BAD: &[u8] = b"ID,NAME,AMOUNT\n10,Retail,1.5\n20,<script>alert(1)</script>,abc\n,\"No \"\"id\"\"\",3\n";

/// A person with a browser.
pub struct Person {
    cookie: String,
    form_token: String,
}

fn field<'a>(html: &'a str, name: &str) -> &'a str {
    let at = html.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no field {name}: {html}"));
    let from = at + format!("name=\"{name}\" value=\"").len();
    &html[from..from + html[from..].find('"').unwrap()]
}

fn cookie(answer: &Answer) -> String {
    answer.header("Set-Cookie").expect("a cookie").split(';').next().unwrap().to_owned()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn link(appliance: &Appliance) -> String {
    let url = appliance.operator("POST", "sign-in-link").expect(200).json()["url"].as_str().unwrap().to_owned();
    url[url.find("/welcome/").unwrap()..].to_owned()
}

fn welcome(appliance: &Appliance, link: &str, name: &str, password: &str) -> Answer {
    let form = format!("name={}&password={1}&again={1}", encoded(name), encoded(password));
    appliance.send("POST", link, &[], form.as_bytes())
}

impl Person {
    pub fn signed_in(appliance: &Appliance) -> Person {
        Person::with(appliance, cookie(&welcome(appliance, &link(appliance), "kim", PASSWORD).expect(303)))
    }

    fn with(appliance: &Appliance, cookie: String) -> Person {
        let page = appliance.send("GET", "/", &[("Cookie", &cookie)], b"").expect(200).text();
        Person { form_token: field(&page, "form_token").to_owned(), cookie }
    }

    pub fn get(&self, appliance: &Appliance, path: &str) -> Answer {
        appliance.send("GET", path, &[("Cookie", &self.cookie)], b"")
    }

    fn post(&self, appliance: &Appliance, path: &str) -> Answer {
        self.post_form(appliance, path, "")
    }

    /// With more fields, each `&name=value`.
    pub fn post_form(&self, appliance: &Appliance, path: &str, more: &str) -> Answer {
        appliance.send("POST", path, &[("Cookie", &self.cookie)], format!("form_token={}{more}", self.form_token).as_bytes())
    }
}

fn sign_in(appliance: &Appliance, name: &str, password: &str) -> Answer {
    appliance.send("POST", "/sign-in", &[], format!("name={}&password={}&next=%2Fmessages", encoded(name), encoded(password)).as_bytes())
}

#[test]
fn the_link_of_the_first_start_makes_the_first_user_and_works_once() {
    let mut appliance = Appliance::start(&groups(""));
    let path = appliance.printed.split("http://exchange.test").find(|part| part.starts_with("/welcome/")).expect("a link is printed");
    let path = path.lines().next().unwrap().to_owned();
    let unsigned = appliance.send("GET", "/", &[], b"").expect(303);
    assert_eq!(unsigned.header("Location"), Some("/sign-in"));
    assert!(appliance.send("GET", "/sign-in", &[], b"").expect(200).text().contains("Nobody can sign in yet"));

    assert!(welcome(&appliance, &path, "kim", "short").expect(400).text().contains("at least 10 are needed"));
    let differing = appliance.send("POST", &path, &[], b"name=kim&password=correct+horse+battery&again=correct+horse+batter").expect(400);
    assert!(differing.text().contains("differ"));
    let person = Person::with(&appliance, cookie(&welcome(&appliance, &path, "kim", PASSWORD).expect(303)));
    appliance.send("GET", &path, &[], b"").expect(410);
    welcome(&appliance, &path, "eve", PASSWORD).expect(410);
    appliance.send("GET", "/welcome/guessed", &[], b"").expect(410);

    // A restart ends neither the user nor the session, and prints no link again.
    appliance.restart();
    assert!(!appliance.printed.contains("/welcome/"), "{}", appliance.printed);
    assert!(person.get(&appliance, "/").expect(200).text().contains("kim"));
}

#[test]
fn a_password_opens_a_session_that_ends_by_sign_out_idleness_age_or_a_new_password() {
    let mut appliance = Appliance::start(&groups(""));
    Person::signed_in(&appliance);
    for (name, password) in [("kim", "wrong horse battery"), ("nobody", PASSWORD), ("", ""), ("kim", "")] {
        let refused = sign_in(&appliance, name, password).expect(403);
        assert!(refused.header("Set-Cookie").is_none() && refused.text().contains("do not go together"));
    }
    let answer = sign_in(&appliance, "KIM", PASSWORD).expect(303);
    assert_eq!(answer.header("Location"), Some("/messages"));
    let header = answer.header("Set-Cookie").unwrap();
    assert!(header.contains("HttpOnly") && header.contains("SameSite=Lax") && header.contains("Path=/"), "{header}");
    let person = Person::with(&appliance, cookie(&answer));
    person.post(&appliance, "/sign-out").expect(303);
    person.get(&appliance, "/").expect(303);

    let idle = Person::with(&appliance, cookie(&sign_in(&appliance, "kim", PASSWORD)));
    let busy = Person::with(&appliance, cookie(&sign_in(&appliance, "kim", PASSWORD)));
    for _ in 0..15 {
        appliance.advance(Duration::from_secs(11 * 3600));
        busy.get(&appliance, "/").expect(200);
    }
    idle.get(&appliance, "/").expect(303);
    appliance.advance(Duration::from_secs(11 * 3600));
    busy.get(&appliance, "/").expect(303);

    let person = Person::with(&appliance, cookie(&sign_in(&appliance, "kim", PASSWORD)));
    welcome(&appliance, &link(&appliance), "kim", "another horse battery").expect(303);
    person.get(&appliance, "/").expect(303);
    sign_in(&appliance, "kim", PASSWORD).expect(403);
}

#[test]
fn a_form_without_the_token_or_from_another_site_changes_nothing() {
    let appliance = Appliance::start(&groups(""));
    let person = Person::signed_in(&appliance);
    let path = format!("/jobs/{IMPORT}/pause");
    let own = format!("form_token={}", person.form_token);
    let host = appliance.base.clone();
    for (headers, form) in [
        (vec![], ""),
        (vec![], "form_token="),
        (vec![], "form_token=0000"),
        (vec![("Origin", "https://evil.example")], own.as_str()),
        (vec![("Origin", "null")], own.as_str()),
        (vec![("Sec-Fetch-Site", "cross-site")], own.as_str()),
    ] {
        let mut all = vec![("Cookie", person.cookie.as_str())];
        all.extend(headers);
        appliance.send("POST", &path, &all, form.as_bytes()).expect(403);
    }
    appliance.send("POST", &path, &[], own.as_bytes()).expect(403);
    assert_eq!(appliance.operator("GET", &format!("jobs/{IMPORT}")).json()["paused"], false);
    let honest = [("Cookie", person.cookie.as_str()), ("Origin", host.as_str()), ("Sec-Fetch-Site", "same-origin")];
    let done = appliance.send("POST", &path, &honest, own.as_bytes()).expect(303);
    assert_eq!(appliance.operator("GET", &format!("jobs/{IMPORT}")).json()["paused"], true);
    assert!(person.get(&appliance, done.header("Location").unwrap()).expect(200).text().contains("The job is paused"));
    let foreign = [("Origin", "https://evil.example")];
    appliance.send("POST", "/sign-in", &foreign, format!("name=kim&password={}", encoded(PASSWORD)).as_bytes()).expect(403);
}

#[test]
fn the_sign_in_leads_only_to_pages_of_ours() {
    let appliance = Appliance::start(&groups(""));
    Person::signed_in(&appliance);
    for next in ["https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nSet-Cookie: x=1", "javascript:alert(1)"] {
        let form = format!("name=kim&password={}&next={}", encoded(PASSWORD), encoded(next));
        let answer = appliance.send("POST", "/sign-in", &[], form.as_bytes()).expect(303);
        assert_eq!(answer.header("Location"), Some("/"), "{next}");
    }
}

#[test]
fn a_message_shows_each_finding_beside_its_row_and_hostile_values_as_text() {
    let mut appliance = Appliance::start(&groups(""));
    let person = Person::signed_in(&appliance);
    let id = appliance.enqueue(BAD, Some("groups \"<b>\".csv"));
    appliance.settle();
    let page = person.get(&appliance, &format!("/messages/{id}")).expect(200).text();
    assert!(page.contains("2 of 3 rows were refused") && page.contains("Row 2, line 3: AMOUNT") && page.contains("Row 3, line 4: ID"));
    assert!(page.contains("<mark>abc</mark>") && page.contains("No &quot;id&quot;") && page.contains("&lt;script&gt;"), "{page}");
    assert!(!page.contains("<script>alert") && !page.contains("<b>"));
    let refused = person.get(&appliance, &format!("/messages/{id}/refused")).expect(200).text();
    assert!(refused.contains("abc") && refused.contains("Entrepot reason"));
    assert_eq!(person.get(&appliance, &format!("/messages/{id}/document")).expect(200).body, BAD);

    // Attention ends with the replay, which is a message of its own.
    assert!(person.get(&appliance, "/messages?attention=1").expect(200).text().contains(&id));
    let replayed = person.post(&appliance, &format!("/messages/{id}/replay")).expect(303);
    let to = replayed.header("Location").unwrap().to_owned();
    assert!(!to.contains(&id));
    appliance.settle();
    assert!(person.get(&appliance, &to).expect(200).text().contains("This is the replay"));
    assert!(!person.get(&appliance, "/messages?attention=1").expect(200).text().contains(&id));
    assert!(person.get(&appliance, &format!("/messages/{id}")).text().contains("kim"), "the timeline says who");
    person.post(&appliance, &format!("/messages/{id}/cancel")).expect(409);
}

/// What a page says, without its markup; the marked value in brackets.
fn said(page: &str) -> String {
    let (mut out, mut inside) = (String::new(), false);
    for c in page.replace("<mark>", "[").replace("</mark>", "]").replace("</dt>", "=").replace("</div>", ";").chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ").replace("&#x2f;", "/")
}

const LINES: &str = r#"
[[entity]]
name = "Lines"
table = "line"
key = ["ID", "NO"]
fields = [{ name = "ID", type = "string", length = 5 }, { name = "NO", type = "integer" }, { name = "QUANTITY", type = "integer" }]
"#;

/// The entity of [`groups`] in this format, with this mapping, and one that nests if any.
fn groups_as(format: &str, rest: &str) -> String {
    let stated = format!("entity = \"Customer groups\"\nformat = {{ {format} }}\n{rest}");
    let configuration = groups("").replacen("entity = \"Customer groups\"", &stated, 1);
    assert_ne!(configuration, groups(""), "the project has the entity");
    format!("{LINES}{configuration}")
}

#[test]
fn findings_stand_beside_their_rows_in_every_format() {
    let fixed = "type = \"fixed\", columns = [{ name = \"ID\", start = 1, length = 3 }, { name = \"NAME\", start = 4, length = 4 }, { name = \"AMOUNT\", start = 8, length = 4 }]";
    let workbook = {
        let mut workbook = rust_xlsxwriter::Workbook::new();
        let sheet = workbook.add_worksheet();
        for (row, cells) in [["ID", "NAME", "AMOUNT"], ["1", "one", "1"], ["2", "two", "abc"], ["", "three", "x"]].iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                sheet.write_string(row as u32, column as u16, *cell).unwrap();
            }
        }
        workbook.save_to_buffer().unwrap()
    };
    let paths =
        r#"mapping = [{ source = "@id", field = "ID" }, { source = "name", field = "NAME" }, { source = "sum/amount", field = "AMOUNT" }]"#;
    let cases: [(String, &[u8], [&str; 2]); 7] = [
        (
            groups_as("type = \"xml-element\"", paths),
            b"<D><G id='1'><name>one</name><sum><amount>1</amount></sum></G><G id='2'><name>two</name><sum><amount>abc</amount></sum></G>\n<G><name>three</name><sum><amount>x</amount></sum></G></D>",
            ["@id=2; name=two; sum/amount=[abc];", "@id=blank; name=three; sum/amount=x;"],
        ),
        (
            groups_as("type = \"json\", record = \"groups\"", ""),
            br#"{"groups":[{"ID":"1","NAME":"one","AMOUNT":1},{"ID":"2","NAME":"two","AMOUNT":"abc"},{"NAME":"three","AMOUNT":"x"}]}"#,
            ["ID=2; NAME=two; AMOUNT=[abc];", "ID=blank; NAME=three; AMOUNT=x;"],
        ),
        (
            groups_as("type = \"jsonl\"", ""),
            b"{\"ID\":\"1\",\"NAME\":\"one\",\"AMOUNT\":1}\n{\"ID\":\"2\",\"NAME\":\"two\",\"AMOUNT\":\"abc\"}\n\n{\"NAME\":\"three\",\"AMOUNT\":\"x\"}\n",
            ["ID=2; NAME=two; AMOUNT=[abc];", "ID=blank; NAME=three; AMOUNT=x;"],
        ),
        (groups_as(fixed, ""), b"1  one 1\n2  two abc\n   threx\n", ["ID=2; NAME=two; AMOUNT=[abc];", "ID=blank; NAME=thre; AMOUNT=x;"]),
        (
            groups_as(&format!("{fixed}, record_length = 11"), ""),
            b"1  one 1   2  two abc    threx   ",
            ["ID=2; NAME=two; AMOUNT=[abc];", "ID=blank; NAME=thre; AMOUNT=x;"],
        ),
        (groups_as("type = \"excel\"", ""), &workbook, ["ID=2; NAME=two; AMOUNT=[abc];", "ID=blank; NAME=three; AMOUNT=x;"]),
        (
            groups_as("type = \"csv\", record_end = \"&|\"", ""),
            b"ID,NAME,AMOUNT&|1,one,1&|2,two,abc&|,three,x&|",
            ["ID=2; NAME=two; AMOUNT=[abc];", "ID=blank; NAME=three; AMOUNT=x;"],
        ),
    ];
    for (configuration, document, expected) in cases {
        let mut appliance = Appliance::start(&configuration);
        let person = Person::signed_in(&appliance);
        let id = appliance.enqueue(document, None);
        appliance.settle();
        let page = said(&person.get(&appliance, &format!("/messages/{id}")).expect(200).text());
        assert!(page.contains("2 of 3 rows were refused"), "{page}");
        for row in expected {
            assert!(page.contains(row), "{row}: {page}");
        }
        // A page that does not begin with the first finding finds its rows too: two of three findings are about the last row.
        let page = said(&person.get(&appliance, &format!("/messages/{id}?from=1")).expect(200).text());
        assert!(!page.contains("two;") && page.contains(expected[1]), "{page}");
    }
}

#[test]
fn findings_of_nested_records_and_of_packages_stand_beside_their_rows() {
    let nested = "[[project.entity.nested]]\nentity = \"Lines\"\nrecord = \"line\"\nmapping = [{ parent = \"ID\", field = \"ID\" }, { source = \"no\", field = \"NO\" }, { source = \"quantity\", field = \"QUANTITY\" }]";
    let mut appliance = Appliance::start(&groups_as("type = \"xml-element\"", nested));
    let person = Person::signed_in(&appliance);
    let document = b"<D><G><ID>1</ID><NAME>one</NAME><AMOUNT>1</AMOUNT><line><no>1</no><quantity>2</quantity></line></G>\
        <G><ID>2</ID><NAME>two</NAME><AMOUNT>1</AMOUNT><line><no>1</no><quantity>many</quantity></line></G></D>";
    let id = appliance.enqueue(document, None);
    appliance.settle();
    let page = said(&person.get(&appliance, &format!("/messages/{id}")).expect(200).text());
    assert!(page.contains("Row 2, line 1: quantity") && page.contains("ID=2; NAME=two; AMOUNT=1; Found: [many]"), "{page}");
    assert!(page.contains("In this record of Customer groups, for Lines:"), "{page}");

    let stated = groups("").replacen("project = \"Groups in\"", "accepts = \"package\"\nproject = \"Groups in\"", 1);
    let mut appliance = Appliance::start(&stated);
    let person = Person::signed_in(&appliance);
    let manifest = "<DataManagementPackageManifest xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"><PackageEntityList><DataManagementPackageEntityData>\
        <EntityName>Customer groups</EntityName><InputFilePath>groups.txt</InputFilePath><SourceFormat>Semicolon</SourceFormat>\
        </DataManagementPackageEntityData></PackageEntityList></DataManagementPackageManifest>";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("Manifest.xml", manifest), ("groups.txt", "ID;NAME;AMOUNT\n1;one;1\n2;two;abc\n")] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
    }
    let id = appliance.enqueue(&zip.finish().unwrap().into_inner(), None);
    appliance.settle();
    let page = said(&person.get(&appliance, &format!("/messages/{id}")).expect(200).text());
    assert!(page.contains("ID=2; NAME=two; AMOUNT=[abc];"), "{page}");
}

#[test]
fn what_is_found_in_a_package_says_of_which_entity_it_is() {
    use crate::packages::{PACKAGES, both, configuration};
    let mut app = Appliance::start(&configuration(""));
    let person = Person::signed_in(&app);
    let id = app.enqueue_to(PACKAGES, "", &both(b"NAME,DAYS\nNet30,30\nNet60,x\n", b"ID;NAME;TERMS\n10;Retail;Net30\n"), None);
    app.settle();
    let page = said(&person.get(&app, &format!("/messages/{id}")).expect(200).text());
    assert!(page.contains("Terms of paymentProcessed with errors 2 read, 1 new, 1 refused 1"), "{page}");
    assert!(page.contains("Customer groupsRefused – 1 ") && page.contains("Terms of payment – Row 2, line 3: DAYS"), "{page}");
    assert!(page.contains("Customer groups – The whole document"), "{page}");
    let status = app.get(&format!("/api/connector/jobstatus/{PACKAGES}?jobId={id}")).expect(200).json();
    let log = status["ExecutionLog"].as_str().unwrap();
    assert!(log.contains("\nTerms of payment, line 3, row 2, DAYS:") && log.contains("\nCustomer groups, line 1"), "{log}");
    let execution = status["DataJobStatus"]["ExecutionIdentifier"].as_str().unwrap();
    let errors = app.value("GetExecutionErrors", &serde_json::json!({ "executionId": execution }));
    assert!(errors.as_str().unwrap().contains("Terms of payment, line 3: "), "{errors}");
}

#[test]
fn a_job_shows_where_to_send_when_it_runs_its_load_and_its_messages_page_by_page() {
    let mut appliance = Appliance::start(&groups("monitoring_recurrence = \"* * * * *\""));
    let person = Person::signed_in(&appliance);
    let page = person.get(&appliance, &format!("/jobs/{IMPORT}")).expect(200).text();
    assert!(page.contains(&IMPORT.to_lowercase()) && page.contains("No sample yet") && page.contains("No message yet"));
    assert!(page.replace("&#x2f;", "/").contains("/api/connector/enqueue/") && page.contains("As soon as a message arrives"));
    for number in 0..30 {
        appliance.enqueue(format!("ID,NAME,AMOUNT\n{number},a,1\n").as_bytes(), Some(&format!("file-{number}.csv")));
    }
    appliance.settle();
    appliance.advance(Duration::from_secs(90));
    let page = person.get(&appliance, &format!("/jobs/{IMPORT}")).expect(200).text();
    assert!(page.contains("30 arrived") && page.contains("30 ended") && page.contains("<svg"), "{page}");
    assert!(page.contains("file-29.csv") && page.contains("file-5.csv") && !page.contains("file-4.csv"));
    let older = page.split("href=\"").find(|part| part.contains("before=")).unwrap().split('"').next().unwrap().replace("&#x2f;", "/");
    let second = person.get(&appliance, older.split('#').next().unwrap()).expect(200).text();
    assert!(second.contains("file-4.csv") && second.contains("file-0.csv") && !second.contains("file-5.csv"));
    let processed = person.get(&appliance, &format!("/jobs/{IMPORT}?state=processed")).expect(200).text();
    assert!(processed.contains("file-29.csv"));
    assert!(person.get(&appliance, &format!("/jobs/{IMPORT}?state=failed")).expect(200).text().contains("None here"));
    let export = person.get(&appliance, "/jobs/C03BB937-09ED-46DE-86EE-4520D7D7E373").expect(200).text();
    assert!(
        export.contains("Wed 25 Nov 2026 06:00:00") && export.contains("2026-11-25 05:00:00") && export.contains("Europe&#x2f;Amsterdam")
    );
    let unsampled = person.get(&appliance, "/jobs/C03BB937-09ED-46DE-86EE-4520D7D7E373").text();
    assert!(unsampled.contains("The queue is not sampled"));
    person.post(&appliance, "/jobs/C03BB937-09ED-46DE-86EE-4520D7D7E373/run").expect(303);
    appliance.settle();
    assert_eq!(appliance.operator("GET", "jobs/Groups%20out").json()["states"]["enqueued"], 1);
}

#[test]
fn users_of_the_configuration_sign_in_with_their_role() {
    let hash = String::from_utf8(hash_of(PASSWORD)).unwrap();
    let user = |name: &str, role: &str| format!("\n[[user]]\nname = \"{name}\"\nrole = \"{role}\"\npassword_hash = \"{}\"\n", hash.trim());
    let appliance = Appliance::start(&format!("{}{}{}", groups(""), user("vera", "viewer"), user("otto", "operator")));
    assert!(!appliance.printed.contains("/welcome/"), "somebody can sign in already");
    let viewer = Person::with(&appliance, cookie(&sign_in(&appliance, "vera", PASSWORD).expect(303)));
    assert!(!viewer.get(&appliance, &format!("/jobs/{IMPORT}")).expect(200).text().contains("Run now"));
    assert!(viewer.post(&appliance, &format!("/jobs/{IMPORT}/pause")).expect(403).text().contains("viewer"));
    let operator = Person::with(&appliance, cookie(&sign_in(&appliance, "otto", PASSWORD).expect(303)));
    operator.post(&appliance, &format!("/jobs/{IMPORT}/pause")).expect(303);
    let taken = welcome(&appliance, &link(&appliance), "Vera", PASSWORD).expect(400).text();
    assert!(taken.contains("configuration file"), "{taken}");
    let users = appliance.operator("GET", "users").expect(200).json();
    assert_eq!(users["users"][0]["kept_in"], "configuration");
    assert!(!users.to_string().contains("argon2"), "no hash leaves the appliance");
}

fn hash_of(password: &str) -> Vec<u8> {
    use std::io::Write;
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_entrepot"))
        .args(["user", "hash"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    process.wait_with_output().unwrap().stdout
}

#[test]
fn every_page_is_guarded_and_has_nothing_inline() {
    let mut appliance = Appliance::start(&groups("monitoring_recurrence = \"* * * * *\""));
    let signed_out = appliance.send("GET", "/sign-in", &[], b"").expect(200);
    let welcoming = appliance.send("GET", &link(&appliance), &[], b"").expect(200);
    let person = Person::signed_in(&appliance);
    let id = appliance.enqueue(BAD, None);
    appliance.advance(Duration::from_secs(120));
    let mut pages = vec![signed_out, welcoming];
    for path in ["/", "/messages", "/messages?attention=1&state=&job=", &format!("/messages/{id}"), &format!("/jobs/{IMPORT}")] {
        let page = person.get(&appliance, path).expect(200);
        // What has not changed is not sent again.
        let again =
            appliance.send("GET", path, &[("Cookie", &person.cookie), ("If-None-Match", page.header("ETag").unwrap())], b"").expect(304);
        assert!(again.body.is_empty() && again.header("Content-Length").is_none());
        pages.push(page);
    }
    pages.push(person.get(&appliance, "/messages/00000000-0000-0000-0000-000000000000").expect(404));
    pages.push(person.get(&appliance, "/messages?state=unheard-of").expect(400));
    pages.push(person.get(&appliance, "/messages/no-id").expect(400));
    for page in &pages {
        let policy = page.header("Content-Security-Policy").expect("a content policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("X-Frame-Options"), Some("DENY"));
        assert_eq!(page.header("Cache-Control"), Some("no-store, private"));
        let html = page.text();
        assert!(html.starts_with("<!doctype html>"), "{html}");
        for inline in [" style=", " onclick=", " onload=", "<style", "javascript:"] {
            assert!(!html.contains(inline), "{inline} in {html}");
        }
        assert_eq!(html.matches("<script").count(), 1, "ours alone");
        assert_eq!(html.matches("<h1").count(), 1);
        let posts = html.matches("method=\"post\"").count();
        let tokens = html.matches("name=\"form_token\"").count() + html.matches("name=\"password\"").count();
        assert_eq!(posts, tokens, "each form that changes something carries the token, or a password: {html}");
        let mut ids: Vec<&str> = html.split(" id=\"").skip(1).map(|part| part.split('"').next().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "ids are unique: {ids:?}");
        for label in html.split("<label for=\"").skip(1).map(|part| part.split('"').next().unwrap()) {
            assert!(ids.binary_search(&label).is_ok(), "the label {label} has its field");
        }
        for local in html.split("href=\"/").skip(1).map(|part| part.split(['"', '#']).next().unwrap()) {
            let answer = person.get(&appliance, &format!("/{}", local.replace("&#x2f;", "/").replace("&amp;", "&")));
            assert!(matches!(answer.status, 200 | 303), "/{local} leads nowhere: {}", answer.status);
        }
    }
    let style = appliance.send("GET", "/assets/app.css", &[], b"").expect(200);
    assert!(style.header("Content-Type").unwrap().starts_with("text/css") && !style.text().contains("http"));
    appliance.send("GET", "/assets/..%2f..%2fCargo.toml", &[], b"").expect(404);
}
