//! Lines, sections, defaults and files that include files.

use super::*;

#[test]
fn comments_blanks_and_case_do_not_count() {
    let service = only(
        b"  \n\t; comment \xff\xfe\n  # comment = \xff\n\x0b\x0c\n\tForeGround = yes \r\n [ x y ] \r\n ACCEPT=22009\nconnect   =   1  \nClient =YES\n",
    );
    assert_eq!(service.name, " x y ");
    assert_eq!(service.origin.line, 6);
    assert!(service.client);
}

#[test]
fn a_byte_order_mark_may_begin_the_file_alone() {
    assert_eq!(only(format!("\u{feff}{}", client(""))).name, "x");
    assert_eq!(
        wrong(format!("{}\u{feff}", client(""))),
        "6: \"\u{feff}\": No '=' found"
    );
}

#[test]
fn the_first_equals_sign_splits() {
    let service = only(client(
        "sni = a=b\nverifyPeer=yes\nCAfile=/ca.pem\ncheckHost == x",
    ));
    assert_eq!(service.sni.as_deref(), Some("a=b"));
    assert_eq!(service.check_host, ["= x"]);
}

#[test]
fn only_comments_may_hold_what_is_no_text() {
    assert_eq!(
        wrong(b"[x]\nclient = yes\naccept = 1\nconnect = 2\ncheckHost = \xff"),
        "5: not UTF-8 text"
    );
    assert_eq!(wrong(client("sni = a\0b")), "5: not UTF-8 text");
    let service = only(client("sni = bücher.example"));
    assert_eq!(service.sni.as_deref(), Some("bücher.example"));
}

#[test]
fn what_stands_before_sections_holds_for_those_that_follow() {
    let text = "TIMEOUTidle = 70\ncert = /c.pem\nconnect = 1\n\
                [a]\naccept = 10\n\
                [b]\naccept = 11\nTIMEOUTidle = 80\nconnect = 2\n\
                [a]\naccept = 12\n";
    let services = right(text).services;
    let names: Vec<_> = services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "a"]);
    let idle: Vec<_> = services
        .iter()
        .map(|service| service.timeouts.idle.as_secs())
        .collect();
    assert_eq!(idle, [70, 80, 70]);
    let connects: Vec<_> = services
        .iter()
        .map(|service| service.connect.len())
        .collect();
    assert_eq!(connects, [1, 2, 1]);
}

#[test]
fn the_last_of_repeated_options_counts_and_lists_grow() {
    let service = only(client(
        "TIMEOUTbusy = 1\nTIMEOUTbusy = 2\naccept = 3\nconnect = a:1\nconnect = b:2",
    ));
    assert_eq!(service.timeouts.busy.as_secs(), 2);
    assert_eq!(service.accept.len(), 2);
    assert_eq!(service.connect.len(), 3);
}

#[test]
fn the_level_before_sections_is_the_log_s() {
    let configuration = right(format!("debug = mail.6\n{}", client("debug = 3")));
    assert_eq!(configuration.global.debug, 6);
    assert_eq!(configuration.global.facility, Facility::Mail);
    assert_eq!(configuration.services[0].debug, 3);
}

#[test]
fn a_directory_is_included_by_the_order_of_names() {
    let mut memory = Memory::with("client = yes\ninclude = /conf.d\nTIMEOUTidle = 7\n");
    memory.put("/conf.d/20-b.conf", "[b]\naccept = 2\nconnect = 3\n");
    memory.put(
        "/conf.d/10-a.conf",
        "TIMEOUTbusy = 4\n[a]\naccept = 1\nconnect = 2\n",
    );
    memory.put("/conf.d/sub/c.conf", "not read");
    let configuration = read(PATH, &mut memory).unwrap();
    let [a, b] = &configuration.services[..] else {
        panic!("{configuration:?}");
    };
    assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
    assert_eq!(&*b.origin.file, "/conf.d/20-b.conf");
    // A section that begins in an included file goes on after it.
    assert_eq!(a.timeouts.idle.as_secs(), 43_200);
    assert_eq!(b.timeouts.idle.as_secs(), 7);
    assert_eq!(b.timeouts.busy.as_secs(), 4);
    let reported = configuration
        .report
        .iter()
        .find(|given| given.option == "include");
    // It is told after what it includes.
    assert_eq!(reported.unwrap().origin.line, 2);
}

#[test]
fn errors_name_the_included_file() {
    let mut memory = Memory::with("include = /conf.d/\n");
    memory.put("/conf.d/a.conf", "\nbogus\n");
    let errors = read(PATH, &mut memory).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "/conf.d/a.conf:2: \"bogus\": No '=' found"
    );
}

#[test]
fn files_that_include_themselves_come_to_an_end() {
    let mut memory = Memory::with("include = /conf.d\n");
    memory.put("/conf.d/a.conf", "include = /conf.d\n");
    let errors = read(PATH, &mut memory).unwrap_err().to_string();
    assert_eq!(
        errors,
        "/conf.d/a.conf:1: \"include = /conf.d\": files include each other more than 8 deep"
    );
    for number in 0..300 {
        memory.put(&format!("/wide/{number}"), "");
    }
    memory.put(PATH, "include = /wide\n");
    let errors = read(PATH, &mut memory).unwrap_err().to_string();
    assert_eq!(
        errors,
        format!("{PATH}:1: \"include = /wide\": more than 256 files are included")
    );
}

#[test]
fn a_missing_file_is_told_with_its_path() {
    let errors = read("/etc/no.conf", &mut Memory::default()).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "/etc/no.conf: Cannot open configuration file: No such file or directory"
    );
}

#[test]
fn the_report_has_each_option_once_in_order() {
    let mut memory =
        Memory::with("pid = /p\nFIPS = yes\n[x]\nCLIENT = yes\nbogus = 1\nstack = 5\n");
    let examination = examine(PATH, &mut memory);
    let lines: Vec<_> = examination
        .report
        .iter()
        .map(|given| {
            let word = match given.disposition {
                Disposition::Honoured => "honoured",
                Disposition::WithoutEffect(_) => "without effect",
                Disposition::Refused(_) => "refused",
            };
            let service = given.service.as_deref().unwrap_or("-");
            format!(
                "{} {service} {} {} {word}",
                given.origin.line, given.option, given.value
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "1 - pid /p honoured",
            "2 - fips yes refused",
            "4 x client yes honoured",
            "6 x stack 5 without effect",
        ]
    );
    assert!(examination.configuration.is_none());
    assert_eq!(examination.errors.len(), 2);
}
