//! Answers as text for people.

use std::time::Duration;

use serde_json::Value;
use stockade_host::control::Name;
use time::UtcDateTime;

/// Lines of last words that a status shows; `diagnose` has all of them.
const LAST_WORDS: usize = 5;

/// How a running image stands.
pub(super) fn status(status: &Value) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| text += &format!("{name:<13}{value}\n");
    row("name", word(&status["name"]));
    row("phase", phase(status));
    let qemu = match status["qemu_pid"].as_u64() {
        Some(pid) => format!(", QEMU {pid} ({})", word(&status["accel"])),
        None => String::new(),
    };
    row("process", format!("{}{qemu}", status["pid"]));
    row("up", time(&status["uptime_ms"]));
    if status["starts"].as_u64() > Some(1) {
        row("starts", status["starts"].to_string());
    }
    row("revision", status["revision"].to_string());
    for bound in list(&status["listening"]) {
        let guest = &bound["guest_port"];
        row(
            "listens",
            format!("{}, the image's port {guest}", word(&bound["listen"])),
        );
    }
    for service in list(&status["services"]) {
        let (at, to) = (word(&service["address"]), word(&service["backend"]));
        row(
            "service",
            format!("[{}] at {at} of the image, to {to}", word(&service["name"])),
        );
    }
    let image = &status["image"];
    if image.is_object() {
        image_rows(image, &mut row);
    }
    let words = &status["last_words"];
    if words.is_object() {
        row("last crash", word(&words["outcome"]));
        let console = list(&words["console"]);
        for line in &console[console.len().saturating_sub(LAST_WORDS)..] {
            row("", word(line));
        }
    }
    text
}

fn phase(status: &Value) -> String {
    let phase = word(&status["phase"]);
    match status["serving_ms"].is_u64() {
        true => format!("{phase}, for {}", time(&status["serving_ms"])),
        false => phase,
    }
}

/// What the image itself says.
fn image_rows(image: &Value, row: &mut impl FnMut(&str, String)) {
    let number = |key: &str| image[key].as_u64().unwrap_or(0);
    let old = match number("old_sessions") {
        0 => String::new(),
        old => format!(", {old} of them by an earlier configuration"),
    };
    let more = number("admission");
    row(
        "connections",
        format!("{} open{old}; room for {more} more", number("sessions")),
    );
    row(
        "so far",
        format!(
            "{} accepted, {} failed; {} to clients, {} to backends",
            number("accepted_total"),
            number("failed_total"),
            bytes(number("bytes_to_clients")),
            bytes(number("bytes_to_backends")),
        ),
    );
    let (free, size) = (number("heap_free"), number("heap_size"));
    row("memory", format!("{} of {} free", bytes(free), bytes(size)));
    let hosts = list(&image["hosts"]);
    for told in hosts {
        row("host", host(told));
    }
    let more = number("hosts_total").saturating_sub(hosts.len() as u64);
    if more > 0 {
        row("", format!("and {more} more hosts"));
    }
}

/// `www.example.org  until 2026-12-01, renews 2026-11-20; last try failed: …`
fn host(host: &Value) -> String {
    let day = |key: &str| {
        let seconds = host[key].as_u64()?;
        let clock = clock(seconds.saturating_mul(1_000_000));
        Some(clock.split(' ').next().unwrap_or_default().to_owned())
    };
    let trouble = word(&host["trouble"]);
    let (until, next) = (day("not_after"), day("next"));
    let mut text = word(&host["name"]);
    text += &match until {
        Some(day) => format!("  until {day}"),
        None => "  no certificate that can be used".to_owned(),
    };
    // Who has failed comes again within a day, most often within the hour.
    text += &match (next, host["next"].as_u64(), trouble.is_empty()) {
        (Some(day), _, true) => format!(", renews {day}"),
        (Some(_), Some(seconds), false) => {
            let clock = clock(seconds.saturating_mul(1_000_000));
            let minute = clock
                .rsplit_once(':')
                .map_or(clock.as_str(), |(minute, _)| minute);
            format!(", tries again {minute} UTC")
        }
        _ => String::new(),
    };
    if !trouble.is_empty() {
        text += &format!("; {trouble}");
    }
    text
}

/// That a new configuration was taken.
pub(super) fn reloaded(name: &Name, reloaded: &Value) -> String {
    let mut text = format!("{name}: revision {} serves\n", reloaded["revision"]);
    for bound in list(&reloaded["listening"]) {
        let guest = &bound["guest_port"];
        text += &format!(
            "listens on {}, the image's port {guest}\n",
            word(&bound["listen"])
        );
    }
    text
}

/// One event: number, time (UTC), kind, text; further lines of the text are indented.
pub(super) fn event(event: &Value) -> String {
    let about = |key: &str| match event[key].as_str() {
        Some(about) if !about.is_empty() => format!("[{about}] "),
        _ => String::new(),
    };
    format!(
        "{:>6}  {}  {:<22}  {}{}\n",
        event["number"].to_string(),
        clock(event["unix_us"].as_u64().unwrap_or(0)),
        word(&event["kind"]),
        about("service"),
        word(&event["text"]).replace('\n', "\n        ")
    )
}

/// `2026-11-22 07:00:00.123`, of microseconds since 1970-01-01T00:00:00Z.
fn clock(unix_us: u64) -> String {
    // The last moment that the calendar knows stands for all that are later.
    let since = i64::try_from(unix_us).unwrap_or(i64::MAX);
    let at = UtcDateTime::UNIX_EPOCH.saturating_add(time::Duration::microseconds(since));
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// `3 d 4 h`, `5 min 6 s`, `7.8 s`.
fn time(millis: &Value) -> String {
    let time = Duration::from_millis(millis.as_u64().unwrap_or(0));
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{:.1} s", time.as_secs_f64()),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (_, _, _) => format!("{days} d {} h", hours % 24),
    }
}

fn bytes(bytes: u64) -> String {
    let amount = bytes as f64;
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", amount / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", amount / 1e6),
        _ => format!("{:.1} GB", amount / 1e9),
    }
}

/// A string without its quotes; anything else as it is.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_and_amounts_have_units() {
        for (millis, expect) in [
            (0, "0.0 s"),
            (7_800, "7.8 s"),
            (306_000, "5 min 6 s"),
            (7_260_000, "2 h 1 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(time(&json!(millis)), expect);
        }
        for (count, expect) in [(999, "999 B"), (1500, "1.5 kB"), (2_000_000, "2.0 MB")] {
            assert_eq!(bytes(count), expect);
        }
    }

    #[test]
    fn moments_are_dates() {
        // From date -u -d @SECONDS.
        for (seconds, expect) in [
            (0, "1970-01-01 00:00:00.000"),
            (951_782_399, "2000-02-28 23:59:59.000"),
            (951_782_400, "2000-02-29 00:00:00.000"),
            (951_868_800, "2000-03-01 00:00:00.000"),
            (1_709_164_800, "2024-02-29 00:00:00.000"),
            (1_795_330_800, "2026-11-22 07:00:00.000"),
            (4_107_542_400, "2100-03-01 00:00:00.000"),
        ] {
            assert_eq!(clock(seconds * 1_000_000), expect, "{seconds}");
        }
    }

    #[test]
    fn a_status_tells_what_an_operator_asks_first() {
        let text = status(&json!({
            "name": "off", "phase": "serving", "pid": 7, "qemu_pid": 8, "accel": "tcg",
            "uptime_ms": 61_000, "serving_ms": 60_000, "starts": 2, "revision": 3,
            "listening": [{"listen": "127.0.0.1:8443", "guest_port": 443}],
            "services": [{"name": "web", "address": "0.0.0.0:443", "backend": "10.0.2.2:80"}],
            "image": {"sessions": 4, "old_sessions": 1, "admission": 90, "accepted_total": 12,
                      "failed_total": 2, "bytes_to_clients": 2500, "bytes_to_backends": 30,
                      "heap_free": 64_000_000, "heap_size": 100_000_000, "hosts_total": 6,
                      "hosts": [
                          {"name": "www.example.org", "not_after": 1_796_083_200, "next": 1_795_132_800,
                           "trouble": null},
                          {"name": "b.example", "not_after": 1_796_083_200, "next": 1_795_330_800,
                           "trouble": "nobody answers"},
                          {"name": "c.example", "not_after": null, "next": null,
                           "trouble": "the key is missing"},
                          {"name": "d.example", "not_after": 0, "next": null, "trouble": null}]},
            "last_words": {"outcome": "it panicked", "console": ["a", "b", "c", "d", "e", "f"]},
        }));
        let expect = "\
name         off
phase        serving, for 1 min 0 s
process      7, QEMU 8 (tcg)
up           1 min 1 s
starts       2
revision     3
listens      127.0.0.1:8443, the image's port 443
service      [web] at 0.0.0.0:443 of the image, to 10.0.2.2:80
connections  4 open, 1 of them by an earlier configuration; room for 90 more
so far       12 accepted, 2 failed; 2.5 kB to clients, 30 B to backends
memory       64.0 MB of 100.0 MB free
host         www.example.org  until 2026-12-01, renews 2026-11-20
host         b.example  until 2026-12-01, tries again 2026-11-22 07:00 UTC; nobody answers
host         c.example  no certificate that can be used; the key is missing
host         d.example  until 1970-01-01
             and 2 more hosts
last crash   it panicked
             b
             c
             d
             e
             f
";
        assert_eq!(text, expect);
    }

    #[test]
    fn a_status_without_a_machine_is_short() {
        let text = status(
            &json!({"name": "a", "phase": "restarting", "pid": 7, "qemu_pid": null,
            "uptime_ms": 1000, "serving_ms": null, "starts": 1, "revision": 1, "image": null,
            "last_words": null, "listening": [], "services": []}),
        );
        assert_eq!(
            text,
            "name         a\nphase        restarting\nprocess      7\nup           1.0 s\nrevision     1\n"
        );
    }

    #[test]
    fn an_event_is_a_line_and_its_text_s_further_lines_are_indented() {
        let text = event(&json!({"number": 5, "unix_us": 1_795_330_800_250_000u64,
            "kind": "ended", "text": "it panicked\nlast words"}));
        assert_eq!(
            text,
            "     5  2026-11-22 07:00:00.250  ended                   it panicked\n        last words\n"
        );
        let text = event(
            &json!({"number": 6, "unix_us": 0, "kind": "closed", "service": "web",
            "text": "done"}),
        );
        assert!(text.ends_with("  [web] done\n"), "{text}");
    }
}
