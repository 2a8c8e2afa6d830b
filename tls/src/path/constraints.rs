//! Name constraints (RFC 5280 §4.2.1.10 and §6.1.3), as OpenSSL's `NAME_CONSTRAINTS_check`.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;

use x509_cert::der::Tag;

use super::RefusalReason;
use super::certificate::Certificate;
use super::extensions::{NameConstraints, Subtrees};
use super::general::GeneralName;
use super::matching::{ends_with, has_dns_name, split_mailbox};
use super::name::{COMMON_NAME, EMAIL_ADDRESS, Name};
use super::signature::Budget;

/// Checks the names of every certificate against the constraints of all above it, the trust anchor
/// included. The error says at which depth.
pub(super) fn check(
    path: &[Rc<Certificate<'_>>],
    budget: &mut Budget,
) -> Result<(), (usize, RefusalReason)> {
    for (depth, certificate) in path.iter().enumerate().rev() {
        // "If certificate i is self-issued and it is not the final certificate in the path, skip
        // this step" (RFC 5280 §6.1.3 (b)).
        if depth > 0 && certificate.is_self_issued() {
            continue;
        }
        for issuer in path.iter().skip(depth + 1) {
            if let Some(constraints) = &issuer.extensions.name_constraints {
                check_certificate(certificate, depth == 0, constraints, budget)
                    .map_err(|reason| (depth, reason))?;
            }
        }
    }
    Ok(())
}

/// Checks a host that the first certificate of the path was taken for: a wildcard, or a common name
/// that does not look like a host's, may stand for names that the constraints exclude.
pub(super) fn check_host(
    path: &[Rc<Certificate<'_>>],
    host: &str,
    budget: &mut Budget,
) -> Result<(), RefusalReason> {
    for issuer in path.iter().skip(1) {
        if let Some(constraints) = &issuer.extensions.name_constraints {
            constraints.check(Subject::General(GeneralName::Dns(host.as_bytes())), budget)?;
        }
    }
    Ok(())
}

fn check_certificate(
    certificate: &Certificate<'_>,
    is_leaf: bool,
    constraints: &NameConstraints<'_>,
    budget: &mut Budget,
) -> Result<(), RefusalReason> {
    let attributes = certificate.subject.attributes();
    if !attributes.is_empty() {
        constraints.check(Subject::Directory(&certificate.subject), budget)?;
    }
    for attribute in &attributes {
        if attribute.kind == EMAIL_ADDRESS {
            if attribute.value.tag != Tag::Ia5String {
                return Err(unsupported("an emailAddress in its subject"));
            }
            let mailbox = GeneralName::Email(attribute.value.value);
            constraints.check(Subject::General(mailbox), budget)?;
        }
    }
    if let Some(names) = &certificate.extensions.subject_alternative_names {
        for name in names.iter() {
            match name {
                GeneralName::Directory(name) => {
                    let name = Name::parse(name).map_err(|_| RefusalReason::Malformed {
                        part: "subject alternative names",
                    })?;
                    constraints.check(Subject::Directory(&name), budget)?;
                }
                name => constraints.check(Subject::General(name), budget)?,
            }
        }
    }
    if is_leaf && !has_dns_name(certificate) {
        for name in certificate.subject.texts(COMMON_NAME) {
            let name = name.trim_end_matches('\0');
            if name.contains('\0') {
                return Err(unsupported("a common name with a NUL"));
            }
            if looks_like_host(name.as_bytes()) {
                let host = GeneralName::Dns(name.as_bytes());
                constraints.check(Subject::General(host), budget)?;
            }
        }
    }
    Ok(())
}

/// A name that constraints are applied to.
#[derive(Clone, Copy)]
enum Subject<'n, 'a> {
    Directory(&'n Name<'a>),
    General(GeneralName<'a>),
}

impl NameConstraints<'_> {
    fn check(&self, name: Subject<'_, '_>, budget: &mut Budget) -> Result<(), RefusalReason> {
        // Of the kinds that permitted subtrees name, at least one subtree must match.
        let mut permitted = None;
        for base in subtrees(self.permitted, name, budget)? {
            let base = base?;
            if permitted != Some(true) {
                permitted = Some(name.is_within(base, budget)?);
            }
        }
        if permitted == Some(false) {
            return Err(name.refused());
        }
        for base in subtrees(self.excluded, name, budget)? {
            if name.is_within(base?, budget)? {
                return Err(name.refused());
            }
        }
        Ok(())
    }
}

/// The bases of the subtrees that are of `name`'s kind.
fn subtrees<'a, 'n, 'v>(
    subtrees: &'a [u8],
    name: Subject<'n, 'v>,
    budget: &mut Budget,
) -> Result<
    impl Iterator<Item = Result<GeneralName<'a>, RefusalReason>> + use<'a, 'n, 'v>,
    RefusalReason,
> {
    let malformed = |_| RefusalReason::Malformed {
        part: "name constraints",
    };
    // Each subtree takes at least four bytes.
    budget.compare(1 + subtrees.len() / 4)?;
    let subtrees = Subtrees::new(subtrees).map_err(malformed)?;
    Ok(subtrees.filter_map(move |subtree| match subtree {
        Err(error) => Some(Err(malformed(error))),
        Ok((base, _)) if !name.is_of_kind(base) => None,
        Ok((_, true)) => Some(Err(unsupported("a name with a minimum or maximum depth"))),
        Ok((base, false)) => Some(Ok(base)),
    }))
}

impl Subject<'_, '_> {
    fn is_of_kind(self, base: GeneralName<'_>) -> bool {
        match (self, base) {
            (Subject::General(GeneralName::Other(a)), GeneralName::Other(b)) => a == b,
            (Subject::Directory(_), GeneralName::Directory(_))
            | (Subject::General(GeneralName::Dns(_)), GeneralName::Dns(_))
            | (Subject::General(GeneralName::Email(_)), GeneralName::Email(_))
            | (Subject::General(GeneralName::Uri(_)), GeneralName::Uri(_))
            | (Subject::General(GeneralName::Address(_)), GeneralName::Address(_)) => true,
            _ => false,
        }
    }

    fn is_within(self, base: GeneralName<'_>, budget: &mut Budget) -> Result<bool, RefusalReason> {
        match (self, base) {
            (Subject::Directory(name), GeneralName::Directory(base)) => {
                budget.compare(base.len() / 16)?;
                let base = Name::parse(base).map_err(|_| RefusalReason::Malformed {
                    part: "name constraints",
                })?;
                Ok(name.canonical().starts_with(base.canonical()))
            }
            (Subject::General(GeneralName::Dns(name)), GeneralName::Dns(base)) => {
                Ok(is_below(name, base))
            }
            (Subject::General(GeneralName::Email(name)), GeneralName::Email(base)) => {
                is_mailbox_within(name, base)
            }
            (Subject::General(GeneralName::Uri(name)), GeneralName::Uri(base)) => {
                let host = host_of(name).ok_or_else(|| unsupported("a URI without a host"))?;
                Ok(is_host_or_below(host, base))
            }
            (Subject::General(GeneralName::Address(name)), GeneralName::Address(base)) => {
                is_in_network(name, base)
            }
            _ => Err(unsupported("a name of a rare kind")),
        }
    }

    fn refused(self) -> RefusalReason {
        let text = String::from_utf8_lossy;
        RefusalReason::NameConstraints {
            name: match self {
                Subject::Directory(name) => format!("the subject \"{}\"", name.shown()),
                Subject::General(GeneralName::Dns(name)) => format!("the host {:?}", text(name)),
                Subject::General(GeneralName::Email(name)) => {
                    format!("the mailbox {:?}", text(name))
                }
                Subject::General(GeneralName::Uri(name)) => format!("the URI {:?}", text(name)),
                Subject::General(GeneralName::Address(name)) => format!("the address {name:?}"),
                Subject::General(_) => String::from("a name of a rare kind"),
            },
        }
    }
}

fn unsupported(name: &str) -> RefusalReason {
    RefusalReason::UnsupportedConstraint { name: name.into() }
}

/// "Any DNS name that can be constructed by simply adding zero or more labels to the left-hand side
/// of the name satisfies the name constraint" (RFC 5280 §4.2.1.10).
fn is_below(name: &[u8], base: &[u8]) -> bool {
    if base.is_empty() {
        return true;
    }
    if !ends_with(name, base) {
        return false;
    }
    name.len() == base.len()
        || base.starts_with(b".")
        || name.get(name.len() - base.len() - 1) == Some(&b'.')
}

/// A host, or with a leading dot all hosts of a domain.
fn is_host_or_below(host: &[u8], base: &[u8]) -> bool {
    if base.starts_with(b".") {
        host.len() > base.len() && ends_with(host, base)
    } else {
        host.eq_ignore_ascii_case(base)
    }
}

/// A mailbox, a host, or with a leading dot a domain.
fn is_mailbox_within(mailbox: &[u8], base: &[u8]) -> Result<bool, RefusalReason> {
    let (local, host) =
        split_mailbox(mailbox).ok_or_else(|| unsupported("a mailbox without a host"))?;
    Ok(match split_mailbox(base) {
        Some((base_local, base_host)) => {
            (base_local.is_empty() || base_local == local) && host.eq_ignore_ascii_case(base_host)
        }
        None => is_host_or_below(host, base),
    })
}

/// The host of `scheme://user@host:port/path` (RFC 3986 §3.2).
fn host_of(uri: &[u8]) -> Option<&[u8]> {
    let start = uri.windows(3).position(|window| window == b"://")? + 3;
    let rest = uri.get(start..)?;
    let end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let authority = rest.split(end).next()?;
    let host = authority.rsplit(|byte| *byte == b'@').next()?;
    let host = host.split(|byte| *byte == b':').next()?;
    (!host.is_empty()).then_some(host)
}

/// An address, and a network as address and mask.
fn is_in_network(address: &[u8], base: &[u8]) -> Result<bool, RefusalReason> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return Err(unsupported("an address of an odd length"));
    }
    let (Some((network, mask)), true) = (
        base.split_at_checked(address.len()),
        base.len() == 2 * address.len(),
    ) else {
        return Ok(false);
    };
    let mut bytes = address.iter().zip(network).zip(mask);
    Ok(bytes.all(|((address, network), mask)| (address ^ network) & mask == 0))
}

/// At least two labels of letters, digits, underscores and inner hyphens.
fn looks_like_host(name: &[u8]) -> bool {
    let mut labels = 0;
    let sound = name.split(|byte| *byte == b'.').all(|label| {
        labels += 1;
        !label.is_empty()
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
            && label
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    sound && labels >= 2
}
