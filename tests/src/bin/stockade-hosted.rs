//! `stockade-hosted`: the tunnel as a Linux process on a TAP device.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::Arg::Long;
use lexopt::{Parser, ValueExt};
use stockade_tests::hosted::{self, MEMORY_MIB, Options};
use stockade_tunnel::ExitStatus;

const HELP: &str = "\
Runs the tunnel as a Linux process on a TAP device, for tests and measurements.

Usage: stockade-hosted --tap NAME [OPTIONS] < COMMAND_LINE

The first line of standard input is the tunnel's command line, as the image takes it (keys and
certificates as base64:...). The tunnel ends when standard input does, so keep it open.

Make the device in a network namespace of its own:
  ip tuntap add dev tap0 mode tap vnet_hdr
  ip addr add 10.0.0.1/24 dev tap0
  ip link set tap0 up

Options:
      --tap NAME        The TAP device
      --archive FILE    Give the tunnel this boot archive
      --channel NAME    Connect to this abstract UNIX socket for a management channel
      --memory-mib N    Memory to divide among sessions [default: 512]
      --clock-ahead N   Show the tunnel a clock that is N seconds ahead; negative: behind
      --plain-card      Compute checksums and cut segments in the tunnel, not in the kernel
  -h, --help            Show this text
";

fn main() -> ExitCode {
    let given = match given() {
        Ok(Some(given)) => given,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}; see --help");
            return ExitCode::FAILURE;
        }
    };
    let (archive, channel) = (given.archive.as_deref(), given.channel.as_deref());
    match hosted::run(&given.options, archive, channel) {
        // Told to stop.
        Ok(ExitStatus::CleanShutdown) => ExitCode::SUCCESS,
        // There is nothing to serve, and it has said why.
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}: {error}", given.options.tap);
            ExitCode::FAILURE
        }
    }
}

/// What the arguments say.
struct Given {
    options: Options,
    archive: Option<PathBuf>,
    channel: Option<String>,
}

fn given() -> Result<Option<Given>, lexopt::Error> {
    let mut tap = None;
    let mut archive = None;
    let mut channel = None;
    let mut memory_mib = MEMORY_MIB;
    let mut offload = true;
    let mut clock_ahead = 0;
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("tap") => tap = Some(parser.value()?.string()?),
            Long("archive") => archive = Some(parser.value()?.into()),
            Long("channel") => channel = Some(parser.value()?.string()?),
            Long("memory-mib") => memory_mib = parser.value()?.parse()?,
            Long("clock-ahead") => clock_ahead = parser.value()?.parse()?,
            Long("plain-card") => offload = false,
            Long("help") | lexopt::Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    let tap = tap.ok_or("--tap is missing")?;
    let options = Options {
        tap,
        memory_mib,
        offload,
        clock_ahead,
    };
    Ok(Some(Given {
        options,
        archive,
        channel,
    }))
}
