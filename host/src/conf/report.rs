//! What became of each option, as a table for the terminal.

use std::collections::BTreeMap;

use stockade_config::stunnel::{Disposition, Reported};

/// Widest column, in characters, that the next one is still aligned behind; longer cells push
/// the rest of their own line along.
const WIDEST: usize = 48;

/// One line for each option, in columns: place, section, option and value, what became of it.
/// A last line counts them. Empty when there are none.
pub fn report(options: &[Reported]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 4]> = options.iter().map(row).collect();
    let mut widths = [0; 3];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            let length = cell.chars().count();
            if length <= WIDEST {
                *width = length.max(*width);
            }
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // No column at all for sections, in a file without any.
            if width > 0 {
                line += &format!("{cell:<width$}  ");
            }
        }
        text += &line;
        text += &row[3];
        text.push('\n');
    }
    text + &summary(options)
}

fn row(reported: &Reported) -> [String; 4] {
    [
        reported.origin.to_string(),
        reported
            .service
            .as_ref()
            .map_or_else(String::new, |name| format!("[{name}]")),
        format!("{} = {}", reported.option, reported.value),
        match &reported.disposition {
            Disposition::Honoured => "honoured".to_owned(),
            Disposition::WithoutEffect(why) => format!("accepted without effect: {why}"),
            Disposition::Refused(why) => format!("refused: {why}"),
        },
    ]
}

fn summary(options: &[Reported]) -> String {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for reported in options {
        let kind = match reported.disposition {
            Disposition::Honoured => 0,
            Disposition::WithoutEffect(_) => 1,
            Disposition::Refused(_) => 2,
        };
        *counts.entry(kind).or_default() += 1;
    }
    let count = |kind: usize| counts.get(&kind).copied().unwrap_or_default();
    let noun = if options.len() == 1 {
        "option"
    } else {
        "options"
    };
    format!(
        "{} {noun}: {} honoured, {} accepted without effect, {} refused\n",
        options.len(),
        count(0),
        count(1),
        count(2)
    )
}
