//! Descriptors that whoever started this process has left open for it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};

use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Descriptors that stay open, whatever they are: standard input, output and error.
const STANDARD: u16 = 2;

/// Reads what is left in the descriptor of this number, at most `most` bytes, and closes it, so that no
/// child of this process gets it. To be called before this process opens anything else: the number must
/// be one that it was given.
///
/// # Errors
///
/// It is not open, or can't be read.
pub fn take(number: u16, most: u64) -> io::Result<Vec<u8>> {
    // Opened anew by its name in proc(5), which gives a file another position.
    let mut file = match File::open(format!("/proc/self/fd/{number}")) {
        // A socket has a name there that opens nothing.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => duplicate(number)?,
        opened => opened?,
    };
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let position = info.lines().find_map(|line| line.strip_prefix("pos:"));
    if let Some(Ok(position)) = position.map(|text| text.trim().parse()) {
        // A pipe has no position.
        let _ = file.seek(SeekFrom::Start(position));
    }
    if number > STANDARD {
        // It was open a moment ago.
        let _ = nix::unistd::close(i32::from(number));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same open file under another number, which pidfd_getfd(2) gives for this process, too.
fn duplicate(number: u16) -> io::Result<File> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let same = pidfd_getfd(&this, i32::from(number), PidfdGetfdFlags::empty())?;
    Ok(File::from(same))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A number that is nobody's but ours.
    fn given(file: impl IntoRawFd) -> u16 {
        file.into_raw_fd().try_into().unwrap()
    }

    #[test]
    fn a_file_is_read_from_where_it_stands_and_closed() {
        let path = std::env::temp_dir().join(format!("stockade-inherited-{}", std::process::id()));
        fs::write(&path, "one two three").unwrap();
        let mut file = File::open(&path).unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(take(given(file), 3).unwrap(), b"two");
    }

    #[test]
    fn a_pipe_is_read_to_its_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"words").unwrap();
        drop(writer);
        assert_eq!(take(given(reader), 100).unwrap(), b"words");
    }

    #[test]
    fn a_socket_is_read_to_its_end_and_closed() {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        writer.write_all(b"words").unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(take(given(reader), 100).unwrap(), b"words");
        // Nobody has the other end any more.
        let error = writer.write_all(b"more").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_is_not_open_is_an_error() {
        let error = take(u16::MAX, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
