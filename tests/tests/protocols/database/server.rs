//! PostgreSQL's server and clients.

use std::cell::Cell;
use std::fs;
use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;

use stockade_tests::peers::Place;
use stockade_tests::process::Finished;
use stockade_tests::stunnel::authority::Pair;
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::ports;

/// An empty database on disk.
pub struct Data {
    place: Place,
    folder: String,
}

/// A database server. Ended when dropped.
pub struct Postgres<'a> {
    pub address: SocketAddr,
    data: &'a Data,
    daemon: Daemon,
    marks: Cell<usize>,
}

impl Data {
    pub fn create() -> Data {
        let place = Place::new();
        let folder = place.path("data");
        let mut command = place.command("initdb");
        command.args(["-D", &folder, "-U", "tester", "-A", "trust", "-E", "UTF8"]);
        command.args(["--no-locale", "--no-sync", "--no-instructions"]);
        place.run(&mut command, Cursor::new("")).succeeded();
        Data { place, folder }
    }

    /// Serves the database: under TLS alone if there is an identity, else without it.
    pub fn serve(&self, host: IpAddr, identity: Option<&Pair>) -> Postgres<'_> {
        let address = SocketAddr::new(host, ports::next());
        let mut settings = vec![
            format!("listen_addresses={host}"),
            format!("port={}", address.port()),
            "unix_socket_directories=".to_owned(),
            "dynamic_shared_memory_type=mmap".to_owned(),
            "fsync=off".to_owned(),
            "log_connections=on".to_owned(),
        ];
        // Any address: the tests' networks have many.
        let connections = identity.map_or("host", |_| "hostssl");
        self.place.add(
            "data/pg_hba.conf",
            format!("{connections} all all all trust\n"),
        );
        if let Some(identity) = identity {
            let certificate = self.place.add("server.pem", &identity.certificate);
            let key = self.place.add("server.key", &identity.key);
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&key, private).expect("our own file");
            settings.push("ssl=on".to_owned());
            settings.push(format!("ssl_cert_file={certificate}"));
            settings.push(format!("ssl_key_file={key}"));
        }
        let mut command = self.place.command("postgres");
        command.args(["-D", &self.folder]);
        for setting in &settings {
            command.args(["-c", setting]);
        }
        let daemon = self.place.serve(&mut command, address.port());
        daemon.log.wait_for("ready to accept connections");
        Postgres {
            address,
            data: self,
            daemon,
            marks: Cell::new(0),
        }
    }
}

impl Postgres<'_> {
    /// Runs psql with these settings of the connection and these commands.
    pub fn psql(
        &self,
        server: SocketAddr,
        settings: &str,
        commands: &[&str],
        input: Vec<u8>,
    ) -> Finished<Vec<u8>> {
        let mut command = self.data.place.command("psql");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
        command.args(["-d", &connection(server, settings)]);
        for words in commands {
            command.args(["-c", words]);
        }
        command.env("KRB5CCNAME", self.tickets());
        command.env("KRB5_CONFIG", "/dev/null");
        self.data.place.run(&mut command, Cursor::new(input))
    }

    /// What a single command tells, without the line's end.
    pub fn ask(&self, server: SocketAddr, settings: &str, command: &str) -> String {
        let finished = self
            .psql(server, settings, &[command], Vec::new())
            .succeeded();
        String::from_utf8_lossy(&finished.stdout)
            .trim_end()
            .to_owned()
    }

    /// Ten clients connect for each of ten queries; gives how many were answered.
    pub fn bench(&self, server: SocketAddr, settings: &str) -> String {
        let script = self.data.place.add("script.sql", "SELECT 1;\n");
        let mut command = self.data.place.command("pgbench");
        command.args(["-n", "-C", "-c", "10", "-j", "2", "-t", "10", "-f", &script]);
        command.arg(connection(server, settings));
        let finished = self
            .data
            .place
            .run(&mut command, Cursor::new(""))
            .succeeded();
        let words = String::from_utf8_lossy(&finished.stdout).into_owned();
        let line = words
            .lines()
            .find_map(|line| line.strip_prefix("number of transactions actually processed: "));
        line.unwrap_or_else(|| panic!("{words}")).to_owned()
    }

    /// How many connections have come, without those that this itself makes.
    pub fn connections(&self) -> usize {
        self.counted("connection received: ")
    }

    /// How many clients have said who they are, likewise.
    pub fn users(&self) -> usize {
        self.counted("connection authorized: ")
    }

    /// How many lines hold these words once everything so far is told.
    fn counted(&self, words: &str) -> usize {
        let mark = self.marks.get() + 1;
        self.marks.set(mark);
        let settings = format!("sslmode=prefer gssencmode=disable application_name=mark-{mark}");
        self.ask(self.address, &settings, "SELECT 1");
        self.daemon
            .log
            .wait_for(&format!("application_name=mark-{mark}"));
        self.daemon.log.count(words) - mark
    }

    /// What it says.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// A Kerberos credential cache with a ticket, though a worthless one: with it psql asks for
    /// GSSAPI encryption first, unless it is told not to (MIT Kerberos documentation, "Credential
    /// cache file format", version 4).
    fn tickets(&self) -> String {
        let counted = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).expect("a few bytes");
            [&length.to_be_bytes()[..], bytes].concat()
        };
        let principal = |names: &[&str]| {
            let count = u32::try_from(names.len()).expect("a few names");
            let names = names.iter().map(|name| counted(name.as_bytes()));
            let head = [1u32.to_be_bytes(), count.to_be_bytes()].concat();
            [
                head,
                counted(b"EXAMPLE.ORG"),
                names.collect::<Vec<_>>().concat(),
            ]
            .concat()
        };
        let user = principal(&["tester"]);
        // Authentication, start, end, renewal.
        let times = [0, 0, i32::MAX, 0].map(i32::to_be_bytes).concat();
        let cache = [
            b"\x05\x04\0\0".to_vec(),
            user.clone(),
            user,
            principal(&["krbtgt", "EXAMPLE.ORG"]),
            // AES-256 with SHA-1.
            18u16.to_be_bytes().to_vec(),
            counted(&[b'k'; 32]),
            times,
            // No user-to-user key, no flags, no addresses, no authorization data.
            vec![0; 13],
            counted(b"ticket"),
            counted(b""),
        ];
        "FILE:".to_owned() + &self.data.place.add("tickets", cache.concat())
    }
}

/// A libpq connection string.
fn connection(server: SocketAddr, settings: &str) -> String {
    format!(
        "host=localhost hostaddr={} port={} user=tester dbname=postgres {settings}",
        server.ip(),
        server.port()
    )
}
