//! Answers that are too many or too long.

use alloc::{format, vec};

use channel::{Listening, ServiceStatus, Status};

use super::*;

fn management() -> Management {
    let memory = ChannelMemory::for_heap(0, 0);
    Management::new(memory, b"--line", 1000)
}

#[test]
fn errors_are_cut_to_what_an_answer_takes() {
    let few = vec![String::from("one"), String::from("two")];
    assert_eq!(shortened(few.clone()), few);
    let many: Vec<String> = (0..10_000).map(|number| format!("line {number}")).collect();
    let cut = shortened(many.clone());
    let last = cut.len() - 1;
    assert_eq!(cut[..last], many[..last]);
    assert_eq!(cut[last], format!("and {} more", many.len() - last));
    let bytes: usize = cut.iter().map(String::len).sum();
    assert!(bytes <= MAX_ERRORS);
}

#[test]
fn whoever_asks_without_listening_gets_no_more_than_so_many_answers() {
    let mut management = management();
    for request in 0..1000 {
        let status = Status::default();
        management.answer(ToHost::Status { request, status });
    }
    assert_eq!(management.answers.len(), MAX_ANSWERS);
}

#[test]
fn a_status_that_is_too_long_goes_without_its_services() {
    let clock = tls::WallClock::new(0);
    let mut journal = Journal::new(clock, Severity::Notice);
    let mut management = management();
    let services = (0..ChannelMemory::QUEUE / 100).map(|_| ServiceStatus {
        name: "n".repeat(100),
        ..ServiceStatus::default()
    });
    let status = Status {
        sessions: 7,
        services: services.collect(),
        ..Status::default()
    };
    management.answer(ToHost::Status { request: 1, status });
    let place = Listening {
        service: "n".repeat(100),
        address: "10.0.0.2:443".parse().unwrap(),
        backend: String::new(),
    };
    management.answer(ToHost::Ready {
        revision: 1,
        listening: vec![place; ChannelMemory::QUEUE / 100],
        boot_ms: 0,
    });
    management.queue(&mut journal);
    assert!(management.answers.is_empty());
    assert!(!management.endpoint.is_settled());
    assert!(management.endpoint.queued() < 1000);
}
