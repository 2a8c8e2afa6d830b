//! MariaDB's server and its client program, with mutual TLS between them: a side-car leads a UNIX
//! socket to a terminator elsewhere, and the certificates are of X.509 version 1, with a CN alone.

mod ends;
mod server;
mod session;

pub use ends::{Ends, SideCar, Terminator};

use ends::{Event, Stage, Wishes};
use server::words;

/// A large table's rows.
const ROWS: &str = "SELECT seq, REPEAT(MD5(seq), 10) FROM seq_1_to_20000";
/// How many connections there are at once.
const CONNECTIONS: u32 = 100;
/// How often the application that keeps no connection makes one.
const TIMES: u32 = 200;
/// What one learns in place of the server's greeting when the way to it is closed.
const NO_GREETING: &str =
    "Lost connection to server at 'handshake: reading initial communication packet'";
/// What one learns instead of an answer.
const LOST: &str = "Lost connection to server during query";

/// Large amounts go both ways.
pub fn transfers(ends: Ends) {
    let stage = Stage::new(ends);
    let database = &stage.database;
    let _server = stage.serve();
    let _remote = stage.terminate();
    let side = stage.start(ends.side_car, &Wishes::USUAL);
    assert_eq!(words(database.run_well(&side.socket, "SELECT 6 * 7")), "42");

    let through = database.run_well(&side.socket, ROWS);
    assert!(through.len() > 6_000_000, "{} bytes", through.len());
    assert!(
        words(through.clone()) == database.ask(ROWS),
        "the result differs"
    );
    let file = database.place.add("rows.txt", &through);
    let load = format!(
        "CREATE TABLE t (n INT PRIMARY KEY, words TEXT); LOAD DATA LOCAL INFILE '{file}' INTO TABLE t"
    );
    database.run_well(&side.socket, &load);
    let kept = database.ask("SELECT n, words FROM t ORDER BY n");
    assert!(words(through) == kept, "the table differs");

    // One value, and one packet of the protocol.
    let value = database.run_well(&side.socket, "SELECT REPEAT('0123456789abcdef', 500000)");
    assert!(
        words(value) == "0123456789abcdef".repeat(500_000),
        "the value differs"
    );
}

/// An application that keeps no connection.
pub fn many_short_ones(ends: Ends) {
    let stage = Stage::new(ends);
    let _server = stage.serve();
    let _remote = stage.terminate();
    let side = stage.start(ends.side_car, &Wishes::USUAL);
    let script = format!(
        "n=0; while [ $n -lt {TIMES} ]; do n=$((n + 1)); \"$@\" -e \"SELECT $n * 2\" || exit 1; done"
    );
    let answers = stage.database.shell(&side.socket, &script).succeeded();
    let expected: Vec<_> = (1..=TIMES).map(|n| (n * 2).to_string()).collect();
    assert_eq!(words(answers.stdout), expected.join("\n"));
}

/// All are there before the first one goes on; each then changes what all others change.
pub fn a_hundred_at_once(ends: Ends) {
    let stage = Stage::new(ends);
    let database = &stage.database;
    let _server = stage.serve();
    let _remote = stage.terminate();
    let mut side = stage.start(ends.side_car, &Wishes::USUAL);
    database.ask(
        "CREATE TABLE gate (open INT); CREATE TABLE account (amount INT); \
         INSERT INTO account VALUES (0); CREATE TABLE ledger (client INT PRIMARY KEY, id INT)",
    );
    let mut keeper = database.direct_session();
    keeper.ask("LOCK TABLES gate WRITE; SELECT 'locked';", "locked");
    let script = format!(
        "n=0; all=; while [ $n -lt {CONNECTIONS} ]; do n=$((n + 1)); \"$@\" -e \"\
         SELECT * FROM gate; START TRANSACTION; UPDATE account SET amount = amount + $n; \
         INSERT INTO ledger VALUES ($n, CONNECTION_ID()); COMMIT; SELECT 'done', $n\" & \
         all=\"$all $!\"; done; failed=0; for each in $all; do wait $each || failed=1; done; exit $failed"
    );
    let answers = std::thread::scope(|scope| {
        let clients = scope.spawn(|| database.shell(&side.socket, &script));
        database.wait_for(
            "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE user = 'app' AND info LIKE 'SELECT * FROM gate'",
            &CONNECTIONS.to_string(),
        );
        keeper.ask("UNLOCK TABLES; SELECT 'unlocked';", "unlocked");
        clients.join().expect("its words are above")
    });
    let answers = words(answers.succeeded().stdout);
    let mut answers: Vec<_> = answers.lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = (1..=CONNECTIONS).map(|n| format!("done\t{n}")).collect();
    answers.sort();
    expected.sort();
    assert_eq!(answers, expected);
    assert_eq!(
        database.ask("SELECT amount FROM account"),
        (CONNECTIONS * (CONNECTIONS + 1) / 2).to_string()
    );
    assert_eq!(
        database.ask("SELECT COUNT(*), COUNT(DISTINCT id) FROM ledger"),
        format!("{CONNECTIONS}\t{CONNECTIONS}")
    );
    database.wait_for(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'",
        "0",
    );
    assert!(side.running.is_running());
}

/// Who is silent for too long is cut off and may come again; who is not, stays.
pub fn idle(ends: Ends) {
    let stage = Stage::new(ends);
    let database = &stage.database;
    let _server = stage.serve();
    let _remote = stage.terminate();
    let side = stage.start(
        ends.side_car,
        &Wishes {
            idle: 4,
            ..Wishes::USUAL
        },
    );

    let mut silent = database.session(&side.socket);
    silent.ask("SELECT 'a first', 'answer';", "a first\tanswer");
    // A server that is long about an answer is silent, too.
    let mut waiting = database.session(&side.socket);
    waiting.ask("SELECT 'a first', 'answer';", "a first\tanswer");
    waiting.say("SELECT SLEEP(600);");
    let mut person = database.terminal(&side.socket);
    person.ask("SELECT 'a first', 'answer';", "a first");
    let mut busy = database.session(&side.socket);
    let id = |session: &mut session::Session| {
        let from = session.log.len();
        session.say("SELECT CONCAT('id=', CONNECTION_ID());");
        session.log.wait_for_after(from, "id=")
    };
    let before = id(&mut busy);
    let is_cut = || side.running.count(Event::Idle) == 3 && waiting.log.text().contains(LOST);
    let mut answered = 0;
    while !is_cut() {
        answered += 1;
        assert!(answered < 600, "{}", waiting.log.text());
        let question = format!("SELECT SLEEP(0.2), 'answer {answered}';");
        busy.ask(&question, &format!("answer {answered}"));
    }
    assert!(!waiting.finish().success());
    assert_eq!(id(&mut busy), before);

    silent.say("SELECT 'a second', 'answer';");
    silent.log.wait_for("Server has gone away");
    assert!(!silent.finish().success());
    // The program itself comes again for whom it has asked its questions at a terminal.
    person.ask("SELECT 'a second', 'answer';", "Trying to reconnect");
    person.log.wait_for("a second");
    let mut again = database.session(&side.socket);
    again.ask("SELECT 'a second', 'answer';", "a second\tanswer");
    person.say("exit");
    for session in [&mut busy, &mut again, &mut person] {
        assert!(session.finish().success());
    }
}

/// Whoever comes while the database or the terminator is away learns that, and the next one after it
/// has come back is served.
pub fn restarts(ends: Ends) {
    let stage = Stage::new(ends);
    let database = &stage.database;
    let server = stage.serve();
    let remote = stage.terminate();
    let mut side = stage.start(ends.side_car, &Wishes::USUAL);
    let works = || assert_eq!(words(database.run_well(&side.socket, "SELECT 6 * 7")), "42");
    let fails = || {
        let failed = database.run(&side.socket, "SELECT 6 * 7");
        assert_eq!(failed.status.code(), Some(1));
        assert!(failed.stderr.contains(NO_GREETING), "{}", failed.stderr);
    };
    let begun = || {
        let mut session = database.session(&side.socket);
        session.ask("SELECT 'a first', 'answer';", "a first\tanswer");
        session.say("SELECT SLEEP(600);");
        database.wait_for(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(600)'",
            "1",
        );
        session
    };
    database.run_well(
        &side.socket,
        "CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (2)",
    );

    let mut session = begun();
    database.shut_down(server);
    assert!(!session.finish().success());
    for _ in 0..3 {
        fails();
    }
    let _server = stage.serve();
    works();

    let mut session = begun();
    drop(remote);
    session.log.wait_for(LOST);
    assert!(!session.finish().success());
    let from = side.running.lines();
    for _ in 0..3 {
        fails();
    }
    side.running.wait_for_after(from, Event::Refused);
    let _remote = stage.terminate();
    works();
    let kept = database.run_well(&side.socket, "SELECT SUM(n) FROM t");
    assert_eq!(words(kept), "3");
    assert!(side.running.is_running());
}

/// Whoever is not who he should be.
const IMPOSTORS: [(Wishes, Event); 4] = [
    (
        Wishes {
            name: "otherproxy",
            ..Wishes::USUAL
        },
        Event::OtherName,
    ),
    (
        Wishes {
            authority: "stranger-ca.x509",
            ..Wishes::USUAL
        },
        Event::UnknownAuthority,
    ),
    (
        Wishes {
            identity: Some(["stranger.x509", "stranger.pem"]),
            ..Wishes::USUAL
        },
        Event::CertificateRefused,
    ),
    (
        Wishes {
            identity: None,
            ..Wishes::USUAL
        },
        Event::CertificateRequired,
    ),
];
/// Wrong certificates are refused on either side, with the reason in the side-car's log, and clients
/// learn the same as through socat.
pub fn refusals(ends: Ends) {
    let stage = Stage::new(ends);
    let database = &stage.database;
    let _server = stage.serve();
    let _remote = stage.terminate();
    for (wishes, event) in IMPOSTORS {
        let [ours, socats] = [ends.side_car, SideCar::Socat].map(|side_car| {
            let mut side = stage.start(side_car, &wishes);
            let failed = database.run(&side.socket, "SELECT 6 * 7");
            side.running.wait_for_after(0, event);
            assert!(side.running.is_running());
            // The client's last error of its own follows, which may be of any other call.
            let (words, error) = failed
                .stderr
                .split_once(", system error: ")
                .unwrap_or_default();
            let is_reset = error.trim_end() == "104";
            (
                failed.status.code(),
                failed.stdout,
                words.to_owned(),
                is_reset,
            )
        });
        assert_eq!(ours.0, Some(1), "{event:?}: {}", ours.2);
        assert!(ours.2.contains(NO_GREETING), "{event:?}: {}", ours.2);
        assert_eq!(ours, socats, "{event:?}");
    }
    assert_eq!(
        database.ask("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'"),
        "0"
    );
}
