//! The plain TCP server behind what is measured: cheap, so that it never is what is measured.
//!
//! A connection begins with an [`Order`], or speaks HTTP/1.1. Nothing is looked at and nothing is
//! recorded; the tests' own backend does that.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::requests;
use crate::PATIENCE;

/// Bytes of an [`Order`].
const ORDER: usize = 9;
/// Bytes that a transfer reads or writes at once.
const CHUNK: usize = 256 * 1024;
/// Bytes that an echo reads at once.
const ECHO: usize = 4096;
/// Stack of a connection's thread; its buffers are on the heap.
const STACK: usize = 64 * 1024;

/// What the backend shall do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send back what comes.
    Echo,
    /// Take so many bytes, then send one.
    Take(u64),
    /// Send so many bytes.
    Give(u64),
}

impl Order {
    /// How it stands at the beginning of a connection: a letter and a number, big-endian.
    pub fn bytes(self) -> [u8; ORDER] {
        let (letter, number) = match self {
            Order::Echo => (b'e', 0),
            Order::Take(length) => (b't', length),
            Order::Give(length) => (b'g', length),
        };
        let mut bytes = [letter; ORDER];
        bytes[1..].copy_from_slice(&u64::to_be_bytes(number));
        bytes
    }

    fn read(bytes: [u8; ORDER]) -> io::Result<Order> {
        let [letter, number @ ..] = bytes;
        let number = u64::from_be_bytes(number);
        match letter {
            b'e' => Ok(Order::Echo),
            b't' => Ok(Order::Take(number)),
            b'g' => Ok(Order::Give(number)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Listens on a free port of `address` and serves for as long as the process lives.
pub fn start(address: impl Into<IpAddr>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((address.into(), 0))?;
    let local = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let serving = thread::Builder::new().stack_size(STACK);
            // A connection that fails is the client's to notice; so is one without a thread.
            let _ = serving.spawn(move || serve(connection));
        }
    });
    Ok(local)
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let mut order = [0; ORDER];
    connection.read_exact(&mut order)?;
    if requests::begins(&order) {
        return requests::serve(&mut connection, &order);
    }
    match Order::read(order)? {
        Order::Echo => echo(&mut connection)?,
        Order::Take(length) => take(&mut connection, length)?,
        Order::Give(length) => give(&mut connection, length)?,
    }
    connection.shutdown(Shutdown::Write)?;
    io::copy(&mut connection, &mut io::sink())?;
    Ok(())
}

fn echo(connection: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; ECHO];
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok(()),
            length => connection.write_all(&buffer[..length])?,
        }
    }
}

fn take(connection: &mut TcpStream, length: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut left = length;
    while left > 0 {
        let most = left.min(CHUNK as u64) as usize;
        match connection.read(&mut buffer[..most])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => left -= length as u64,
        }
    }
    connection.write_all(b"!")
}

fn give(connection: &mut TcpStream, length: u64) -> io::Result<()> {
    let buffer = vec![0x5a; CHUNK];
    let mut left = length;
    while left > 0 {
        let most = left.min(CHUNK as u64) as usize;
        connection.write_all(&buffer[..most])?;
        left -= most as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_back_as_they_went_in() {
        for order in [Order::Echo, Order::Take(0), Order::Give(u64::MAX)] {
            assert_eq!(Order::read(order.bytes()).unwrap(), order);
        }
        assert!(Order::read([b'x'; ORDER]).is_err());
    }

    #[test]
    fn orders_are_carried_out() {
        let address = start([127, 0, 0, 1]).unwrap();
        let converse = |order: Order, sent: &[u8]| {
            let mut connection = TcpStream::connect(address).unwrap();
            connection.write_all(&order.bytes()).unwrap();
            connection.write_all(sent).unwrap();
            connection.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            connection.read_to_end(&mut answer).unwrap();
            answer
        };
        assert_eq!(converse(Order::Echo, b"hello"), b"hello");
        assert_eq!(converse(Order::Take(5), b"hello"), b"!");
        assert_eq!(converse(Order::Take(6), b"hello"), b"");
        assert_eq!(converse(Order::Give(300_000), b"").len(), 300_000);
    }
}
