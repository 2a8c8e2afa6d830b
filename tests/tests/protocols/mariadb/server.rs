//! MariaDB's server and its client program.

use std::fs;
use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use stockade_tests::peers::Place;
use stockade_tests::process::Finished;
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::{PATIENCE, wait_until};

use crate::mariadb::session::Session;

/// What servers are told besides where to serve: little memory, and no waiting for the disk.
const OPTIONS: [&str; 8] = [
    "--innodb-buffer-pool-size=8M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=2",
    // The kernels of some hosts have no io_uring(7).
    "--innodb-use-native-aio=0",
    "--performance-schema=off",
    "--skip-name-resolve",
    "--max-connections=300",
];
/// What makes the tables that a server keeps of itself, in the packages.
const SYSTEM_TABLES: [&str; 2] = [
    "usr/share/mysql/mysql_system_tables.sql",
    "usr/share/mysql/mysql_system_tables_data.sql",
];
/// The application's user, whose rights end with its database. A statement a line, as
/// `mariadbd --bootstrap` reads them.
const APPLICATION: &str = "\nFLUSH PRIVILEGES;
CREATE DATABASE app;
CREATE USER app IDENTIFIED BY 'a password';
GRANT ALL ON app.* TO app;
";
const PASSWORD: &str = "a password";

/// A database on disk, with the user `app`.
pub struct Database {
    pub place: Place,
    folder: String,
    /// The socket by which one comes to the server itself.
    pub direct: String,
}

impl Database {
    pub fn create() -> Database {
        let place = Place::new();
        for (name, contents) in template() {
            place.add(&format!("data/{name}"), contents);
        }
        Database {
            folder: place.path("data"),
            direct: place.path("run/direct.sock"),
            place,
        }
    }

    /// Serves it, until the result is dropped or [`Self::shut_down`] is called.
    pub fn serve(&self, address: SocketAddr) -> Daemon {
        let mut command = self.place.command("mariadbd");
        command.args(arguments(&self.folder));
        command.arg(format!("--bind-address={}", address.ip()));
        command.arg(format!("--port={}", address.port()));
        command.arg(format!("--socket={}", self.direct));
        let daemon = self.place.serve(&mut command, address.port());
        daemon.log.wait_for("ready for connections");
        daemon
    }

    /// Ends the server in order, as a service manager does.
    pub fn shut_down(&self, mut server: Daemon) {
        self.ask("SHUTDOWN");
        assert!(server.finish().success(), "{}", server.log.text());
    }

    /// What these statements yield when the server itself is asked by its administrator.
    pub fn ask(&self, statements: &str) -> String {
        let mut command = self.administrator();
        command.args(["-e", statements]);
        let finished = self.place.run(&mut command, Cursor::new(""));
        words(finished.succeeded().stdout)
    }

    /// An administrator's program at the server itself, which reads its statements.
    fn administrator(&self) -> Command {
        let mut command = self.place.command("mariadb");
        command.args(["--no-defaults", "-N", "-B", "--unbuffered", "-u", "root"]);
        command.args(["-S", &self.direct, "app"]);
        command
    }

    /// Waits until the server itself answers so.
    pub fn wait_for(&self, statements: &str, answer: &str) {
        let mut last = String::new();
        let found = wait_until(PATIENCE, || {
            last = self.ask(statements);
            (last == answer).then_some(())
        });
        assert!(found.is_some(), "{statements}: {last}, not {answer}");
    }

    /// The words by which an application's program `mariadb` comes here over a socket.
    fn options(socket: &str) -> [&str; 9] {
        [
            "--no-defaults",
            "-N",
            "-B",
            "--unbuffered",
            "--local-infile=1",
            "-u",
            "app",
            "-S",
            socket,
        ]
    }

    /// An application's program, which reads its statements.
    fn client(&self, socket: &str) -> Command {
        let mut command = self.place.command("mariadb");
        command.args(Self::options(socket)).arg("app");
        command.env("MYSQL_PWD", PASSWORD);
        command
    }

    /// Runs an application's program with these statements over a socket.
    pub fn run(&self, socket: &str, statements: &str) -> Finished<Vec<u8>> {
        let mut command = self.client(socket);
        command.args(["-e", statements]);
        self.place.run(&mut command, Cursor::new(""))
    }

    /// The same, successfully; gives what came out.
    pub fn run_well(&self, socket: &str, statements: &str) -> Vec<u8> {
        self.run(socket, statements).succeeded().stdout
    }

    /// An application's program that is told its statements one by one.
    pub fn session(&self, socket: &str) -> Session {
        Session::start(&mut self.client(socket))
    }

    /// An administrator's program at the server itself, likewise.
    pub fn direct_session(&self) -> Session {
        Session::start(&mut self.administrator())
    }

    /// A person at a terminal with an application's program.
    pub fn terminal(&self, socket: &str) -> Session {
        let program = format!("/usr/bin/mariadb --no-defaults -u app -S {socket} app");
        let program = format!("EXEC:{program},pty,echo=0,stderr");
        let mut command = self.place.command("socat");
        command.args(["-", &program]).env("MYSQL_PWD", PASSWORD);
        Session::start(&mut command)
    }

    /// Starts a shell that finds an application's program, with its arguments, in `"$@"`; gives what
    /// the shell says once it ends.
    pub fn shell(&self, socket: &str, script: &str) -> Finished<Vec<u8>> {
        let mut command = self.place.command("dash");
        command.args(["-c", script, "clients", "/usr/bin/mariadb"]);
        command.args(Self::options(socket)).arg("app");
        command.env("MYSQL_PWD", PASSWORD);
        self.place.run(&mut command, Cursor::new(""))
    }
}

/// Text without the last line's end.
pub fn words(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

fn arguments(folder: &str) -> Vec<String> {
    let first = ["--no-defaults".to_owned(), format!("--datadir={folder}")];
    let others = OPTIONS.map(str::to_owned);
    first.into_iter().chain(others).collect()
}

/// The files of a new database by their names. It takes seconds to make them: once for all tests.
fn template() -> &'static [(String, Vec<u8>)] {
    static TEMPLATE: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let place = Place::new();
        let folder = place.folder("data");
        let tables = SYSTEM_TABLES.map(|name| place.packaged(name)).concat();
        let statements = [
            b"CREATE DATABASE mysql;\nUSE mysql;\n",
            &tables[..],
            APPLICATION.as_bytes(),
        ];
        let mut command = place.command("mariadbd");
        command.args(arguments(&folder)).arg("--bootstrap");
        let finished = place.run(&mut command, Cursor::new(statements.concat()));
        finished.succeeded();
        let mut files = Vec::new();
        collect(Path::new(&folder), "", &mut files);
        files
    })
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else {
            let contents = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            files.push((name, contents));
        }
    }
}
