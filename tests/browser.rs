//! The pages in a real browser: headless chromium, driven through chromedriver (W3C WebDriver) as a person would. Where chromedriver is not
//! installed the tests say that they are skipped; `.ci/run` installs it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::appliance::{Appliance, IMPORT, groups};
use crate::wire::{DESK, ask, with_desk};

const PASSWORD: &str = "correct horse battery";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const SPACE: &str = " ";
/// What the browser may take for a step; a failing test ends then.
const PATIENCE: Duration = Duration::from_secs(30);

struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
}

impl Browser {
    /// `None`, with a word, where there is no chromedriver.
    fn start() -> Option<Browser> {
        let driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = driver else {
            println!("skipped: chromedriver is not installed (Debian: chromium-driver)");
            return None;
        };
        let mut out = BufReader::new(driver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "chromedriver ended");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim().trim_end_matches('.').to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into();
        let mut browser = Browser { driver, agent, session: format!("http://127.0.0.1:{port}/session") };
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"];
        let quiet = ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"];
        let options = json!({ "args": arguments.iter().chain(&quiet).collect::<Vec<_>>() });
        let always = json!({ "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let made = browser.ask("POST", "", json!({ "capabilities": { "alwaysMatch": always } }));
        browser.session = format!("{}/{}", browser.session, made["sessionId"].as_str().expect("a session"));
        Some(browser)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let sent = match method {
            "GET" => self.agent.get(&url).call(),
            "DELETE" => self.agent.delete(&url).call(),
            _ => self.agent.post(&url).send_json(&body),
        };
        let mut answer = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let value: Value = answer.body_mut().read_json().unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {value}");
        value["value"].clone()
    }

    fn chrome(&self, command: &str, params: Value) -> Value {
        self.ask("POST", "/goog/cdp/execute", json!({ "cmd": command, "params": params }))
    }

    fn open(&self, url: &str) {
        self.ask("POST", "/url", json!({ "url": url }));
    }

    fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// Presses keys where the focus is.
    fn keys(&self, keys: &str) {
        let presses: Vec<Value> = keys
            .chars()
            .flat_map(|key| [json!({ "type": "keyDown", "value": key.to_string() }), json!({ "type": "keyUp", "value": key.to_string() })])
            .collect();
        self.ask("POST", "/actions", json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": presses }] }));
    }

    /// Presses Tab until the focus is on what has this text or name; everything must be reachable so.
    #[track_caller]
    fn tab_to(&self, wanted: &str) {
        for _ in 0..80 {
            self.keys(TAB);
            let focus = self.run(
                "const e = document.activeElement; const s = getComputedStyle(e); \
                 return [(e.name || '') , e.textContent.trim(), e.matches(':focus-visible') && s.outlineStyle !== 'none'];",
            );
            if focus[0] == wanted || focus[1] == wanted {
                assert_eq!(focus[2], true, "the focus on {wanted} is visible");
                return;
            }
        }
        panic!("{wanted} is not reached with the keyboard");
    }

    /// Waits until a script says true.
    #[track_caller]
    fn until(&self, script: &str) {
        let begun = Instant::now();
        while self.run(&format!("return !!({script});")) != true {
            assert!(begun.elapsed() < PATIENCE, "never true: {script}\n{}", self.run("return document.body.innerText;"));
        }
    }

    fn text(&self) -> String {
        self.run("return document.body.innerText;").as_str().unwrap_or_default().to_owned()
    }

    /// What the browser complained of: blocked styles, failed scripts.
    fn complaints(&self) -> Vec<String> {
        let entries = self.ask("POST", "/se/log", json!({ "type": "browser" }));
        entries.as_array().into_iter().flatten().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The appliance's own address in place of the public one.
fn here(appliance: &Appliance, url: &str) -> String {
    url.replace("http://exchange.test", &appliance.base)
}

fn first_link(appliance: &Appliance) -> String {
    let url = appliance.operator("POST", "sign-in-link").expect(200).json()["url"].as_str().unwrap().to_owned();
    here(appliance, &url)
}

#[test]
fn a_person_signs_in_finds_the_bad_file_and_replays_it_with_the_keyboard_alone() {
    let Some(browser) = Browser::start() else { return };
    let mut appliance = Appliance::start(&groups(""));
    browser.open(&first_link(&appliance));
    browser.until("document.activeElement.name === 'password'");
    browser.keys(&format!("{PASSWORD}{TAB}{PASSWORD}{ENTER}"));
    browser.until("location.pathname === '/'");
    assert!(browser.text().contains("Nothing. Every message was processed"));

    let id = appliance.enqueue(b"ID,NAME,AMOUNT\n10,Retail,1.5\n20,Bad,abc\n", Some("groups.csv"));
    appliance.settle();
    // The page follows by itself.
    browser.until("document.body.innerText.includes('groups.csv')");
    browser.tab_to("groups.csv");
    browser.keys(ENTER);
    browser.until(&format!("location.pathname === '/messages/{id}'"));
    assert!(browser.text().contains("Row 2, line 3: AMOUNT"), "{}", browser.text());
    assert_eq!(browser.run("return document.querySelector('mark').textContent"), "abc");
    browser.tab_to("Replay");
    browser.keys(SPACE);
    browser.until("document.body.innerText.includes('This is the replay')");

    browser.open(&format!("{}/jobs/{IMPORT}", appliance.base));
    browser.tab_to("Pause");
    browser.keys(ENTER);
    browser.until("document.body.innerText.includes('The job is paused')");
    let waiting = appliance.enqueue(b"ID,NAME,AMOUNT\n30,Waits,1\n", Some("later.csv"));
    browser.open(&format!("{}/messages/{waiting}", appliance.base));
    browser.tab_to("Cancel…");
    browser.keys(ENTER);
    browser.tab_to("Cancel this message");
    browser.keys(ENTER);
    browser.until("document.body.innerText.includes('The message is cancelled')");
    browser.tab_to("Sign out");
    browser.keys(ENTER);
    browser.until("location.pathname === '/sign-in'");
    browser.keys(&format!("admin{TAB}wrong password{ENTER}"));
    browser.until("document.querySelector('[role=alert]')");
    browser.keys(&format!("{PASSWORD}{ENTER}"));
    browser.until("location.pathname === '/'");
    // The refused sign-in is the one thing that the browser may mention.
    let complaints: Vec<String> = browser.complaints().into_iter().filter(|text| !text.contains("403")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// WCAG 2.2: the contrast of every text with what is behind it, at least 4.5, or 3 for large text. Returns what fails.
const CONTRAST: &str = r"
const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const parse = (t) => { const n = t.match(/[\d.]+/g).map(Number); return n.length === 4 && n[3] === 0 ? null : n.slice(0, 3); };
const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c) return c; } return [255, 255, 255]; };
const bad = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement, s = getComputedStyle(e);
  if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest('svg, .unseen, .skip, thead')) continue;
  const [a, b] = [light(parse(s.color) || [0, 0, 0]), light(behind(e))].sort((x, y) => y - x);
  const large = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.66 && s.fontWeight >= 700);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < (large ? 3 : 4.5)) bad.push(`${walk.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
}
return bad;";

#[test]
fn a_person_enters_a_programs_code_and_allows_it_with_the_keyboard_alone() {
    let Some(browser) = Browser::start() else { return };
    let appliance = Appliance::start(&with_desk());
    let form = format!("client_id={DESK}");
    let codes = ask(&appliance, "/common/oauth2/v2.0/devicecode", &form).expect(200).json();
    browser.open(&first_link(&appliance));
    browser.until("document.activeElement.name === 'password'");
    browser.run("document.querySelector('[name=name]').value = 'kim';");
    browser.keys(&format!("{PASSWORD}{TAB}{PASSWORD}{ENTER}"));
    browser.until("location.pathname === '/'");
    browser.open(&format!("{}/device", appliance.base));
    browser.until("document.activeElement.name === 'code'");
    browser.keys(&format!("{}{ENTER}", codes["user_code"].as_str().unwrap()));
    browser.until("document.body.innerText.includes('Allow it')");
    browser.tab_to("Allow it");
    browser.keys(ENTER);
    browser.until("document.body.innerText.includes('you can close this page')");
    let code = codes["device_code"].as_str().unwrap();
    let form = format!("grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id={DESK}&device_code={code}");
    ask(&appliance, "/common/oauth2/v2.0/token", &form).expect(200);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn every_page_fits_a_phone_and_can_be_read_in_light_and_dark() {
    let Some(browser) = Browser::start() else { return };
    let mut appliance = Appliance::start(&groups("monitoring_recurrence = \"* * * * *\""));
    let long = "a_column_value_without_any_blank_".repeat(12);
    let id = appliance.enqueue(format!("ID,NAME,AMOUNT\n10,Retail,1.5\n20,{long},abc\n,x,1\n").as_bytes(), Some(&"long-name-".repeat(12)));
    appliance.settle();
    appliance.advance(Duration::from_secs(120));
    let signed_out = [first_link(&appliance), format!("{}/sign-in", appliance.base)];
    let pages = [
        "/",
        "/messages",
        &format!("/messages/{id}"),
        &format!("/jobs/{IMPORT}"),
        "/device",
        "/messages/00000000-0000-0000-0000-000000000000",
    ];
    let look = |url: &str| {
        for scheme in ["light", "dark"] {
            browser.chrome("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }));
            for width in [360, 1280] {
                let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
                browser.chrome("Emulation.setDeviceMetricsOverride", metrics);
                browser.open(url);
                let wide = browser.run("return document.documentElement.scrollWidth;");
                assert!(wide.as_u64().unwrap() <= width, "{url} is {wide} wide at {width} px");
                let faint = browser.run(CONTRAST);
                assert_eq!(faint, json!([]), "{url}, {scheme}, {width} px");
                let order = browser.run("return [...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1]);");
                let order: Vec<u64> = order.as_array().unwrap().iter().map(|level| level.as_u64().unwrap()).collect();
                assert!(order.first() == Some(&1) && order.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{url}: headings {order:?}");
            }
        }
    };
    signed_out.iter().for_each(|url| look(url));
    browser.open(&signed_out[0]);
    browser.until("document.activeElement.name === 'password'");
    browser.keys(&format!("{PASSWORD}{TAB}{PASSWORD}{ENTER}"));
    browser.until("location.pathname === '/'");
    pages.iter().for_each(|path| look(&format!("{}{path}", appliance.base)));
}
