//! In-memory streams with bounded buffers that wrap around.

use alloc::{rc::Rc, vec, vec::Vec};
use core::cell::RefCell;

use super::*;

/// One direction of a pipe: a ring with real wrap-around.
pub struct Ring {
    bytes: Vec<u8>,
    front: usize,
    length: usize,
    finished: bool,
}

impl Ring {
    fn new(capacity: usize) -> Self {
        // Beginning near the end makes the first record wrap.
        Self {
            bytes: vec![0; capacity],
            front: capacity - 100,
            length: 0,
            finished: false,
        }
    }

    fn read_piece(&mut self) -> &mut [u8] {
        let end = (self.front + self.length).min(self.bytes.len());
        &mut self.bytes[self.front..end]
    }

    fn write_piece(&mut self) -> &mut [u8] {
        let capacity = self.bytes.len();
        let back = self.front + self.length;
        if back >= capacity {
            &mut self.bytes[back - capacity..self.front]
        } else {
            &mut self.bytes[back..]
        }
    }

    fn drop_front(&mut self, count: usize) {
        assert!(count <= self.length);
        self.front = (self.front + count) % self.bytes.len();
        self.length -= count;
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Fate {
    Connecting,
    Alive,
    Lost(StreamError),
}

/// One end of a pipe. The far end's receive buffer is this end's send buffer.
#[derive(Clone)]
pub struct End {
    pub incoming: Rc<RefCell<Ring>>,
    pub outgoing: Rc<RefCell<Ring>>,
    pub fate: Rc<RefCell<Fate>>,
}

pub fn pipe(capacity: usize) -> (End, End) {
    let one = Rc::new(RefCell::new(Ring::new(capacity)));
    let other = Rc::new(RefCell::new(Ring::new(capacity)));
    let fate = Rc::new(RefCell::new(Fate::Alive));
    let near = End {
        incoming: one.clone(),
        outgoing: other.clone(),
        fate: fate.clone(),
    };
    let far = End {
        incoming: other,
        outgoing: one,
        fate,
    };
    (near, far)
}

impl End {
    pub fn read_all(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.recv_len()];
        self.peek(&mut bytes);
        self.skip(bytes.len());
        bytes
    }
}

impl Stream for End {
    fn status(&self) -> Status {
        let ended = self.incoming.borrow().finished
            && self.outgoing.borrow().finished
            && self.outgoing.borrow().length == 0;
        match *self.fate.borrow() {
            Fate::Connecting => Status::Connecting,
            Fate::Lost(error) => Status::Closed(Some(error)),
            Fate::Alive if ended => Status::Closed(None),
            Fate::Alive => Status::Open,
        }
    }
    fn recv_len(&self) -> usize {
        self.incoming.borrow().length
    }
    fn peer_finished(&self) -> bool {
        self.incoming.borrow().finished
    }
    fn with_recv<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        let mut ring = self.incoming.borrow_mut();
        let (count, result) = f(ring.read_piece());
        ring.drop_front(count);
        result
    }
    fn peek(&mut self, out: &mut [u8]) -> usize {
        let ring = self.incoming.borrow();
        let count = out.len().min(ring.length);
        for (index, byte) in out.iter_mut().take(count).enumerate() {
            *byte = ring.bytes[(ring.front + index) % ring.bytes.len()];
        }
        count
    }
    fn skip(&mut self, count: usize) {
        self.incoming.borrow_mut().drop_front(count);
    }
    fn send_room(&self) -> usize {
        let ring = self.outgoing.borrow();
        if ring.finished || *self.fate.borrow() != Fate::Alive {
            return 0;
        }
        ring.bytes.len() - ring.length
    }
    fn send_queued(&self) -> usize {
        self.outgoing.borrow().length
    }
    fn with_send<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        if self.send_room() == 0 {
            return f(&mut []).1;
        }
        let mut ring = self.outgoing.borrow_mut();
        let (count, result) = f(ring.write_piece());
        ring.length += count;
        result
    }
    fn send(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(self.send_room());
        let mut ring = self.outgoing.borrow_mut();
        for byte in &data[..count] {
            let capacity = ring.bytes.len();
            let back = (ring.front + ring.length) % capacity;
            ring.bytes[back] = *byte;
            ring.length += 1;
        }
        count
    }
    fn finish(&mut self) {
        self.outgoing.borrow_mut().finished = true;
    }
    fn reset(&mut self) {
        *self.fate.borrow_mut() = Fate::Lost(StreamError::Reset);
    }
}
