//! How connections end: half by half, by reset, by silence.

use std::boxed::Box;
use std::net::SocketAddr;
use std::time::Duration;
use std::vec::Vec;

use smoltcp::wire::TcpControl;

use super::frames;
use super::world::*;
use crate::connection::{CONNECT_TIMEOUT, LINGER, USER_TIMEOUT};
use crate::time_wait::TIME_WAIT;
use crate::*;

const SOON: Duration = Duration::from_secs(5);

/// After one side's FIN, the other can still send.
fn half_close(first: usize) {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    let ids = [a, b];
    let second = 1 - first;
    world.stream(first, ids[first]).send(b"question");
    world.stream(first, ids[first]).finish();
    world.run(SOON, |world| {
        world.stream(second, ids[second]).recv_len() == 8
    });
    assert!(!world.stream(second, ids[second]).recv_finished());
    assert_eq!(world.read(second, ids[second]), b"question");
    assert!(world.stream(second, ids[second]).recv_finished());
    assert_eq!(world.status(second, ids[second]), Status::Open);
    assert_eq!(world.stream(first, ids[first]).send_room(), 0);
    assert_eq!(world.stream(first, ids[first]).send(b"no"), 0);
    world.pass(Duration::from_secs(20));
    world.stream(second, ids[second]).send(b"answer");
    world.run(SOON, |world| {
        world.stream(first, ids[first]).recv_len() == 6
    });
    world.stream(second, ids[second]).finish();
    world.pass(SOON);
    // What arrived before the end is there after it.
    assert_eq!(world.status(first, ids[first]), Status::Open);
    assert_eq!(world.read(first, ids[first]), b"answer");
    assert!(world.stream(first, ids[first]).recv_finished());
    assert_eq!(world.status(first, ids[first]), Status::Closed(None));
    assert_eq!(world.status(second, ids[second]), Status::Closed(None));
}

#[test]
fn half_close_by_the_client() {
    half_close(A);
}

#[test]
fn half_close_by_the_server() {
    half_close(B);
}

/// smoltcp's LAST-ACK disregards window updates: our FIN must not bring us there too early.
#[test]
fn a_reader_that_pauses_gets_what_was_written_before_both_ends() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).finish();
    world.run(SOON, |world| world.stream(B, b).recv_finished());
    let size = limits().send_buffer;
    let sent = Dice(5).bytes(2 * size);
    assert_eq!(world.stream(B, b).send(&sent[..size]), size);
    world.run(SOON, |world| world.stream(B, b).send_queued() == 0);
    assert_eq!(world.stream(B, b).send(&sent[size..]), size);
    world.stream(B, b).finish();
    assert_eq!(world.stream(B, b).send_room(), 0);
    assert_eq!(world.stream(B, b).send(b"no"), 0);
    // Probes of the closed window are lost: the update that opens it has to be enough.
    let probe = |host, frame: &[u8]| host == B && frame.len() == 14 + 20 + 20 + 1;
    world.filter = Some(Box::new(move |host, frame| !probe(host, frame)));
    world.pass(Duration::from_secs(20));
    let mut read = Vec::new();
    world.run(Duration::from_secs(1), |world| {
        read.extend(world.read(A, a));
        world.stream(A, a).recv_finished()
    });
    assert!(read == sent);
    world.pass(SOON);
    assert_eq!(world.status(B, b), Status::Closed(None));
}

#[test]
fn data_outlives_time_wait() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).finish();
    world.pass(SOON);
    world.stream(B, b).send(b"late reader");
    world.stream(B, b).finish();
    world.pass(Duration::from_secs(200));
    assert_eq!(world.read(A, a), b"late reader");
    assert_eq!(world.status(A, a), Status::Closed(None));
}

#[test]
fn reset_arrives_and_data_before_it_stays() {
    for resetter in [A, B] {
        let mut world = World::new();
        let (a, b) = world.connected(V4[B].into());
        let ids = [a, b];
        let other = 1 - resetter;
        world.stream(resetter, ids[resetter]).send(b"last words");
        world.run(SOON, |world| {
            world.stream(other, ids[other]).recv_len() == 10
        });
        world.stream(resetter, ids[resetter]).reset();
        let reset = Status::Closed(Some(StreamError::Reset));
        assert_eq!(world.status(resetter, ids[resetter]), reset);
        world.hosts[other].events.clear();
        world.run(SOON, |world| world.status(other, ids[other]) == reset);
        let ready = Event::Ready(ids[other]);
        assert!(world.hosts[other].events.contains(&ready));
        assert_eq!(world.read(other, ids[other]), b"last words");
        assert!(!world.stream(other, ids[other]).recv_finished());
        for host in [A, B] {
            world.hosts[host].stack.release(ids[host]);
            assert_eq!(world.hosts[host].stack.sockets(), 0);
        }
    }
}

#[test]
fn refused() {
    let mut world = World::new();
    let remote = SocketAddr::from((V4[B], 9));
    let id = world.hosts[A].stack.connect(remote, world.now).unwrap();
    assert_eq!(world.status(A, id), Status::Connecting);
    let refused = Status::Closed(Some(StreamError::Refused));
    world.run(SOON, |world| world.status(A, id) == refused);
    assert!(world.hosts[A].events.contains(&Event::Ready(id)));
}

#[test]
fn a_port_is_used_again_only_after_the_others() {
    let mut world = World::new();
    let mut ports = Vec::new();
    for remote in [1, 2] {
        let remote = SocketAddr::from((V4[B], remote));
        let first = ports.len();
        for _ in 0..1000 {
            let id = world.hosts[A].stack.connect(remote, world.now).unwrap();
            ports.push(world.stream(A, id).local().port());
            world.hosts[A].stack.release(id);
        }
        let mut these = ports[first..].to_vec();
        these.sort_unstable();
        these.dedup();
        assert_eq!(these.len(), 1000);
    }
    assert_ne!(
        ports[0] + 1000,
        ports[1000],
        "another place for another peer"
    );
}

#[test]
fn a_lost_fin_is_sent_again_whatever_duplicates_come() {
    let mut host = frames::acquainted();
    host.stack.listen(None, 443).unwrap();
    let from = SocketAddr::from((V4[A], 5000));
    let to = SocketAddr::from((V4[B], 443));
    let syn = frames::tcp(from, to, TcpControl::Syn, 999, None, b"");
    let answer = host.answer(&syn, Instant::ZERO);
    let first = frames::tcp_of(&answer[0]).seq_number.0 as u32 + 1;
    let ack = frames::tcp(from, to, TcpControl::None, 1000, Some(first), b"");
    host.answer(&ack, Instant::ZERO);
    let id = host.accepted().unwrap();
    host.stack.stream(id).unwrap().finish();
    host.step(Instant::ZERO);
    for _ in 0..5 {
        host.answer(&ack, Instant::ZERO);
    }
    host.card.tx.clear();
    let mut now = Instant::ZERO;
    while host.card.tx.is_empty() {
        now = host.stack.poll_at().unwrap().max(now);
        assert!(now < Instant::ZERO + SOON, "{now:?}");
        host.step(now);
    }
    let repeated = frames::tcp_of(&host.card.tx[0]);
    assert_eq!(repeated.control, TcpControl::Fin);
    assert_eq!(repeated.seq_number.0 as u32, first);
}

#[test]
fn nobody_there() {
    let mut world = World::new();
    let remote = SocketAddr::from(([10, 9, 0, 77], 9));
    let id = world.hosts[A].stack.connect(remote, world.now).unwrap();
    world.pass(CONNECT_TIMEOUT - Duration::from_secs(2));
    assert_eq!(world.status(A, id), Status::Connecting);
    world.pass(Duration::from_secs(5));
    let timed_out = Status::Closed(Some(StreamError::TimedOut));
    assert_eq!(world.status(A, id), timed_out);
    assert!(world.hosts[A].events.contains(&Event::Ready(id)));
    world.hosts[A].stack.release(id);
    world.pass(CONNECT_TIMEOUT);
    assert_eq!(world.hosts[A].stack.sockets(), 0);
}

#[test]
fn the_peer_falls_silent() {
    let mut world = World::new();
    let (a, _) = world.connected(V4[B].into());
    world.filter = Some(std::boxed::Box::new(|from, _| from == A));
    world.pass(USER_TIMEOUT * 2);
    let timed_out = Status::Closed(Some(StreamError::TimedOut));
    assert_eq!(world.status(A, a), timed_out);
}

#[test]
fn keep_alive_holds_an_idle_connection() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.status(A, a), Status::Open);
    assert_eq!(world.status(B, b), Status::Open);
    world.stream(A, a).send(b"still here");
    world.run(SOON, |world| world.stream(B, b).recv_len() == 10);
}

#[test]
fn a_released_stream_delivers_what_is_queued() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    let data = Dice(3).bytes(limits().send_buffer);
    assert_eq!(world.stream(A, a).send(&data), data.len());
    world.hosts[A].stack.release(a);
    assert!(world.hosts[A].stack.stream(a).is_none());
    let mut received = Vec::new();
    world.run(SOON, |world| {
        received.extend(world.read(B, b));
        world.stream(B, b).recv_finished()
    });
    assert!(received == data);
    // The other side's data goes nowhere, but does not hold the end up: four buffers of it.
    let mut left = 4 * data.len();
    world.run(SOON, |world| {
        left -= world.stream(B, b).send(&data[..data.len().min(left)]);
        left == 0
    });
    world.stream(B, b).finish();
    world.run(SOON, |world| {
        world.hosts[A].stack.sockets() == 0 && world.status(B, b) == Status::Closed(None)
    });
}

#[test]
fn a_released_stream_is_reset_after_its_time() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.hosts[A].stack.release(a);
    world.pass(LINGER - Duration::from_secs(1));
    assert_eq!(world.hosts[A].stack.sockets(), 1);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.hosts[A].stack.sockets(), 0);
    let reset = Status::Closed(Some(StreamError::Reset));
    assert_eq!(world.status(B, b), reset);
}

#[test]
fn a_stale_handle_names_nothing() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).reset();
    world.hosts[A].stack.release(a);
    world.pass(SOON);
    world.hosts[B].stack.release(b);
    let (next, _) = world.connected(V4[B].into());
    assert_ne!(next, a);
    assert!(world.hosts[A].stack.stream(a).is_none());
    assert!(world.hosts[A].stack.stream_pair(a, next).is_none());
    assert!(world.hosts[A].stack.stream_pair(next, next).is_none());
    world.hosts[A].stack.release(a);
    assert_eq!(world.status(A, next), Status::Open);
}

#[test]
fn two_streams_at_once() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    let (c, d) = world.connected(V6[B].into());
    world.stream(A, a).send(b"carried over");
    world.run(SOON, |world| world.stream(B, b).recv_len() == 12);
    let (mut from, mut to) = world.hosts[B].stack.stream_pair(b, d).unwrap();
    from.with_recv(|data| (to.send(data), ()));
    world.run(SOON, |world| world.stream(A, c).recv_len() == 12);
    assert_eq!(world.read(A, c), b"carried over");
}

#[test]
fn time_wait_is_a_record_and_answers() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    let last = std::rc::Rc::new(core::cell::RefCell::new(Vec::new()));
    let kept = last.clone();
    world.filter = Some(std::boxed::Box::new(move |from, frame| {
        if from == B && frames::try_tcp_of(frame).is_some_and(|tcp| tcp.control == TcpControl::Fin)
        {
            *kept.borrow_mut() = frame.to_vec();
        }
        true
    }));
    // A closes first, so A is the one in TIME-WAIT.
    world.stream(A, a).finish();
    world.pass(SOON);
    world.stream(B, b).finish();
    world.pass(SOON);
    world.hosts[A].stack.release(a);
    assert_eq!(world.hosts[A].stack.sockets(), 0);
    assert_eq!(world.hosts[A].stack.shard.time_wait.len(), 1);
    // The FIN again: acknowledged again, without a socket.
    let fin = last.borrow().clone();
    let now = world.now;
    let answer = world.hosts[A].answer(&fin, now);
    assert_eq!(answer.len(), 1);
    let segment = frames::tcp_of(&answer[0]);
    assert_eq!(segment.control, TcpControl::None);
    let fin = frames::tcp_of(&fin);
    assert_eq!(segment.ack_number, Some(fin.seq_number + 1));
    assert_eq!(Some(segment.seq_number), fin.ack_number);
    assert_eq!(segment.src_port, fin.dst_port);
    let again = world.now + TIME_WAIT;
    let fin = last.borrow().clone();
    // After its time there is nothing left: RST.
    let answer = world.hosts[A].answer(&fin, again);
    assert_eq!(frames::tcp_of(&answer[0]).control, TcpControl::Rst);
}
