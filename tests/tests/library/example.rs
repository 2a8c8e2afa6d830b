//! The example of the library's users who write Python, run as it is.

use std::path::Path;

use stockade::{Check, Remote, Verification};

use crate::scene::{Scene, Server};

#[allow(dead_code)]
#[path = "../../../host/library/examples/python.rs"]
mod python;

const CLIENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../host/library/examples/client.py"
);

#[test]
fn a_python_program_fetches_a_page_by_the_socket_s_path_alone() {
    let scene = Scene::new();
    let (_server, port) = scene.serve(Server::OpenSsl, &scene.good());
    let verification = |name: &str| {
        let check = Check::Host(Some(name.to_owned()));
        Verification::new(check, scene.bundle())
    };
    assert!(Path::new(CLIENT).exists());
    let remote = || Remote::new("127.0.0.1", port);
    let printed = python::fetch(CLIENT, remote(), verification("server.example"));
    let printed = printed.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(printed.starts_with("200 "), "{printed}");

    let refused = python::fetch(CLIENT, remote(), verification("other.example"));
    assert_eq!(
        refused.map_err(|error| error.to_string()),
        Err("Certificate verification errors: Subject checks failed".to_owned())
    );
}
