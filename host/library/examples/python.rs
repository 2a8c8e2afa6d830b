//! Starts a proxy, and lets a program in Python fetch a page through its socket.
//!
//! ```text
//! STOCKADE_IMAGE=target/image/stockade cargo run -p stockade --example python -- HOST PORT CAFILE
//! ```

use std::env;
use std::error::Error;
use std::process::{Command, ExitCode};

use stockade::{Check, Config, Event, Remote, Verification, with_proxy};

/// The client, which knows nothing of TLS.
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/client.py");

/// Fetches `/` from the remote by the program `client`, and gives what that has printed.
///
/// # Errors
///
/// The proxy's first failure if there is one, else that of the program.
pub fn fetch(
    client: &str,
    remote: Remote,
    verification: Verification,
) -> Result<String, Box<dyn Error>> {
    let host = remote.to_string();
    let config = Config::with_new_socket(remote, Some(verification))?;
    with_proxy(config, |proxy| {
        let mut command = Command::new("python3");
        command.arg(client).arg(proxy.socket_path()).arg(&host);
        let output = command.output()?;
        if let Some(error) = proxy.diagnose().iter().find_map(Event::error) {
            return Err(error.into());
        }
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    })
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, bundle] = arguments.as_slice() else {
        eprintln!("usage: python HOST PORT CAFILE");
        return ExitCode::from(2);
    };
    let Ok(port) = port.parse() else {
        eprintln!("error: {port} is no port");
        return ExitCode::from(2);
    };
    let verification = Verification::new(Check::Host(None), bundle);
    match fetch(CLIENT, Remote::new(host, port), verification) {
        Ok(printed) => {
            print!("{printed}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
