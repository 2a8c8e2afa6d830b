//! The events of one proxy that nobody has asked for yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::{Event, EventKind};

/// syslog's severity of a warning (RFC 5424 §6.2.1).
const WARNING: u8 = 4;

/// Keeps events until they are taken: so many of failures, and as many others.
pub(crate) struct Diary {
    pages: Mutex<Pages>,
    most: usize,
}

#[derive(Default)]
struct Pages {
    failures: VecDeque<Event>,
    others: VecDeque<Event>,
    /// Events so far.
    count: u64,
    /// Not kept since they were taken last, with the number of the first one.
    missing: u64,
    first_missing: u64,
}

impl Diary {
    pub(crate) fn new(most: usize) -> Diary {
        Diary {
            pages: Mutex::default(),
            most: most.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers an event and keeps it; of its class, the oldest gives way.
    pub(crate) fn push(&self, event: Event) {
        let mut pages = self.lock();
        pages.count += 1;
        let event = Event {
            number: pages.count,
            ..event
        };
        let class = match event.is_failure() {
            true => &mut pages.failures,
            false => &mut pages.others,
        };
        class.push_back(event);
        if class.len() > self.most
            && let Some(gone) = class.pop_front()
        {
            // Those that it counted are missing as well.
            pages.missing += match gone.kind {
                EventKind::Missing(more) => more.saturating_add(1),
                _ => 1,
            };
            let first = match pages.first_missing {
                0 => gone.number,
                first => first.min(gone.number),
            };
            pages.first_missing = first;
        }
    }

    /// Events so far, taken or not.
    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Everything since the last call, in order.
    pub(crate) fn take(&self) -> Vec<Event> {
        let mut pages = self.lock();
        let missing = (pages.missing > 0).then(|| Event {
            number: pages.first_missing,
            time: SystemTime::now(),
            severity: WARNING,
            kind: EventKind::Missing(pages.missing),
            connection: String::new(),
            text: format!(
                "{} events are missing here: more came than are kept",
                pages.missing
            ),
        });
        (pages.missing, pages.first_missing) = (0, 0);
        let failures = std::mem::take(&mut pages.failures);
        let others = std::mem::take(&mut pages.others);
        drop(pages);
        let mut events: Vec<Event> = missing.into_iter().chain(failures).chain(others).collect();
        events.sort_by_key(|event| event.number);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::thread;

    fn event(kind: EventKind) -> Event {
        Event {
            number: 0,
            time: SystemTime::UNIX_EPOCH,
            severity: 5,
            kind,
            connection: String::new(),
            text: String::new(),
        }
    }

    fn numbers(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn each_event_is_taken_once_and_in_order() {
        let diary = Diary::new(10);
        diary.push(event(EventKind::Accepted));
        diary.push(event(EventKind::NoRouteToHost));
        diary.push(event(EventKind::Closed));
        let taken = diary.take();
        assert_eq!(numbers(&taken), [1, 2, 3]);
        assert_eq!(taken[1].kind, EventKind::NoRouteToHost);
        assert!(diary.take().is_empty());
        diary.push(event(EventKind::Accepted));
        assert_eq!(numbers(&diary.take()), [4]);
    }

    #[test]
    fn what_is_not_kept_is_counted_and_failures_outlast_the_rest() {
        let diary = Diary::new(2);
        diary.push(event(EventKind::NoRouteToHost));
        for _ in 0..5 {
            diary.push(event(EventKind::Accepted));
        }
        let taken = diary.take();
        assert_eq!(numbers(&taken), [1, 2, 5, 6]);
        assert_eq!(taken[0].kind, EventKind::NoRouteToHost);
        assert_eq!(taken[1].kind, EventKind::Missing(3));
        for _ in 0..3 {
            diary.push(event(EventKind::NoRouteToHost));
        }
        let taken = diary.take();
        assert_eq!(numbers(&taken), [7, 8, 9]);
        assert_eq!(taken[0].kind, EventKind::Missing(1));
    }

    #[test]
    fn several_threads_share_without_a_loss_and_without_a_double() {
        const EACH: u64 = 1000;
        let diary = Diary::new(usize::MAX);
        let all: Vec<u64> = thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..EACH).for_each(|_| diary.push(event(EventKind::Reset))));
            }
            let takers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut mine = Vec::new();
                        while mine.last() != Some(&(3 * EACH)) && diary.count() < 3 * EACH {
                            mine.extend(numbers(&diary.take()));
                        }
                        mine
                    })
                })
                .collect();
            let taken = takers.into_iter().map(|taker| taker.join());
            taken.flat_map(|taken| taken.expect("a taker")).collect()
        });
        let all: Vec<u64> = all.into_iter().chain(numbers(&diary.take())).collect();
        let distinct: BTreeSet<u64> = all.iter().copied().collect();
        assert_eq!((all.len(), distinct.len()), (3000, 3000));
    }
}
