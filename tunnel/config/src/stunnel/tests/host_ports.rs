//! Ports that stand for what only the host has.

use core::time::Duration;

use super::*;

/// A client service with these lines.
fn section(name: &str, lines: &str) -> String {
    format!("[{name}]\nclient = yes\n{lines}\n")
}

/// What stands for what: `accept` lines by service and place, then paths.
fn ports(text: &str) -> (Vec<Option<u16>>, Vec<(String, u16)>) {
    let configuration = right(text);
    let ports = HostPorts::of(&configuration);
    let services = configuration.services.iter().enumerate();
    let accepted = services.flat_map(|(index, service)| {
        let places = 0..service.accept.len();
        places.map(move |nth| (index, nth))
    });
    let accepted = accepted.map(|(index, nth)| ports.accepted(index, nth));
    let dialled = ports.sockets().map(|(port, path)| (path.into(), port));
    (accepted.collect(), dialled.collect())
}

#[test]
fn only_what_the_host_alone_has_gets_a_port() {
    let text = section("a", "accept = 443\naccept = /run/a\nconnect = /run/b")
        + &section(
            "b",
            "accept = localhost:0\nconnect = x:1\nconnect = /run/b\nconnect = /run/c",
        );
    let (accepted, dialled) = ports(&text);
    assert_eq!(accepted[0], None);
    let (first, second) = (accepted[1].unwrap(), accepted[2].unwrap());
    assert_ne!(first, second);
    assert!(first >= 49_152 && second >= 49_152);
    let paths: Vec<&str> = dialled.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/run/b", "/run/c"]);
    assert_ne!(dialled[0].1, dialled[1].1);
    assert!(dialled.iter().all(|(_, port)| *port != 0));
}

#[test]
fn a_port_does_not_depend_on_the_order_or_on_other_services() {
    let (a, b) = (
        section("a", "accept = /run/a\nconnect = /run/x"),
        section("b", "accept = 0\nconnect = /run/y"),
    );
    let (accepted, dialled) = ports(&format!("{a}{b}"));
    let (turned, turned_dialled) = ports(&format!("{b}{a}"));
    assert_eq!([accepted[1], accepted[0]], turned[..]);
    assert_eq!([dialled[1].clone(), dialled[0].clone()], turned_dialled[..]);
    let (alone, alone_dialled) = ports(&b);
    assert_eq!(alone[0], accepted[1]);
    assert_eq!(alone_dialled[0], dialled[1]);
}

#[test]
fn a_path_has_one_port_and_each_free_port_its_own() {
    let text = section(
        "a",
        "accept = /run/a\naccept = /run/a\naccept = 0\naccept = 0\nconnect = x:1",
    ) + &section("b", "accept = /run/a\naccept = 0\nconnect = x:1");
    let (accepted, dialled) = ports(&text);
    assert_eq!(accepted[0], accepted[1]);
    assert_eq!(accepted[0], accepted[4]);
    let mut all: Vec<u16> = accepted.into_iter().flatten().collect();
    assert_eq!(all.len(), 6);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4);
    assert_eq!(dialled, []);
}

#[test]
fn a_program_has_a_port_that_follows_from_all_of_it() {
    let server = |name: &str, lines: &str| {
        format!("[{name}]\ncert = /c.pem\naccept = 1\nexec = /bin/cat\n{lines}\n")
    };
    let port = |text: &str| {
        let configuration = right(text);
        let ports = HostPorts::of(&configuration);
        let service = &configuration.services[0];
        ports.program(service.program_behind().unwrap()).unwrap()
    };
    let plain = port(&server("a", ""));
    assert_eq!(plain, port(&server("b", "execArgs = /bin/cat")));
    for other in ["execArgs = cat", "execArgs = /bin/cat -n", "pty = yes"] {
        assert_ne!(plain, port(&server("a", other)), "{other}");
    }
}

#[test]
fn a_program_that_is_the_client_has_a_port_of_the_image() {
    let text = section("a", "exec = /bin/cat\nconnect = x:1")
        + &section("b", "exec = /bin/cat\nconnect = x:1\nretry = 20");
    let configuration = right(&text);
    let ports = HostPorts::of(&configuration);
    let [first, second] = [0, 1].map(|index| ports.started(index).unwrap());
    assert!(first >= 49_152 && second >= 49_152 && first != second);
    let [a, b] = &configuration.services[..] else {
        panic!("there are two");
    };
    assert!(a.program_behind().is_none() && a.program_ahead() == b.program_ahead());
    assert_eq!((a.retry, b.retry), (None, Some(Duration::from_millis(20))));
}

#[test]
fn without_a_section_the_client_is_inetds() {
    let text = "cert = /c.pem\nservice = mail\nexec = /bin/cat\nexecArgs =  cat   -n ";
    let configuration = right(text);
    let [service] = &configuration.services[..] else {
        panic!("there is one");
    };
    assert!(service.is_inherited() && service.name == "mail");
    let program = service.program_behind().unwrap();
    assert_eq!(
        (program.arguments.join("|"), program.pty),
        ("cat|-n".into(), false)
    );
    let ports = HostPorts::of(&configuration);
    assert!(ports.accepted(0, 0).is_some() && ports.program(program).is_some());
}

#[test]
fn a_port_that_the_file_names_is_left_alone() {
    let one = section("a", "accept = /run/a\nconnect = x:1");
    let first = ports(&one).0[0].unwrap();
    let text = one + &section("b", &format!("accept = {first}\nconnect = x:1"));
    let next = ports(&text).0[0].unwrap();
    assert_eq!(
        u32::from(next),
        (u32::from(first) - 49_151) % 16_384 + 49_152
    );
}

#[test]
fn there_is_an_end_to_them() {
    let many = "accept = 0\n".repeat(250);
    let text: String = (0..20)
        .map(|number| section(&format!("s{number}"), &format!("{many}connect = x:1")))
        .collect();
    let (accepted, _) = ports(&text);
    assert_eq!(accepted.iter().flatten().count(), 4096);
    assert!(accepted[4095].is_some() && accepted[4096].is_none());
}

#[test]
fn redirect_leads_to_sockets_too() {
    let text = server("redirect = /run/r\nverifyChain = yes\nCAfile = /ca.pem\nconnect = /run/c");
    let paths: Vec<String> = ports(&text).1.into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/run/c", "/run/r"]);
}

#[test]
fn the_owner_of_a_socket_stands_in_its_section() {
    let service = only(section(
        "a",
        "accept = /run/a\nsetuid = nobody\nsetgid = 33\nconnect = x:1",
    ));
    assert_eq!(service.user.as_deref(), Some("nobody"));
    assert_eq!(service.group.as_deref(), Some("33"));
    let configuration = right(section("a", "accept = 1\nsetuid = nobody\nconnect = x:1"));
    let told = |notice: &&Notice| notice.text.contains("setuid is about UNIX sockets");
    assert_eq!(configuration.notices.iter().filter(told).count(), 1);
    let errors = wrong(section("a", "accept = /run/a\nsetgid =\nconnect = x:1"));
    assert!(errors.contains("\"setgid =\": Illegal GID"), "{errors}");
}

#[test]
fn a_path_that_no_socket_can_have_is_an_error() {
    let path = |length: usize| format!("/{}", "x".repeat(length - 1));
    right(client(&format!("accept = {}", path(107))));
    for option in ["accept", "connect"] {
        let errors = wrong(client(&format!("{option} = {}", path(108))));
        let text = format!(
            "Cannot resolve {option} target: Unix socket path is too long: it has 108 bytes"
        );
        assert!(errors.contains(&text), "{errors}");
    }
}
