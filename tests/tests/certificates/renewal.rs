//! Certificates that are renewed while they serve.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::peers::acme::Pebble;
use stockade_tests::peers::interloper::{Answer, Interloper};
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::{PATIENCE, wait_until};

use crate::contruno::{Form, Host};
use crate::setting::{Kind, PASS, Scene, WWW, expect_page, shown};

/// Long enough for an issue within its second half on a busy machine, and short enough to watch.
const VALIDITY: Duration = Duration::from_secs(40);

/// Two lifetimes long, who is connected stays connected, and whoever connects is let in with a
/// certificate that is valid.
#[test]
fn two_lifetimes() {
    let scene = Scene::new(Kind::Hosted).option("--poll=5");
    let mut pebble = Pebble::new(scene.tap.guest());
    pebble.validity = VALIDITY;
    let pebble = pebble.start(scene.tap.host());
    let scene = scene.authority(&pebble);
    let file = scene.placeholder(WWW).to_string();
    scene.repository.change(&[(WWW, Some(&file))], "A host");
    let _tunnel = scene.start();
    let first = scene.wait_for_host(&pebble.root, WWW);
    let mut held = scene.connect(&pebble.root, WWW).expect("it is served");
    held.write_all(b"ECHO\n").expect("an open connection");

    let mut serials = vec![first.serial.clone()];
    let mut connections = 0;
    let end = Instant::now() + 2 * VALIDITY + PATIENCE;
    // Until one is shown that began when the first had been over for as long as it was valid.
    let long_after = first.not_after + VALIDITY.as_secs();
    let mut last = first;
    while last.not_before < long_after {
        assert!(
            Instant::now() < end,
            "nothing is renewed; the last is {last:?}"
        );
        let mut stream = scene
            .connect(&pebble.root, WWW)
            .unwrap_or_else(|error| panic!("after {connections} connections: {error}"));
        last = shown(&stream);
        if serials.last() != Some(&last.serial) {
            serials.push(last.serial.clone());
        }
        if connections % 10 == 0 {
            expect_page(&mut stream, WWW);
            held.write_all(b"still here").expect("an open connection");
            let mut echo = [0; 10];
            held.read_exact(&mut echo).expect("an echo");
        } else {
            let _ = stream.finish();
        }
        connections += 1;
        thread::sleep(Duration::from_millis(100));
    }
    // None comes back that was replaced.
    let mut sorted = serials.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), serials.len(), "{serials:?}");
    held.finish().expect("an open connection");
    scene.repository.check();
    assert!(scene.repository.commits().len() > 3);
}

/// Waits at the point where a certificate is handed out until the test lets it go.
struct Hold {
    reached: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

impl Hold {
    /// The next certificate that is asked for; later ones pass.
    fn at_the_next_certificate(interloper: &Interloper) -> Hold {
        let (reach, reached) = mpsc::channel();
        let (go, going) = mpsc::channel::<()>();
        interloper.answer(move |heard| {
            if heard.path.starts_with("/certZ/") && reach.send(()).is_ok() {
                // Whoever held it is gone, or lets it go.
                let _ = going.recv_timeout(PATIENCE);
            }
            None
        });
        Hold { reached, go }
    }

    /// Waits until it is asked for.
    fn wait(&self) {
        self.reached
            .recv_timeout(PATIENCE)
            .expect("a certificate is asked for");
    }

    /// Lets it and all later ones go.
    fn release(self) {
        let _ = self.go.send(());
    }
}

/// A scene with a host that has no certificate yet, and somebody between it and Pebble.
fn scene_with_interloper() -> (Scene, stockade_tests::peers::acme::Authorities, Interloper) {
    let scene = Scene::new(Kind::Hosted);
    let pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let interloper = Interloper::start(scene.tap.host(), &pebble);
    let scene = scene
        .directory(interloper.directory(), interloper.trusted())
        .option("--poll=86400");
    let file = scene.placeholder(WWW).to_string();
    scene.repository.change(&[(WWW, Some(&file))], "A host");
    (scene, pebble, interloper)
}

/// Whatever somebody else pushes while a certificate is being issued stays, and so does the
/// certificate.
#[test]
fn somebody_else_pushes_meanwhile() {
    let (scene, pebble, interloper) = scene_with_interloper();
    let hold = Hold::at_the_next_certificate(&interloper);
    let _tunnel = scene.start();
    hold.wait();
    let before = scene.repository.file(WWW).expect("it was pushed");
    let mut other: Value = serde_json::from_str(&before).expect("JSON");
    other["note"] = json!("not to be lost");
    let other = other.to_string();
    let changes = [
        (WWW, Some(other.clone())),
        ("notes.txt", Some("of somebody else\n".to_owned())),
    ];
    let changes: Vec<_> = changes
        .iter()
        .map(|(name, text)| (*name, text.as_deref()))
        .collect();
    let theirs = scene.repository.change(&changes, "Meanwhile");
    hold.release();
    scene.wait_for_host(&pebble.root, WWW);
    let file = wait_until(PATIENCE, || {
        scene.repository.file(WWW).filter(|file| *file != other)
    });
    let file: Value = serde_json::from_str(&file.expect("it is pushed")).expect("JSON");
    assert_eq!(file["note"], "not to be lost");
    let notes = scene.repository.file("notes.txt");
    assert_eq!(notes.as_deref(), Some("of somebody else\n"));
    let commits = scene.repository.commits();
    assert!(
        commits.iter().any(|commit| commit.id == theirs),
        "{commits:#?}"
    );
    assert_ne!(commits[0].id, theirs);
    scene.repository.check();
}

/// A host that somebody else removes while its certificate is being issued is not brought back.
#[test]
fn somebody_else_removes_it_meanwhile() {
    let (scene, _pebble, interloper) = scene_with_interloper();
    let hold = Hold::at_the_next_certificate(&interloper);
    let _tunnel = scene.start();
    hold.wait();
    let theirs = scene.repository.change(
        &[(WWW, None), ("notes.txt", Some("nothing is here\n"))],
        "No host any more",
    );
    hold.release();
    // The tunnel has seen it once it says that there is no host.
    let told = wait_until(PATIENCE, || {
        let told = scene.tell(PASS).ok()?;
        matches!(told, stockade_store::notice::Outcome::Done { hosts: 0, .. }).then_some(())
    });
    assert!(told.is_some(), "the host is served on");
    assert_eq!(scene.repository.head(), Some(theirs));
    scene.repository.check();
}

/// A certificate that can't be pushed is used all the same, and pushed once it can.
#[test]
fn unreachable_at_renewal() {
    let (mut scene, pebble, interloper) = scene_with_interloper();
    let hold = Hold::at_the_next_certificate(&interloper);
    let _tunnel = scene.start();
    hold.wait();
    let before = scene.repository.file(WWW);
    scene.repository.down();
    hold.release();
    let used = scene.wait_for_host(&pebble.root, WWW);
    assert_eq!(scene.repository.file(WWW), before);
    scene.repository.up();
    let file = wait_until(PATIENCE, || {
        scene
            .repository
            .file(WWW)
            .filter(|_| scene.repository.file(WWW) != before)
    });
    Host::read(&file.expect("it is pushed"));
    assert_eq!(scene.wait_for_host(&pebble.root, WWW), used);
    scene.repository.check();
}

/// The authority says when to renew (RFC 9773), and learns which certificate is replaced; the
/// profile that was asked for is named in each order.
#[test]
fn when_the_authority_says_so() {
    let scene = Scene::new(Kind::Hosted);
    let pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let interloper = Interloper::start(scene.tap.host(), &pebble);
    let scene = scene
        .directory(interloper.directory(), interloper.trusted())
        .option("--profile=shortlived");
    let base = format!("https://{}", interloper.address());
    let directory = json!({
        "newNonce": format!("{base}/nonce-plz"),
        "newAccount": format!("{base}/sign-me-up"),
        "newOrder": format!("{base}/order-plz"),
        "renewalInfo": format!("{base}/renewal-info"),
        "meta": {"profiles": {"shortlived": "for a quarter of an hour"}},
    })
    .to_string();
    // Of a certificate that is new, too, the window is over: it is to be replaced at once.
    let window = json!({"suggestedWindow": {
        "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z",
    }})
    .to_string();
    let asked = std::sync::atomic::AtomicBool::new(false);
    interloper.answer(move |heard| {
        let json = "Content-Type: application/json\r\nRetry-After: 21600\r\n".to_owned();
        if heard.path == "/dir" {
            return Some(Answer::Response(200, json, directory.clone()));
        }
        if !heard.path.starts_with("/renewal-info/") {
            return None;
        }
        // Once; from then on there is time.
        let later = window.replace("2020", "2100");
        let content = match asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
            false => window.clone(),
            true => later,
        };
        Some(Answer::Response(200, json, content))
    });
    let file = scene.placeholder(WWW).to_string();
    scene.repository.change(&[(WWW, Some(&file))], "A host");
    let _tunnel = scene.start();
    let first = scene.wait_for_host(&pebble.root, WWW);
    scene.wait_for_certificate(&pebble.root, WWW, |shown| shown.serial != first.serial);
    let heard = interloper.heard();
    let orders: Vec<&Value> = heard
        .iter()
        .filter(|heard| heard.path == "/order-plz" && !heard.payload.is_null())
        .map(|heard| &heard.payload)
        .collect();
    assert!(
        orders.iter().all(|order| order["profile"] == "shortlived"),
        "{orders:#?}"
    );
    let first_question = heard
        .iter()
        .find(|heard| heard.path.starts_with("/renewal-info/"));
    let id = first_question
        .expect("it was asked")
        .path
        .trim_start_matches("/renewal-info/");
    let replaces = orders.last().expect("there are orders")["replaces"].clone();
    assert_eq!(replaces, id);
    assert!(orders[0]["replaces"].is_null() || orders[0]["replaces"] != id);
    scene.repository.check();
}

/// Files in each of contruno's forms, with ports of all sixteen bits, are served, renewed, and in the
/// same form afterwards.
#[test]
fn files_of_contruno() {
    let scene = Scene::new(Kind::Hosted);
    let pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let scene = scene.authority(&pebble);
    let backend = Backend::start_at((scene.tap.host(), 40_123).into(), Mode::Commands);
    let pair = |name: &str| scene.placeholder(name)["own_cert"].clone();
    let spare = |name: &str| {
        let pair = Authority::new("Another").issue(&Leaf::named(name).dns(name));
        json!([[pair.certificate], pair.key])
    };
    let (spare_b, spare_c) = (spare("b.example"), spare("c.example"));
    let own_certs = [
        ("a.example", pair("a.example"), Form::One),
        (
            "b.example",
            json!([pair("b.example"), spare_b]),
            Form::Several,
        ),
        (
            "c.example",
            json!([pair("c.example"), [spare_c]]),
            Form::Default,
        ),
    ];
    let mut before = Vec::new();
    for (index, (name, own_cert, _)) in own_certs.iter().enumerate() {
        let mut file = json!({"own_cert": own_cert, "ip": scene.tap.host().to_string()});
        // As sixteen bits with a sign, and without.
        file["port"] = match index {
            0 => json!(40_123 - 65_536),
            _ => json!(40_123),
        };
        if index == 2 {
            file["alpn"] = json!(["http/1.1"]);
        }
        before.push((*name, file.to_string()));
    }
    let changes: Vec<_> = before
        .iter()
        .map(|(name, text)| (*name, Some(text.as_str())))
        .collect();
    scene.repository.change(&changes, "As contruno has them");
    let _tunnel = scene.start();
    for ((name, old), (_, _, form)) in before.iter().zip(&own_certs) {
        scene.wait_for_host(&pebble.root, name);
        scene.expect_page(&pebble.root, name);
        let new = wait_until(PATIENCE, || {
            scene.repository.file(name).filter(|new| new != old)
        });
        let (old, new) = (Host::read(old), Host::read(&new.expect("it is pushed")));
        assert_eq!(new.form, *form);
        assert_eq!(new.backend, backend.address());
        assert_eq!(new.alpn, old.alpn);
        assert_ne!(new.pairs[0], old.pairs[0]);
        assert_eq!(new.pairs[1..], old.pairs[1..]);
    }
    scene.repository.check();
}
