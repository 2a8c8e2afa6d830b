//! Replays the inputs that are kept: seeds, what the fuzzer found them to grow into, and every
//! input that once broke something.

use std::fs;
use std::path::Path;

use super::*;

/// Runs `target` on every file of its corpus, in the files' order.
#[track_caller]
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    assert!(files.len() >= 5, "only {} inputs", files.len());
    for file in files {
        let input = fs::read(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        // The one that fails is the last to be named.
        println!("{}", file.display());
        target(&input);
    }
    target(b"");
}

#[test]
fn command_line_inputs() {
    replay("command_line", command_line);
}

#[test]
fn boot_archive_inputs() {
    replay("boot_archive", boot_archive);
}

#[test]
fn frames_inputs() {
    replay("frames", frames);
}

#[test]
fn gateway_frames_inputs() {
    replay("gateway_frames", gateway_frames);
}

#[test]
fn dns_inputs() {
    replay("dns", dns);
}

#[test]
fn dhcp_inputs() {
    replay("dhcp", dhcp);
}

#[test]
fn certificates_inputs() {
    replay("certificates", certificates);
}

#[test]
fn ocsp_inputs() {
    replay("ocsp", ocsp);
}

#[test]
fn notice_inputs() {
    replay("notice", notice);
}

#[test]
fn client_hello_inputs() {
    replay("client_hello", client_hello);
}

#[test]
fn stunnel_conf_inputs() {
    replay("stunnel_conf", stunnel_conf);
}

#[test]
fn psk_server_inputs() {
    replay("psk_server", psk_server);
}

#[test]
fn psk_client_inputs() {
    replay("psk_client", psk_client);
}

#[test]
fn psk_records_inputs() {
    replay("psk_records", psk_records);
}

#[test]
fn channel_guest_inputs() {
    replay("channel_guest", channel_guest);
}

#[test]
fn channel_host_inputs() {
    replay("channel_host", channel_host);
}

#[test]
fn dialect_smtp_inputs() {
    replay("dialect_smtp", dialect_smtp);
}

#[test]
fn dialect_imap_inputs() {
    replay("dialect_imap", dialect_imap);
}

#[test]
fn dialect_pop3_inputs() {
    replay("dialect_pop3", dialect_pop3);
}

#[test]
fn dialect_nntp_inputs() {
    replay("dialect_nntp", dialect_nntp);
}

#[test]
fn dialect_ldap_inputs() {
    replay("dialect_ldap", dialect_ldap);
}

#[test]
fn dialect_pgsql_inputs() {
    replay("dialect_pgsql", dialect_pgsql);
}

#[test]
fn dialect_connect_inputs() {
    replay("dialect_connect", dialect_connect);
}

#[test]
fn dialect_proxy_inputs() {
    replay("dialect_proxy", dialect_proxy);
}

#[test]
fn dialect_socks_inputs() {
    replay("dialect_socks", dialect_socks);
}

#[test]
fn proxy_header_inputs() {
    replay("proxy_header", proxy_header);
}

#[test]
fn http_inputs() {
    replay("http", http);
}

#[test]
fn http_head_inputs() {
    replay("http_head", http_head);
}

#[test]
fn git_pack_inputs() {
    replay("git_pack", git_pack);
}

#[test]
fn git_conversation_inputs() {
    replay("git_conversation", git_conversation);
}

#[test]
fn ssh_inputs() {
    replay("ssh", ssh);
}

#[test]
fn host_file_inputs() {
    replay("host_file", host_file);
}

#[test]
fn store_text_inputs() {
    replay("store_text", store_text);
}

#[test]
fn certificate_text_inputs() {
    replay("certificate_text", certificate_text);
}

#[test]
fn acme_inputs() {
    replay("acme", acme);
}
