//! Values of an address's options.

use super::address::Choice;

/// A flag: on without a value, else a number.
pub(super) fn flag(option: &Choice) -> Result<bool, String> {
    let Some(value) = &option.value else {
        return Ok(true);
    };
    let number: Result<i64, _> = value.parse();
    number.map(|number| number != 0).map_err(|_| {
        format!(
            "parseopts(): trailing garbage in numerical arg of option \"{}={value}\"",
            option.name
        )
    })
}

/// A value that must be there.
pub(super) fn value(option: &Choice) -> Result<&str, String> {
    let value = option.value.as_deref();
    value.ok_or_else(|| format!("option \"{}\": value required", option.name))
}

/// The same where an empty one has no meaning.
pub(super) fn text(option: &Choice) -> Result<String, String> {
    match value(option)? {
        "" => Err(format!(
            "option \"{}\": the value is empty; leave the option out, or say what it is",
            option.name
        )),
        text => Ok(text.to_owned()),
    }
}

/// Permissions, octal.
pub(super) fn mode(option: &Choice) -> Result<u32, String> {
    let value = value(option)?;
    let mode = u32::from_str_radix(value, 8).map_err(|_| {
        format!(
            "parseopts(): missing numerical value of option \"{}={value}\"",
            option.name
        )
    })?;
    match mode {
        0..=0o777 => Ok(mode),
        _ => Err(format!(
            "option \"{}={value}\": a socket has a mode from 0 to 0777",
            option.name
        )),
    }
}

/// A port in figures.
pub(super) fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// The TCP port of a service in services(5).
pub(super) fn service(services: &str, name: &str) -> Option<u16> {
    services.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let official = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        let is_it = official == name || words.any(|alias| alias == name);
        is_it.then(|| port_number(port)).flatten()
    })
}
