//! Authorities that do not issue, and clocks that are wrong: a host keeps what it has.

use std::thread;
use std::time::Duration;

use stockade_tests::peers::acme::Pebble;
use stockade_tests::peers::interloper::{Answer, Interloper};
use stockade_tests::stunnel::authority::{Authority, Leaf};

use crate::setting::{Kind, Scene, WWW, now};

/// Seconds of a day.
const DAY: u64 = 24 * 3600;

/// What an answer is called here, and what makes it.
type Named = (&'static str, fn() -> Answer);

/// What an authority may answer that helps nobody.
const NO_HELP: [Named; 6] = [
    ("429", || {
        Answer::problem(429, "rateLimited", "Retry-After: 3600\r\n")
    }),
    ("500", || Answer::problem(500, "serverInternal", "")),
    ("502", || {
        Answer::Response(502, String::new(), "<html>".to_owned())
    }),
    ("garbage", || Answer::Garbage),
    ("end", || Answer::End),
    ("silence", || Answer::Silence),
];

/// Whatever an authority answers, a host keeps the certificate that it has, and it is said why and
/// until when.
fn a_failing_authority(name: &str) {
    let (_, answer) = NO_HELP
        .iter()
        .find(|(known, _)| *known == name)
        .expect("one of them");
    let scene = Scene::new(Kind::Hosted);
    let pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let interloper = Interloper::start(scene.tap.host(), &pebble);
    let scene = scene
        .directory(interloper.directory(), interloper.trusted())
        .option("--poll=1");
    // Valid for another day of 90: it is time.
    let authority = Authority::new("Another authority");
    let root = authority.certificate();
    let leaf = Leaf::named(WWW)
        .dns(WWW)
        .from_to(now() - 89 * DAY, now() + DAY);
    let file = scene.host(&authority.issue(&leaf)).to_string();
    let head = scene.repository.change(&[(WWW, Some(&file))], "A host");
    interloper.answer(move |heard| (heard.path == "/order-plz").then(answer));
    let tunnel = scene.start();
    scene.wait_for_host(&root, WWW);
    let line = tunnel.wait_for("next try");
    assert!(line.contains(WWW), "{line}");
    scene.expect_page(&root, WWW);
    // Not again at once.
    let orders = || {
        interloper
            .heard()
            .iter()
            .filter(|heard| heard.path == "/order-plz")
            .count()
    };
    let asked = orders();
    thread::sleep(Duration::from_secs(5));
    assert_eq!(orders(), asked);
    scene.expect_page(&root, WWW);
    assert_eq!(scene.repository.head(), Some(head));
    scene.repository.check();
}

#[test]
fn an_authority_that_is_overrun() {
    a_failing_authority("429");
}

#[test]
fn an_authority_that_fails() {
    a_failing_authority("500");
}

#[test]
fn an_authority_behind_a_failing_proxy() {
    a_failing_authority("502");
}

#[test]
fn an_authority_that_talks_nonsense() {
    a_failing_authority("garbage");
}

#[test]
fn an_authority_that_hangs_up() {
    a_failing_authority("end");
}

#[test]
fn an_authority_that_is_silent() {
    a_failing_authority("silence");
}

/// A machine that takes the year for an earlier or a later one serves what it has, says what is wrong,
/// and overruns nobody.
fn a_wrong_clock(ahead: i64) {
    let scene = Scene::new(Kind::Hosted).clock_ahead(ahead);
    let pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let interloper = Interloper::start(scene.tap.host(), &pebble);
    let scene = scene
        .directory(interloper.directory(), interloper.trusted())
        .option("--poll=1");
    let authority = Authority::new("Another authority");
    let leaf = Leaf::named(WWW)
        .dns(WWW)
        .from_to(now() - DAY, now() + 60 * DAY);
    let file = scene.host(&authority.issue(&leaf)).to_string();
    scene.repository.change(&[(WWW, Some(&file))], "A host");
    let _tunnel = scene.start();
    // Whatever the machine thinks of it.
    let root = authority.certificate();
    let either = format!("{root}{}", pebble.root);
    scene.wait_for_host(&either, WWW);
    thread::sleep(Duration::from_secs(15));
    let heard = interloper.heard();
    let orders = heard
        .iter()
        .filter(|heard| heard.path == "/order-plz")
        .count();
    // One order, and what its nonces cost.
    assert!(orders <= 6, "{orders} orders: {heard:#?}");
    scene.wait_for_host(&either, WWW);
    scene.expect_page(&either, WWW);
    scene.repository.check();
}

#[test]
fn a_clock_that_is_days_ahead() {
    a_wrong_clock(100 * DAY as i64);
}

#[test]
fn a_clock_that_is_behind() {
    a_wrong_clock(-(2 * DAY as i64));
}

#[test]
fn a_clock_that_begins_with_1970() {
    a_wrong_clock(-(now() as i64) + 10);
}
