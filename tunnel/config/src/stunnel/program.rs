//! Programs of the host that services start (stunnel(8), `exec`, `execArgs`, `pty`).

use alloc::string::String;
use alloc::vec::Vec;

use super::types::{Accept, Service};

/// Most arguments of a program.
const MAX_ARGUMENTS: usize = 256;

/// A program of the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// Its file (`exec`). Nothing is looked for in `PATH`.
    pub path: String,
    /// Its arguments, its own name first (`execArgs`); never empty.
    pub arguments: Vec<String>,
    /// Whether it gets a pseudo-terminal (`pty`), not a socket.
    pub pty: bool,
}

impl Program {
    /// The program of a section. Arguments are what stands between blanks; nothing is quoted.
    ///
    /// # Errors
    /// There are too many arguments.
    pub(super) fn new(path: &str, arguments: Option<&str>, pty: bool) -> Result<Program, String> {
        let given = arguments.unwrap_or_default().split_ascii_whitespace();
        let mut arguments: Vec<String> = given.map(String::from).collect();
        if arguments.len() > MAX_ARGUMENTS {
            return Err(alloc::format!("more than {MAX_ARGUMENTS} arguments"));
        }
        if arguments.is_empty() {
            arguments.push(path.into());
        }
        Ok(Program {
            path: path.into(),
            arguments,
            pty,
        })
    }

    /// All of it in one text, by which its port is found: another program has another one.
    pub(super) fn key(&self) -> String {
        let mut key = self.path.clone();
        for argument in &self.arguments {
            key.push('\0');
            key.push_str(argument);
        }
        key.push_str(if self.pty { "\0\0pty" } else { "\0\0" });
        key
    }
}

impl Service {
    /// The program that clients are led to.
    pub fn program_behind(&self) -> Option<&Program> {
        self.program.as_ref().filter(|_| !self.is_started())
    }

    /// The program that is started at once and is the client itself: `exec` with `connect`.
    pub fn program_ahead(&self) -> Option<&Program> {
        self.program.as_ref().filter(|_| self.is_started())
    }

    fn is_started(&self) -> bool {
        self.accept.is_empty() && self.virtual_of.is_empty()
    }

    /// Whether its one client comes by a descriptor of the process (stunnel(8), "INETD MODE").
    pub fn is_inherited(&self) -> bool {
        self.accept.contains(&Accept::Inherited)
    }
}
