//! A Git repository behind OpenSSH's server, and people who push to it.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::namespace;
use crate::peers::Place;
use crate::stunnel::daemon::Daemon;

/// SSH's port: the short form of a repository's address has no place for another.
const PORT: u16 = 22;
/// Where the repository is, as its peers see it; below the home of the user `git`.
const REPOSITORY: &str = "/var/git/certificates.git";
/// The branch that everything is on.
const BRANCH: &str = "master";

/// A bare repository of the user `git`, whose shell is git-shell(1), behind sshd(8). Ended when
/// dropped.
pub struct Repository {
    address: Ipv4Addr,
    host_key: String,
    /// Before the place: its server ends before its files go.
    daemon: Option<Daemon>,
    place: Place,
}

/// One commit of the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its identifier, in hexadecimal.
    pub id: String,
    /// Those of the commits that it follows.
    pub parents: Vec<String>,
    /// Who committed it: `NAME <ADDRESS>`.
    pub committer: String,
    /// The first line of its message.
    pub subject: String,
}

impl Repository {
    /// An empty repository on port 22 of this address of ours. `authorized` is what the user has in
    /// `authorized_keys` (sshd(8)).
    pub fn start(address: Ipv4Addr, authorized: &str) -> Repository {
        namespace::require();
        namespace::open_low_ports();
        let place = Place::new();
        place.etc(
            "passwd",
            "git:x:101:101::/var/git:/usr/bin/git-shell\npeer:x:101:101::/var:/bin/sh\n",
        );
        place.folder("run/sshd");
        place.add("var/git/.ssh/authorized_keys", authorized);
        // What git needs to be told by whoever has no name (git-config(1)).
        let identity = "[user]\nname = Somebody Else\nemail = somebody@else.example\n\
                        [init]\ndefaultBranch = master\n[advice]\ndetachedHead = false\n";
        place.add("etc/gitconfig", identity);
        let key = place.path("host_key");
        let mut keygen = place.command("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key]);
        place.run(&mut keygen, &[][..]).succeeded();
        place.add(
            "sshd_config",
            format!(
                "Port {PORT}\nListenAddress {address}\nHostKey {key}\nPidFile none\nUsePAM no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n"
            ),
        );
        for (name, mode) in [("var/git", 0o700), ("var/git/.ssh", 0o700)] {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(place.path(name), mode).expect("our own folder");
        }
        let public = fs::read_to_string(format!("{key}.pub")).expect("ssh-keygen wrote it");
        let words: Vec<&str> = public.split_whitespace().collect();
        let mut repository = Repository {
            address,
            host_key: format!("{}:{}", words[0], words[1]),
            daemon: None,
            place,
        };
        let mut init = repository.place.command("git");
        init.args(["init", "--quiet", "--bare", REPOSITORY]);
        repository.place.run(&mut init, &[][..]).succeeded();
        repository.up();
        repository
    }

    /// Its address, in git-clone(1)'s short form, with the branch.
    pub fn remote(&self) -> String {
        format!("git@{}:certificates.git#{BRANCH}", self.address)
    }

    /// The server's key: `ssh-ed25519:BASE64`.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// What the server has said since it was last started.
    pub fn log(&self) -> String {
        let daemon = self.daemon.as_ref();
        daemon.map_or_else(String::new, |daemon| daemon.log.text())
    }

    /// Stops the server: from now on connections are refused, and those that there are end.
    pub fn down(&mut self) {
        self.daemon = None;
    }

    /// Starts it again.
    pub fn up(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        let configuration = self.place.path("sshd_config");
        let mut command = self.place.command("sshd");
        command.args(["-D", "-e", "-f", &configuration]);
        // Other tests have servers on this port, at other addresses.
        self.daemon = Some(Daemon::start(&mut command, "Server listening on"));
    }

    /// What git says to these words in the repository; panics when it fails.
    pub fn git(&self, words: &[&str]) -> String {
        let output = self.try_git(words);
        output.unwrap_or_else(|error| panic!("git {words:?}: {error}"))
    }

    fn try_git(&self, words: &[&str]) -> Result<String, String> {
        let mut command = self.place.command("git");
        command.args(["--git-dir", REPOSITORY]).args(words);
        self.finish(&mut command)
    }

    fn finish(&self, command: &mut Command) -> Result<String, String> {
        let finished = self.place.run(command, &[][..]);
        match finished.status.success() {
            true => Ok(String::from_utf8_lossy(&finished.stdout).into_owned()),
            false => Err(finished.stderr),
        }
    }

    /// The last commit's identifier; `None` while there is none.
    pub fn head(&self) -> Option<String> {
        let id = self.try_git(&["rev-parse", "--verify", "--quiet", BRANCH]);
        id.ok().map(|id| id.trim().to_owned())
    }

    /// The files of the last commit, by name; empty while there is none.
    pub fn names(&self) -> Vec<String> {
        let names = self.try_git(&["ls-tree", "-r", "--name-only", BRANCH]);
        names.map_or_else(
            |_| Vec::new(),
            |names| names.lines().map(str::to_owned).collect(),
        )
    }

    /// One file of the last commit.
    pub fn file(&self, name: &str) -> Option<String> {
        self.try_git(&["cat-file", "blob", &format!("{BRANCH}:{name}")])
            .ok()
    }

    /// The branch's commits, newest first; none while there is no branch.
    pub fn commits(&self) -> Vec<Commit> {
        let format = "--format=%H%x00%P%x00%cn <%ce>%x00%s";
        let text = self.try_git(&["log", format, BRANCH]).unwrap_or_default();
        let commit = |line: &str| {
            let fields: Vec<&str> = line.split('\0').collect();
            Commit {
                id: fields[0].to_owned(),
                parents: fields[1].split_whitespace().map(str::to_owned).collect(),
                committer: fields[2].to_owned(),
                subject: fields[3].to_owned(),
            }
        };
        text.lines().map(commit).collect()
    }

    /// Asks git whether every object is sound (git-fsck(1)), and whether each commit follows the one
    /// before: a push that puts others' commits aside would leave one that nothing follows.
    pub fn check(&self) {
        let words = ["fsck", "--full", "--strict", "--no-progress"];
        let mut command = self.place.command("git");
        command.args(["--git-dir", REPOSITORY]).args(words);
        let finished = self.place.run(&mut command, &[][..]);
        let stdout = String::from_utf8_lossy(&finished.stdout);
        assert!(
            finished.status.success() && !stdout.contains("dangling commit"),
            "git fsck: {}\n{stdout}{}",
            finished.status,
            finished.stderr
        );
        let commits = self.commits();
        for (index, commit) in commits.iter().enumerate() {
            let before = commits.get(index + 1).map(|before| before.id.clone());
            let before: Vec<String> = before.into_iter().collect();
            assert_eq!(commit.parents, before, "{commits:#?}");
        }
    }

    /// What somebody else does: clones, writes these files or removes those without content, commits
    /// and pushes. Gives the new commit.
    pub fn change(&self, changes: &[(&str, Option<&str>)], message: &str) -> String {
        let clone = self.place.folder("var/clone");
        fs::remove_dir_all(&clone).expect("our own folder");
        let inside = "/var/clone";
        let run = |words: &[&str]| {
            let mut command = self.place.command("git");
            self.finish(command.args(words))
                .unwrap_or_else(|error| panic!("git {words:?}: {error}"))
        };
        run(&["clone", "--quiet", REPOSITORY, inside]);
        for (name, content) in changes {
            let path = Path::new(&clone).join(name);
            match content {
                Some(content) => fs::write(path, content),
                None => fs::remove_file(path),
            }
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        run(&["-C", inside, "add", "--all"]);
        run(&["-C", inside, "commit", "--quiet", "--message", message]);
        let target = format!("HEAD:{BRANCH}");
        run(&["-C", inside, "push", "--quiet", "origin", &target]);
        self.head().expect("it was just pushed")
    }

    /// What somebody with this OpenSSH key reads of the repository by real git over SSH; the error is
    /// what git and ssh say.
    ///
    /// # Errors
    /// The server does not let them in, or there is nothing.
    pub fn ls_remote(&self, key: &str) -> Result<String, String> {
        let path = self.place.add("user_key", key);
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("our own file");
        let (kind, key) = self.host_key.split_once(':').expect("made above");
        let known = format!("{} {kind} {key}\n", self.address);
        let known = self.place.add("known_hosts", known);
        let mut command = self.place.command("git");
        let ssh = format!("/usr/bin/ssh -F none -i {path} -o UserKnownHostsFile={known}");
        command.env("GIT_SSH_COMMAND", ssh).args(["ls-remote"]);
        command.arg(format!("git@{}:certificates.git", self.address));
        self.finish(&mut command)
    }

    /// ssh(1) for somebody with this OpenSSH key who knows the server, as a shell's words: what
    /// `GIT_SSH_COMMAND` is to be (git(1)).
    pub fn ssh_command(&self, key: &str) -> String {
        let path = self.place.add("users_key", key);
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("our own file");
        let known = format!("{} {}\n", self.address, self.host_key.replacen(':', " ", 1));
        let known = self.place.add("users_known_hosts", known);
        let mut command = self.place.command("ssh");
        command.args(["-F", "none", "-i", &path]);
        command.args(["-o", &format!("UserKnownHostsFile={known}")]);
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let quoted =
            words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''")));
        quoted.collect::<Vec<_>>().join(" ")
    }

    /// A new key as ssh-keygen(1) makes it: what the user keeps, and the line for
    /// `authorized_keys`.
    pub fn keygen() -> (String, String) {
        let place = Place::new();
        let path = place.path("key");
        let mut command = place.command("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &path]);
        place.run(&mut command, &[][..]).succeeded();
        let read = |path: &str| fs::read_to_string(path).expect("ssh-keygen wrote it");
        (read(&path), read(&format!("{path}.pub")))
    }
}
