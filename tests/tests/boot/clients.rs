//! The clients that users have.

use std::io;

use stockade_tests::PATIENCE;
use stockade_tests::certificates::NAME;
use stockade_tests::memory_file::MemoryFile;
use stockade_tests::pattern::{Hasher, Pattern, Sum};
use stockade_tests::process::{self, Finished};
use stockade_tests::tools::{curl, s_client, url};

use crate::setup::{Place, Running, Setup};

/// More than one record, less than a buffer.
const BODY: u64 = 100_000;

fn openssl(running: &Running, arguments: &[&str], command: &str) -> Finished<Vec<u8>> {
    openssl_as(Some(NAME), running, arguments, command)
}

fn openssl_as(
    name: Option<&str>,
    running: &Running,
    arguments: &[&str],
    command: &str,
) -> Finished<Vec<u8>> {
    let mut openssl = s_client(running.server, &running.authority.path(), name);
    openssl.args(arguments);
    let stdin = io::Cursor::new(command.to_owned());
    process::start(&mut openssl, stdin, Vec::new())
        .finish(PATIENCE)
        .succeeded()
}

/// Fetches a body with `s_client` and compares it.
pub fn openssl_downloads(running: &Running, arguments: &[&str]) -> Finished<Vec<u8>> {
    let mut all = vec!["-brief"];
    all.extend(arguments);
    let finished = openssl(running, &all, &format!("DOWN {BODY}\n"));
    let expected = Pattern::bytes(BODY, BODY as usize);
    assert!(
        finished.stdout == expected,
        "the body differs: {}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("Verification: OK"),
        "{}",
        finished.stderr
    );
    finished
}

/// Fetches a body with `s_client` held to one version, and checks all that it reports.
fn openssl_gets_its_answer(place: Place, option: &str, version: &str) {
    let running = Setup::new(place).start();
    let finished = openssl_downloads(&running, &[option]);
    let words = format!("Protocol version: {version}");
    assert!(
        finished.stderr.contains(&words),
        "no {words:?} in {}",
        finished.stderr
    );
    running.guest.wait_for(version);
}

/// A client that sends no server name (RFC 6066 §3), or another one, gets the one certificate.
pub fn clients_with_any_server_name_are_served(place: Place) {
    let running = Setup::new(place).start();
    for name in [None, Some("elsewhere.test")] {
        let finished = openssl_as(name, &running, &["-brief"], "DOWN 1000\n");
        assert!(
            finished.stdout == Pattern::bytes(1000, 1000),
            "the body differs"
        );
    }
}

pub fn openssl_tls_1_3(place: Place) {
    openssl_gets_its_answer(place, "-tls1_3", "TLSv1.3");
}

pub fn openssl_tls_1_2(place: Place) {
    openssl_gets_its_answer(place, "-tls1_2", "TLSv1.2");
}

fn openssl_resumes(place: Place, option: &str, version: &str) {
    let running = Setup::new(place).start();
    let session = MemoryFile::new("");
    let file = session.path().to_string_lossy().into_owned();
    let command = format!("DOWN {BODY}\n");
    let first = openssl(&running, &[option, "-sess_out", &file], &command);
    let first = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.contains(&format!("New, {version}")), "{first}");
    assert!(
        !session.contents().is_empty(),
        "the server gave no session to resume"
    );
    let second = openssl(&running, &[option, "-sess_in", &file], &command);
    let second = String::from_utf8_lossy(&second.stdout).into_owned();
    assert!(second.contains(&format!("Reused, {version}")), "{second}");
    running.guest.wait_for("previous session reused");
}

pub fn openssl_resumes_a_tls_1_3_session(place: Place) {
    openssl_resumes(place, "-tls1_3", "TLSv1.3");
}

pub fn openssl_resumes_a_tls_1_2_session(place: Place) {
    openssl_resumes(place, "-tls1_2", "TLSv1.2");
}

/// Downloads `length` bytes with `curl` and compares their SHA-256.
pub fn curl_downloads(running: &Running, length: u64) {
    let mut command = curl(running.server, &running.authority.path());
    command.arg(url(running.server, &format!("/bytes/{length}")));
    command.args(["--write-out", "%{stderr}status=%{http_code}"]);
    let finished = process::start(&mut command, io::empty(), Hasher::default());
    let finished = finished.finish(PATIENCE).succeeded();
    assert!(
        finished.stderr.contains("status=200"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.stdout.finish(), Sum::of_pattern(length, length));
}

/// Uploads `length` bytes with `curl` and compares the SHA-256 that the backend saw.
pub fn curl_uploads(running: &Running, length: u64) {
    let mut command = curl(running.server, &running.authority.path());
    // Without `Expect: 100-continue`, which this backend does not answer.
    command.args(["--header", "Expect:", "--data-binary", "@-"]);
    command.arg(url(running.server, "/digest"));
    let body = Pattern::new(length, length);
    let finished = process::start(&mut command, body, Vec::new())
        .finish(PATIENCE)
        .succeeded();
    let sum = Sum::of_pattern(length, length);
    let answer = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert_eq!(answer, format!("{} {}\n", sum.length, sum.digest));
}

pub fn curl_gets_and_posts(place: Place) {
    let running = Setup::new(place).start();
    curl_downloads(&running, BODY);
    curl_uploads(&running, BODY);
}
