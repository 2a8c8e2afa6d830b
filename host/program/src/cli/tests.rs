//! Which options are taken, and what is said of others.

use stockade_host::{Accel, Firmware, Machine};

use super::*;

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    let words = ["stockade"].iter().chain(words);
    super::parse(words.map(OsString::from))
}

fn run(words: &[&str]) -> Run {
    match parse(&[&["run"], words].concat()).unwrap().command {
        Task::Run(run) => *run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_description_of_the_options_is_sound() {
    command().debug_assert();
    run_command("x").debug_assert();
    check_command("x").debug_assert();
}

#[test]
fn commands_are_told_in_the_order_in_which_they_are_needed() {
    let command = command();
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    assert_eq!(
        names,
        [
            "run", "proxy", "check", "status", "stop", "reload", "diagnose", "keygen", "add",
            "remove", "list", "stunnel", "socat"
        ]
    );
}

#[test]
fn all_after_the_dashes_is_handed_over_as_it_is() {
    let options = run(&[
        "--memory",
        "64",
        "--",
        "--ipv4=10.0.0.2/24",
        "--",
        "--debug",
    ]);
    assert_eq!(options.words, ["--ipv4=10.0.0.2/24", "--", "--debug"]);
    assert_eq!(options.machinery.memory, Some(64));
    assert!(!options.debug);
}

#[test]
fn every_option_is_read() {
    let options = run(&[
        "--image=stockade.elf",
        "--net",
        "tap=tap0",
        "--accel=tcg",
        "--machine=q35",
        "--firmware=qboot",
        "--publish=1:2",
        "--publish",
        "0.0.0.0:3:4",
        "--cert",
        "c.pem",
        "--key=k.pem",
        "--debug",
        "--dry-run",
    ]);
    assert_eq!(options.conf, None);
    assert_eq!(options.machinery.image, Some(PathBuf::from("stockade.elf")));
    assert_eq!(options.net, Some(Net::Tap("tap0".to_owned())));
    assert_eq!(options.machinery.accel, Accel::Tcg);
    assert_eq!(options.machinery.machine, Machine::Q35);
    assert_eq!(options.machinery.firmware, Some(Firmware::Qboot));
    assert_eq!(options.publish.len(), 2);
    assert_eq!(options.key, Some(PathBuf::from("k.pem")));
    assert!(options.debug && options.dry_run);
}

#[test]
fn without_options_all_is_as_the_help_says() {
    let options = run(&[]);
    assert_eq!(options.machinery.accel, Accel::Auto);
    assert_eq!(options.machinery.machine, Machine::Microvm);
    assert!(options.net.is_none() && options.words.is_empty());
}

#[test]
fn the_network_of_before_is_the_one_of_now() {
    assert_eq!(run(&["--net=user"]).net, Some(Net::Rootless));
    assert_eq!(run(&["--net=rootless"]).net, Some(Net::Rootless));
}

#[test]
fn a_configuration_goes_with_the_options_of_the_machine() {
    let options = run(&["--conf", "off.conf", "--memory=64", "--", "--dns=10.0.0.1"]);
    assert_eq!(options.conf.as_deref(), Some("off.conf"));
    assert_eq!(options.machinery.memory, Some(64));
    assert_eq!(options.words, ["--dns=10.0.0.1"]);
}

#[test]
fn a_command_line_can_be_checked_by_changing_one_word() {
    let words = [
        "check",
        "--conf=f",
        "--memory=64",
        "--debug",
        "--",
        "--dns=10.0.0.1",
    ];
    let Task::Check(options) = parse(&words).unwrap().command else {
        panic!("no check");
    };
    assert_eq!(options.conf.as_deref(), Some("f"));
}

#[test]
fn a_run_s_words_can_be_checked_without_a_configuration() {
    for words in [&["check", "--hosts=h"][..], &["check", "--", "-r", "x"]] {
        let Task::Check(options) = parse(words).unwrap().command else {
            panic!("no check");
        };
        assert!(plan::hosts_by_name(&options), "{words:?}");
    }
}

#[test]
fn wrong_options_are_refused_with_a_hint() {
    for (words, expect) in [
        (
            &["run", "--net", "tap"][..],
            "rootless, tap=NAME or bridge=NAME",
        ),
        (
            &["run", "--net=bridge="],
            "rootless, tap=NAME or bridge=NAME",
        ),
        (&["run", "--memory=0"], "number of MiB"),
        (&["run", "--memory=lots"], "number of MiB"),
        (&["run", "--cert=c.pem"], "--key <FILE>"),
        (&["run", "--ipv4=10.0.0.2/24"], "-- --ipv4"),
        (&["run", "hello"], "hello"),
        (&["run", "--what"], "--what"),
        (&["run", "--machine=isapc"], "microvm, q35, pc"),
        (&["run", "--publish=443"], "PORT:GUESTPORT"),
        (&["check"], "--conf <FILE>"),
        (&["rum"], "'run'"),
    ] {
        let error = parse(words).unwrap_err();
        assert!(error.use_stderr(), "{words:?}");
        let error = error.to_string();
        assert!(error.contains(expect), "{words:?}: {error}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (words, expect) in [
        (&["--conf=f", "--cert=c", "--key=k"][..], "cert = FILE"),
        (&["--conf=f", "--publish=1:2"], "accept = [HOST:]PORT"),
        (&["--publish=1:2", "--net=tap=tap0"], "address of its own"),
        (
            &["--publish=1:2", "--", "--ipv4=10.0.0.2/24"],
            "address of its own",
        ),
        (&["--conf=f", "--hosts=h"], "names its own services"),
        (&["--conf=f", "--", "-r", "x"], "names its own services"),
        (
            &["--cert=c", "--key=k", "--hosts=h"],
            "each host has its own",
        ),
        (
            &["--cert=c", "--key=k", "--", "--remote=x"],
            "each host has its own",
        ),
    ] {
        let text = run(words).contradiction().unwrap();
        assert!(text.contains(expect), "{words:?}: {text}");
    }
    assert_eq!(run(&["--publish=1:2", "--debug"]).contradiction(), None);
}

#[test]
fn every_command_and_option_has_help() {
    let commands = command();
    for command in commands.get_subcommands().chain([&commands]) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for option in command.get_arguments() {
            let name = option.get_id();
            assert!(
                option.get_help().is_some(),
                "{}: {name}",
                command.get_name()
            );
        }
    }
}
