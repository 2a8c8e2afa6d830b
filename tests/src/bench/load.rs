//! Fixed amounts of work, done by a client through whatever is measured.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::backend::Order;
use super::client::{Client, Stream};
use super::requests::{self, Request};
use super::subject::Mode;
use crate::PATIENCE;

/// Connections at once where their number does not matter but waiting should be short.
const PARALLEL: usize = 4;
/// Bytes that an upload hands to TLS at once.
const CHUNK: usize = 256 * 1024;

/// Where the work is done.
#[derive(Clone)]
pub struct Target {
    /// Where TLS is accepted.
    pub server: SocketAddr,
    /// The one that connects.
    pub client: Client,
    /// What the server makes of what it is sent.
    pub mode: Mode,
}

/// An amount of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// So many connections, four at a time: full handshake, one byte there and back, orderly end.
    Handshakes(u64),
    /// So many bytes from the backend to the client over one connection.
    Download(u64),
    /// So many bytes from the client to the backend over one connection.
    Upload(u64),
    /// So many times 64 bytes there and back over one connection, one after the other.
    RoundTrips(u64),
    /// So many answers of so many bytes, one after the other, over one connection.
    Requests(u64, u64),
    /// So many answers of so many bytes over connections of this number: a request over each of
    /// them, then their answers, and again.
    RequestsAtOnce(u64, u64, u64),
    /// So many bytes to the client as one answer's body.
    DownloadBody(u64),
    /// So many bytes to the backend as one request's body.
    UploadBody(u64),
}

impl Work {
    /// The same work, twice as much.
    pub fn twice(self) -> Work {
        match self {
            Work::Handshakes(count) => Work::Handshakes(2 * count),
            Work::Download(bytes) => Work::Download(2 * bytes),
            Work::Upload(bytes) => Work::Upload(2 * bytes),
            Work::RoundTrips(count) => Work::RoundTrips(2 * count),
            Work::Requests(count, bytes) => Work::Requests(2 * count, bytes),
            Work::RequestsAtOnce(count, bytes, connections) => {
                Work::RequestsAtOnce(2 * count, bytes, connections)
            }
            Work::DownloadBody(bytes) => Work::DownloadBody(2 * bytes),
            Work::UploadBody(bytes) => Work::UploadBody(2 * bytes),
        }
    }

    /// How many handshakes, bytes, round trips or answers.
    pub fn units(self) -> u64 {
        match self {
            Work::Handshakes(units)
            | Work::Download(units)
            | Work::Upload(units)
            | Work::RoundTrips(units)
            | Work::Requests(units, _)
            | Work::RequestsAtOnce(units, _, _)
            | Work::DownloadBody(units)
            | Work::UploadBody(units) => units,
        }
    }
}

impl Target {
    /// Does the work; an error when any of it fails.
    pub fn run(&self, work: Work) -> io::Result<()> {
        match work {
            Work::Handshakes(count) => self.handshakes(count),
            Work::Download(bytes) => self.download(bytes),
            Work::Upload(bytes) => self.upload(bytes),
            Work::RoundTrips(count) => self.round_trips(count),
            Work::Requests(count, bytes) => self.requests(count, bytes, 1),
            Work::RequestsAtOnce(count, bytes, connections) => {
                self.requests(count, bytes, connections)
            }
            Work::DownloadBody(bytes) => self.requests(1, bytes, 1),
            Work::UploadBody(bytes) => self.upload_body(bytes),
        }
    }

    /// Has as little as possible sent to the backend and back.
    pub fn first(&self, stream: &mut Stream) -> io::Result<()> {
        match self.mode {
            Mode::Bytes => stream.echo_byte(),
            Mode::Requests => {
                let request = Request::Get(1);
                stream.send(&request.head())?;
                requests::receive(stream, request)
            }
        }
    }

    fn handshakes(&self, count: u64) -> io::Result<()> {
        let taken = AtomicU64::new(0);
        let work = || {
            while taken.fetch_add(1, Ordering::Relaxed) < count {
                self.handshake()?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(work)).collect();
            let mut results = workers.into_iter().map(|worker| worker.join());
            results.try_for_each(|result| {
                result.unwrap_or_else(|_| Err(io::Error::other("a client panicked")))
            })
        })
    }

    fn handshake(&self) -> io::Result<()> {
        let mut stream = self.client.connect(self.server, PATIENCE)?;
        stream.echo_byte()?;
        stream.close()
    }

    fn download(&self, bytes: u64) -> io::Result<()> {
        let mut stream = self.client.connect(self.server, PATIENCE)?;
        stream.send(&Order::Give(bytes).bytes())?;
        stream.skip(bytes)?;
        stream.close()
    }

    fn upload(&self, bytes: u64) -> io::Result<()> {
        let mut stream = self.client.connect(self.server, PATIENCE)?;
        stream.send(&Order::Take(bytes).bytes())?;
        send(&mut stream, bytes)?;
        stream.skip(1)?;
        stream.close()
    }

    fn upload_body(&self, bytes: u64) -> io::Result<()> {
        let mut stream = self.client.connect(self.server, PATIENCE)?;
        let request = Request::Put(bytes);
        stream.send(&request.head())?;
        send(&mut stream, bytes)?;
        requests::receive(&mut stream, request)?;
        stream.close()
    }

    fn requests(&self, count: u64, bytes: u64, connections: u64) -> io::Result<()> {
        let connect = |_| self.client.connect(self.server, PATIENCE);
        let mut streams = (0..connections.min(count))
            .map(connect)
            .collect::<io::Result<Vec<Stream>>>()?;
        let request = Request::Get(bytes);
        let head = request.head();
        let mut left = count;
        while left > 0 {
            let turn = usize::try_from(left).map_or(streams.len(), |left| left.min(streams.len()));
            for stream in &mut streams[..turn] {
                stream.send(&head)?;
            }
            for stream in &mut streams[..turn] {
                requests::receive(stream, request)?;
            }
            left -= turn as u64;
        }
        streams.into_iter().try_for_each(Stream::close)
    }

    fn round_trips(&self, count: u64) -> io::Result<()> {
        let mut stream = self.client.connect(self.server, PATIENCE)?;
        stream.send(&Order::Echo.bytes())?;
        for _ in 0..count {
            stream.send(&[0x40; 64])?;
            stream.skip(64)?;
        }
        stream.close()
    }
}

/// Sends so many bytes.
fn send(stream: &mut Stream, bytes: u64) -> io::Result<()> {
    let buffer = vec![0xa5; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let most = left.min(CHUNK as u64) as usize;
        stream.send(&buffer[..most])?;
        left -= most as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_work_has_twice_the_units() {
        for work in [
            Work::Handshakes(3),
            Work::Download(3),
            Work::Upload(3),
            Work::RoundTrips(3),
            Work::Requests(3, 7),
            Work::RequestsAtOnce(3, 7, 5),
            Work::DownloadBody(3),
            Work::UploadBody(3),
        ] {
            assert_eq!(work.twice().units(), 6);
            assert_eq!(
                std::mem::discriminant(&work),
                std::mem::discriminant(&work.twice())
            );
        }
    }
}
