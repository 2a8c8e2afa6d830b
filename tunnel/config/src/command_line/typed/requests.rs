//! The options of what is made of plaintext.

use super::super::options::{self, OptionSpec};
use super::super::{Problem, value};
use super::{Checker, Item};
use crate::requests::{Mode, Requests};

impl<'a> Checker<'_, 'a> {
    /// How plaintext is carried; `None` when something about it is wrong, which is reported.
    pub(super) fn requests(&mut self) -> Option<Requests> {
        let mode = self.one(&options::MODE, |text| match text {
            "tcp" => Ok(Mode::Tcp),
            "http" => Ok(Mode::Http),
            _ => Err(value::malformed(&options::MODE, text)),
        });
        let hsts = self.one(&options::HSTS, |text| {
            value::number(text).ok_or_else(|| value::malformed(&options::HSTS, text))
        });
        let max_body = self.one(&options::MAX_BODY, |text| {
            value::number(text).ok_or_else(|| value::malformed(&options::MAX_BODY, text))
        });
        let given: [&OptionSpec; 3] = [&options::MODE, &options::HSTS, &options::MAX_BODY];
        if let Some(conf) = self.raw.one(&options::CONF) {
            let (other, position) = (conf.option.name, conf.position);
            for option in given {
                self.refuse(option, Problem::Beside { other, position });
            }
            return Some(Requests::default());
        }
        let of_http = [&options::HSTS, &options::MAX_BODY];
        match mode {
            Item::Good(Mode::Tcp, position) => {
                let other = options::MODE.name;
                for option in of_http {
                    self.refuse(option, Problem::Against { other, position });
                }
            }
            // Hosts that are served by name may be HTTP of themselves.
            Item::Absent if self.asks_for_hosts().is_none() => {
                let other = &options::MODE;
                for option in of_http {
                    self.refuse(option, Problem::Needs { other });
                }
            }
            _ => {}
        }
        let is_bad = mode.is_bad() || hsts.is_bad() || max_body.is_bad();
        (!is_bad).then(|| Requests {
            mode: mode.good().map(|(mode, _)| *mode),
            hsts: hsts.good().map(|(seconds, _)| *seconds),
            max_body: max_body.good().map(|(bytes, _)| *bytes),
        })
    }
}
