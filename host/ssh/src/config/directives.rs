//! What becomes of each directive that OpenSSH knows.
//!
//! One that is in none of these lists and not read in `settings.rs` is an error, as it is there.

/// They say how a session of the user's is to look, what else to set up beside it, or what this
/// client never does: forward, talk to a terminal, share a connection. A command that runs over a
/// connection of its own is the same without them.
pub(crate) const HARMLESS: &[&str] = &[
    // About other sessions over the same connection: ours has one, and nobody else's.
    "controlmaster",
    "controlpath",
    "controlpersist",
    // Forwards are never set up.
    "clearallforwardings",
    "dynamicforward",
    "exitonforwardfailure",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "localforward",
    "permitremoteopen",
    "remoteforward",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "xauthlocation",
    // There is no terminal.
    "enableescapecommandline",
    "escapechar",
    "fingerprinthash",
    "loglevel",
    "logverbose",
    "obscurekeystroketiming",
    "requesttty",
    "syslogfacility",
    "visualhostkey",
    "warnweakcrypto",
    // Matter only together with others, which are refused.
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "localcommand",
    "tunneldevice",
    "enablesshkeysign",
    "hostbasedacceptedalgorithms",
    "hostbasedkeytypes",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    // Conveniences of what happens after, or beside.
    "addkeystoagent",
    "channeltimeout",
    "ipqos",
    "securitykeyprovider",
    "tag",
    "tcpkeepalive",
    "updatehostkeys",
    "versionaddendum",
    // OpenSSH reads these and does nothing either.
    "afstokenpassing",
    "cipher",
    "compressionlevel",
    "fallbacktorsh",
    "globalknownhostsfile2",
    "kerberosauthentication",
    "kerberostgtpassing",
    "protocol",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "smartcarddevice",
    "useprivilegedport",
    "userknownhostsfile2",
    "useroaming",
    "usersh",
];

/// These change what the connection is or does, and this client cannot do it. Each is followed by
/// the values, in lower case, that ask for nothing.
pub(crate) const REFUSED: &[(&str, &[&str])] = &[
    ("bindinterface", &["none"]),
    ("canonicalizehostname", &["no", "false"]),
    ("checkhostip", &["no", "false"]),
    ("forkafterauthentication", &["no", "false"]),
    ("hostbasedauthentication", &["no", "false"]),
    ("knownhostscommand", &["none"]),
    ("permitlocalcommand", &["no", "false"]),
    ("pkcs11provider", &["none"]),
    ("proxyusefdpass", &["no", "false"]),
    ("refuseconnection", &[]),
    ("remotecommand", &["none"]),
    ("revokedhostkeys", &["none"]),
    ("sessiontype", &["default"]),
    ("stdinnull", &["no", "false"]),
    ("tunnel", &["no", "false"]),
    ("verifyhostkeydns", &["no", "false", "ask"]),
];

/// Other names of the same.
pub(crate) fn canonical(keyword: &str) -> &str {
    match keyword {
        "challengeresponseauthentication" | "skeyauthentication" | "tisauthentication" => {
            "kbdinteractiveauthentication"
        }
        "dsaauthentication" => "pubkeyauthentication",
        "hostkeyalgorithm" => "hostkeyalgorithms",
        "identityfile2" => "identityfile",
        "pubkeyacceptedkeytypes" => "pubkeyacceptedalgorithms",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{HARMLESS, REFUSED};

    #[test]
    fn b001_nothing_is_in_two_lists() {
        let mut all: Vec<&str> = HARMLESS
            .iter()
            .chain(REFUSED.iter().map(|(n, _)| n))
            .copied()
            .collect();
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
    }
}
