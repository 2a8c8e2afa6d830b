//! The backend's behaviours over loopback, without an image between.
//!
//! These bind loopback only, so they need no namespace; they use `accept` without
//! [`Backend::start`]'s check.

use super::*;

fn backend(mode: Mode) -> (SocketAddr, Arc<Records>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let records = Arc::<Records>::default();
    let served = records.clone();
    thread::spawn(move || accept(&listener, &AtomicBool::new(false), &served, mode));
    (address, records)
}

fn check(input: &[u8], expected: &[u8], end: End) -> Record {
    let (address, records) = backend(Mode::Commands);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(input).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut output = Vec::new();
    stream.read_to_end(&mut output).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output),
        String::from_utf8_lossy(expected)
    );
    let record = crate::wait_until(PATIENCE, || {
        records.lock().first().filter(|r| r.end.is_some()).cloned()
    })
    .expect("the conversation ends");
    assert_eq!(record.end, Some(end));
    record
}

#[test]
fn echo_sends_everything_back() {
    let record = check(b"ECHO\none\ntwo", b"one\ntwo", End::Orderly);
    assert_eq!(record.command, "ECHO");
    assert_eq!(record.received.unwrap().length, 7);
}

#[test]
fn up_answers_with_length_and_digest() {
    let sum = Sum::of_pattern(5, 1000);
    let mut input = b"UP\n".to_vec();
    input.extend(Pattern::bytes(5, 1000));
    check(
        &input,
        format!("{} {}\n", sum.length, sum.digest).as_bytes(),
        End::Orderly,
    );
}

#[test]
fn down_and_late_send_the_pattern() {
    check(b"DOWN 100\n", &Pattern::bytes(100, 100), End::Orderly);
    let record = check(b"LATE 100\nmore", &Pattern::bytes(100, 100), End::Orderly);
    assert_eq!(record.received.unwrap().length, 4);
}

#[test]
fn early_ends_first_and_still_reads() {
    let record = check(b"EARLY\nafter", b"", End::Orderly);
    assert_eq!(record.received.unwrap().length, 5);
}

#[test]
fn an_unknown_command_is_an_error() {
    check(b"DANCE\n", b"", End::Failed(ErrorKind::InvalidInput));
}

#[test]
fn http_serves_several_requests_on_one_connection() {
    let pattern = Pattern::bytes(3, 3);
    let mut expected = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n".to_vec();
    expected.extend(&pattern);
    let sum = Sum::of_pattern(9, 0);
    let answer = format!("0 {}\n", sum.digest);
    expected.extend(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )
        .bytes(),
    );
    check(
        b"GET /bytes/3 HTTP/1.1\r\nHost: x\r\n\r\nPOST /digest HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        &expected,
        End::Orderly,
    );
}

#[test]
fn reset_is_a_reset() {
    let (address, records) = backend(Mode::Commands);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"RESET 10\n").unwrap();
    let mut data = [0; 10];
    stream.read_exact(&mut data).unwrap();
    stream.write_all(b"NOW\n").unwrap();
    assert_eq!(
        stream.read(&mut data).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let ended = || (records.lock().first()?.end? == End::Own).then_some(());
    assert!(crate::wait_until(PATIENCE, ended).is_some());
}
