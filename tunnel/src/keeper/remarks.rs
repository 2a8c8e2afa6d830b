//! What a keeper has to say, until somebody writes it down.

use alloc::{collections::VecDeque, format, string::String};

use crate::journal::Severity;

/// Most lines that wait; more in one turn are left out, and counted.
const MOST: usize = 256;

/// Longest line, bytes: names and reasons come from outside.
const LONGEST: usize = 1024;

/// Lines for the log.
#[derive(Default)]
pub(super) struct Remarks {
    lines: VecDeque<(Severity, String)>,
    left_out: usize,
}

impl Remarks {
    pub(super) fn say(&mut self, severity: Severity, line: String) {
        if self.lines.len() >= MOST {
            self.left_out += 1;
            return;
        }
        self.lines.push_back((severity, plain(&line)));
    }

    pub(super) fn next(&mut self) -> Option<(Severity, String)> {
        let line = self.lines.pop_front();
        if line.is_none() && self.left_out > 0 {
            let count = core::mem::take(&mut self.left_out);
            let line = format!("Store: {count} more lines were left out");
            return Some((Severity::Warning, line));
        }
        line
    }
}

/// As it may stand in a log: one line of bounded length, without control characters.
pub(super) fn plain(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars() {
        if line.len() >= LONGEST {
            line.push('…');
            break;
        }
        line.push(if letter.is_control() { ' ' } else { letter });
    }
    line
}
