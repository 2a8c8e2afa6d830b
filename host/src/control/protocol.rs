//! Requests and answers as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::launch::{Events, Kind, LastWords, Listening, Record, Reloaded, Status};
use crate::network::Bound;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Status,
    Reload,
    /// `None`: the launcher's own time for connections to end.
    Stop(Option<Duration>),
    /// From the event after this number on.
    Diagnose(u64),
}

impl Request {
    /// Reads one line.
    pub(super) fn read(line: &[u8]) -> Result<Request, String> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| format!("the request is no JSON: {error}"))?;
        let number = |key: &str| match &value[key] {
            Value::Null => Ok(None),
            other => other
                .as_u64()
                .map(Some)
                .ok_or_else(|| format!("{key:?} is not a whole number: {other}")),
        };
        match value["do"].as_str() {
            Some("status") => Ok(Request::Status),
            Some("reload") => Ok(Request::Reload),
            Some("stop") => Ok(Request::Stop(
                number("drain_ms")?.map(Duration::from_millis),
            )),
            Some("diagnose") => Ok(Request::Diagnose(number("since")?.unwrap_or(0))),
            _ => Err("\"do\" is none of status, reload, stop, diagnose".to_owned()),
        }
    }
}

pub(super) fn failed(errors: &[String]) -> Value {
    json!({"ok": false, "errors": errors})
}

pub(super) fn reloaded(reloaded: &Reloaded) -> Value {
    json!({"ok": true, "revision": reloaded.revision, "listening": listening(&reloaded.bound)})
}

pub(super) fn events(events: &Events) -> Value {
    json!({
        "ok": true,
        "events": events.records.iter().map(record).collect::<Vec<_>>(),
        "missed": events.missed,
        "next": events.next,
        "more": events.more,
    })
}

/// How things stand; the fields are those of [`Status`].
pub(super) fn status(name: &str, status: &Status) -> Value {
    json!({
        "name": name,
        "version": stockade_config::VERSION,
        "phase": status.phase.word(),
        "pid": status.pid,
        "qemu_pid": status.qemu_pid,
        "accel": status.accel.to_string(),
        "uptime_ms": millis(status.uptime),
        "serving_ms": status.serving.map(millis),
        "starts": status.starts,
        "revision": status.revision,
        "listening": listening(&status.bound),
        "services": status.services.iter().map(service).collect::<Vec<_>>(),
        "last_words": status.last_words.as_ref().map(last_words),
        "newest_event": status.newest_event,
        "has_channel": status.has_channel,
        "image": status.image.as_ref().map(image),
        "network": status.network.map(|counters| json!({
            "frames_in": counters.frames_in,
            "bytes_in": counters.bytes_in,
            "frames_out": counters.frames_out,
            "bytes_out": counters.bytes_out,
            "open": counters.open,
            "accepted": counters.accepted,
            "connected": counters.connected,
            "refused": counters.refused,
            "reset": counters.reset,
            "names": counters.names,
        })),
    })
}

fn record(record: &Record) -> Value {
    let mut value = json!({
        "number": record.number,
        "unix_us": unix_micros(record.time),
        "machine": record.machine,
        "severity": record.severity,
        "kind": record.kind.word(),
        "text": record.text,
    });
    if !record.service.is_empty() {
        value["service"] = json!(record.service);
    }
    if !record.connection.is_empty() {
        value["connection"] = json!(record.connection);
    }
    if !record.problems.is_empty() {
        let problems = record.problems.iter().map(|problem| {
            json!({
                "depth": problem.depth,
                "reason": problem.reason.words(),
                "subject": problem.subject,
            })
        });
        value["certificate"] = problems.collect();
    }
    if let Kind::Lost(events) = record.kind {
        value["lost"] = json!(events);
    }
    value
}

fn listening(bound: &[Bound]) -> Vec<Value> {
    bound
        .iter()
        .map(|bound| json!({"listen": bound.listen.to_string(), "guest_port": bound.guest_port}))
        .collect()
}

fn service(service: &Listening) -> Value {
    json!({
        "name": service.service,
        "address": service.address.to_string(),
        "backend": service.backend,
    })
}

fn image(status: &stockade_channel::Status) -> Value {
    let services = status.services.iter().map(|service| {
        json!({
            "name": service.name,
            "listening": service.listening.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "sessions": service.sessions,
            "accepted_total": service.accepted_total,
            "backends": service.backends,
        })
    });
    let connections = status.connections.iter().map(|connection| {
        json!({
            "service": connection.service,
            "id": connection.id,
            "age_ms": connection.age_ms,
            "bytes_to_tls": connection.bytes_to_tls,
            "bytes_to_socket": connection.bytes_to_socket,
        })
    });
    let hosts = status.hosts.iter().map(|host| {
        json!({
            "name": host.name,
            "not_after": host.not_after,
            "next": host.next,
            "trouble": host.trouble,
        })
    });
    json!({
        "uptime_ms": status.uptime_ms,
        "sessions": status.sessions,
        "old_sessions": status.old_sessions,
        "half_open": status.half_open,
        "admission": status.admission,
        "accepted_total": status.accepted_total,
        "failed_total": status.failed_total,
        "bytes_to_clients": status.bytes_to_clients,
        "bytes_to_backends": status.bytes_to_backends,
        "events_lost": status.events_lost,
        "heap_free": status.heap_free,
        "heap_size": status.heap_size,
        "services": services.collect::<Vec<_>>(),
        "connections": connections.collect::<Vec<_>>(),
        "hosts": hosts.collect::<Vec<_>>(),
        "hosts_total": status.hosts_total,
    })
}

fn last_words(words: &LastWords) -> Value {
    json!({
        "unix_us": unix_micros(words.at),
        "outcome": words.outcome.to_string(),
        "console": words.console,
        "messages": words.messages,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unix_micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
