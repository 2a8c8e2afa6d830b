//! Certificates of one's own, and who is let through with which.

use super::super::probes::{served, served_to, served_with, shake};
use super::super::{REFUSED, Row};
use super::{row, server};

const SERVED: &str = "served";
const NOT_SERVED: &str = "not served";

pub fn certificates() -> Vec<Row> {
    vec![
        row(
            "cert",
            "a server's",
            server!(""),
            |stage| shake(stage, &[]).common_name().to_owned(),
            "server",
            REFUSED,
        ),
        row(
            "key",
            "in a file of its own",
            "[tested]\naccept = {port}\nconnect = {backend}\ncert = {dir}/server.crt\n\
             key = {dir}/server.key\n",
            served,
            SERVED,
            REFUSED,
        ),
        row(
            "CAfile",
            "for verifyChain",
            server!("CAfile = {dir}/ca.pem\nverifyChain = yes"),
            |stage| served_to(stage, "good.pem"),
            SERVED,
            REFUSED,
        ),
        row(
            "CApath",
            "for verifyChain",
            server!("CApath = {dir}/authorities\nverifyChain = yes"),
            |stage| served_to(stage, "good.pem"),
            SERVED,
            REFUSED,
        ),
        row(
            "CRLfile",
            "a revoked certificate",
            server!("CAfile = {dir}/ca.pem\nverifyChain = yes\nCRLfile = {dir}/crl.pem"),
            |stage| served_to(stage, "revoked.pem"),
            NOT_SERVED,
            SERVED,
        ),
        row(
            "CRLpath",
            "a revoked certificate",
            server!("CAfile = {dir}/ca.pem\nverifyChain = yes\nCRLpath = {dir}/lists"),
            |stage| served_to(stage, "revoked.pem"),
            NOT_SERVED,
            SERVED,
        ),
    ]
}

pub fn verification() -> Vec<Row> {
    vec![
        row(
            "verifyChain",
            "no certificate",
            server!("CAfile = {dir}/ca.pem\nverifyChain = yes"),
            served,
            NOT_SERVED,
            SERVED,
        ),
        row(
            "verifyPeer",
            "a certificate that is not pinned",
            server!("CAfile = {dir}/ca.pem\nverifyPeer = yes"),
            |stage| served_to(stage, "good.pem"),
            NOT_SERVED,
            SERVED,
        ),
        row(
            "verify",
            "2, no certificate",
            server!("CAfile = {dir}/ca.pem\nverify = 2"),
            served,
            NOT_SERVED,
            SERVED,
        ),
        row(
            "verify",
            "3, a certificate that is not pinned",
            server!("CAfile = {dir}/ca.pem\nverify = 3"),
            |stage| served_to(stage, "good.pem"),
            NOT_SERVED,
            SERVED,
        ),
        row(
            "requireCert",
            "no certificate",
            server!("requireCert = yes"),
            |stage| served_with(stage, &["-tls1_2"]),
            NOT_SERVED,
            SERVED,
        ),
        row(
            "checkHost",
            "another name",
            server!("CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = other.example"),
            |stage| served_to(stage, "good.pem"),
            NOT_SERVED,
            SERVED,
        ),
        row(
            "checkIP",
            "another address",
            server!("CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckIP = 192.0.2.8"),
            |stage| served_to(stage, "good.pem"),
            NOT_SERVED,
            SERVED,
        ),
        row(
            "checkEmail",
            "another mail address",
            server!("CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckEmail = a@other.example"),
            |stage| served_to(stage, "good.pem"),
            NOT_SERVED,
            SERVED,
        ),
    ]
}
