//! What becomes of each directive that OpenSSH knows. `docs/SSH_CONFIG.md` is made of it.

use self::Verdict::{Conditional, Honoured, Ignored, Refused};

/// What becomes of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done, in `settings.rs`.
    Honoured,
    /// It is passed over: one command over a connection of its own is the same without it.
    Ignored(&'static str),
    /// It changes what the connection is or does, and this client cannot do it. The values, in
    /// lower case, ask for nothing.
    Refused(&'static [&'static str], &'static str),
    /// It is passed over where the host is reached without it, and named where it is not.
    Conditional(&'static [&'static str], &'static str),
}

const FORWARD: Verdict = Ignored("forwards are never set up");
const SHARING: Verdict = Ignored("each connection has one session");
const TERMINAL: Verdict = Ignored("there is no terminal");
const METHOD: Verdict = Ignored("host-based authentication is not tried");
const GSSAPI: Verdict = Ignored("matters only with GSSAPIAuthentication");
const CANONICAL: Verdict = Ignored("matters only with CanonicalizeHostname");
const OBSOLETE: Verdict = Ignored("OpenSSH reads it and does nothing either");
const OFF: &[&str] = &["no", "false"];
const NONE: &[&str] = &["none"];

/// All directives but `Host`, `Match` and `Include`. One that is not among them is an error, as it
/// is for OpenSSH.
pub(crate) const DIRECTIVES: &[(&str, Verdict)] = &[
    ("AddKeysToAgent", Ignored("the agent is only asked")),
    ("AddressFamily", Honoured),
    ("AfsTokenPassing", OBSOLETE),
    ("BatchMode", Honoured),
    ("BindAddress", Honoured),
    (
        "BindInterface",
        Refused(NONE, "the connection would come from another interface"),
    ),
    ("CanonicalDomains", CANONICAL),
    ("CanonicalizeFallbackLocal", CANONICAL),
    (
        "CanonicalizeHostname",
        Refused(OFF, "it may decide which machine is meant"),
    ),
    ("CanonicalizeMaxDots", CANONICAL),
    ("CanonicalizePermittedCNAMEs", CANONICAL),
    ("CASignatureAlgorithms", Honoured),
    ("CertificateFile", Honoured),
    (
        "ChannelTimeout",
        Ignored("about forwards and idle sessions"),
    ),
    (
        "CheckHostIP",
        Ignored("the key is known by the host's name; addresses would only add warnings"),
    ),
    ("Cipher", OBSOLETE),
    ("Ciphers", Honoured),
    ("ClearAllForwardings", FORWARD),
    ("Compression", Honoured),
    ("CompressionLevel", OBSOLETE),
    ("ConnectionAttempts", Honoured),
    ("ConnectTimeout", Honoured),
    ("ControlMaster", SHARING),
    ("ControlPath", SHARING),
    ("ControlPersist", SHARING),
    ("DynamicForward", FORWARD),
    ("EnableEscapeCommandline", TERMINAL),
    ("EnableSSHKeysign", METHOD),
    ("EscapeChar", TERMINAL),
    ("ExitOnForwardFailure", FORWARD),
    ("FallBackToRsh", OBSOLETE),
    ("FingerprintHash", Ignored("fingerprints are SHA-256")),
    (
        "ForkAfterAuthentication",
        Ignored("the client is no program that could go to the background"),
    ),
    ("ForwardAgent", FORWARD),
    ("ForwardX11", FORWARD),
    ("ForwardX11Timeout", FORWARD),
    ("ForwardX11Trusted", FORWARD),
    ("GatewayPorts", FORWARD),
    ("GlobalKnownHostsFile", Honoured),
    ("GlobalKnownHostsFile2", OBSOLETE),
    (
        "GSSAPIAuthentication",
        Conditional(OFF, "named where no other method gets in"),
    ),
    ("GSSAPIClientIdentity", GSSAPI),
    ("GSSAPIDelegateCredentials", GSSAPI),
    ("GSSAPIKexAlgorithms", GSSAPI),
    ("GSSAPIKeyExchange", GSSAPI),
    ("GSSAPIRenewalForcesRekey", GSSAPI),
    ("GSSAPIServerIdentity", GSSAPI),
    ("GSSAPITrustDns", GSSAPI),
    ("HashKnownHosts", Honoured),
    ("HostbasedAcceptedAlgorithms", METHOD),
    ("HostbasedAuthentication", METHOD),
    ("HostbasedKeyTypes", METHOD),
    ("HostKeyAlgorithms", Honoured),
    ("HostKeyAlias", Honoured),
    ("HostName", Honoured),
    ("IdentitiesOnly", Honoured),
    ("IdentityAgent", Honoured),
    ("IdentityFile", Honoured),
    ("IgnoreUnknown", Honoured),
    ("IPQoS", Ignored("about priorities in the network")),
    ("KbdInteractiveAuthentication", Honoured),
    ("KbdInteractiveDevices", Honoured),
    ("KerberosAuthentication", OBSOLETE),
    ("KerberosTgtPassing", OBSOLETE),
    ("KexAlgorithms", Honoured),
    (
        "KnownHostsCommand",
        Conditional(NONE, "named where the files do not have the host's key"),
    ),
    (
        "LocalCommand",
        Ignored("matters only with PermitLocalCommand"),
    ),
    ("LocalForward", FORWARD),
    ("LogLevel", TERMINAL),
    ("LogVerbose", TERMINAL),
    ("MACs", Honoured),
    ("NoHostAuthenticationForLocalhost", Honoured),
    ("NumberOfPasswordPrompts", Honoured),
    ("ObscureKeystrokeTiming", TERMINAL),
    ("PasswordAuthentication", Honoured),
    (
        "PermitLocalCommand",
        Refused(OFF, "a command would run here, too"),
    ),
    ("PermitRemoteOpen", FORWARD),
    (
        "PKCS11Provider",
        Conditional(NONE, "named where no other key or method gets in"),
    ),
    ("Port", Honoured),
    ("PreferredAuthentications", Honoured),
    ("Protocol", OBSOLETE),
    ("ProxyCommand", Honoured),
    ("ProxyJump", Honoured),
    (
        "ProxyUseFdpass",
        Refused(OFF, "the ProxyCommand would hand over a descriptor"),
    ),
    ("PubkeyAcceptedAlgorithms", Honoured),
    ("PubkeyAuthentication", Honoured),
    (
        "RefuseConnection",
        Refused(&[], "the host is not to be connected to"),
    ),
    ("RekeyLimit", Honoured),
    (
        "RemoteCommand",
        Refused(NONE, "the host is to run another command"),
    ),
    ("RemoteForward", FORWARD),
    ("RequestTTY", TERMINAL),
    ("RequiredRSASize", Honoured),
    (
        "RevokedHostKeys",
        Refused(NONE, "a revoked key would be trusted"),
    ),
    ("RhostsAuthentication", OBSOLETE),
    ("RhostsRSAAuthentication", OBSOLETE),
    ("RSAAuthentication", OBSOLETE),
    (
        "SecurityKeyProvider",
        Ignored("keys on devices are used through the agent"),
    ),
    ("SendEnv", Honoured),
    ("ServerAliveCountMax", Honoured),
    ("ServerAliveInterval", Honoured),
    (
        "SessionType",
        Refused(&["default"], "the host is to run no command"),
    ),
    ("SetEnv", Honoured),
    ("SmartcardDevice", OBSOLETE),
    (
        "StdinNull",
        Ignored("the command's input is Offshoot's own"),
    ),
    ("StreamLocalBindMask", FORWARD),
    ("StreamLocalBindUnlink", FORWARD),
    ("StrictHostKeyChecking", Honoured),
    ("SyslogFacility", TERMINAL),
    (
        "Tag",
        Ignored("matters only with `Match tagged`, which is refused"),
    ),
    ("TCPKeepAlive", Ignored("ServerAliveInterval does it")),
    ("Tunnel", FORWARD),
    ("TunnelDevice", FORWARD),
    (
        "UpdateHostKeys",
        Ignored("only the key that was shown is learnt"),
    ),
    ("UsePrivilegedPort", OBSOLETE),
    ("User", Honoured),
    ("UserKnownHostsFile", Honoured),
    ("UserKnownHostsFile2", OBSOLETE),
    ("UseRoaming", OBSOLETE),
    ("UseRsh", OBSOLETE),
    (
        "VerifyHostKeyDNS",
        Ignored("a key is trusted by the files alone, which is stricter"),
    ),
    ("VersionAddendum", Ignored("about what servers log")),
    ("VisualHostKey", TERMINAL),
    ("WarnWeakCrypto", TERMINAL),
    ("XAuthLocation", FORWARD),
];

/// Other names of the same directives.
const ALIASES: &[(&str, &str)] = &[
    (
        "challengeresponseauthentication",
        "kbdinteractiveauthentication",
    ),
    ("dsaauthentication", "pubkeyauthentication"),
    ("hostkeyalgorithm", "hostkeyalgorithms"),
    ("identityfile2", "identityfile"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("tisauthentication", "kbdinteractiveauthentication"),
];

/// The name, in lower case, under which a keyword in lower case is known.
pub(crate) fn canonical(keyword: &str) -> &str {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == keyword);
    alias.map_or(keyword, |(_, name)| name)
}

/// What becomes of a directive; nothing if OpenSSH does not know it.
pub(crate) fn verdict(keyword: &str) -> Option<Verdict> {
    let known = DIRECTIVES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(keyword));
    known.map(|(_, verdict)| *verdict)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::super::settings::{Line, Settings};
    use super::super::{LineProblem, SourceLocation};
    use super::*;

    #[test]
    fn b001_each_directive_stands_once_and_in_order() {
        let names = DIRECTIVES.iter().map(|(name, _)| name.to_ascii_lowercase());
        assert!(names.is_sorted_by(|a, b| a < b));
        for (alias, name) in ALIASES {
            assert_eq!(verdict(alias), None, "{alias}");
            assert_eq!(verdict(name), Some(Honoured), "{name}");
        }
    }

    #[test]
    fn m20_exactly_the_directives_that_are_called_honoured_are_read() {
        for (name, verdict) in DIRECTIVES {
            let location = SourceLocation {
                file: "config".into(),
                line: 1,
            };
            let line = Line {
                keyword: &name.to_ascii_lowercase(),
                words: vec!["yes".to_owned()],
                rest: "yes",
                location: &location,
                active: true,
            };
            let mut settings = Settings::default();
            let applied = settings.apply(&line);
            assert!(!matches!(applied, Err(LineProblem::Unknown(_))), "{name}");
            let (refused, deferred) = (settings.unsupported.is_some(), settings.deferred.len());
            assert_eq!(refused, matches!(verdict, Refused(..)), "{name}");
            assert_eq!(
                deferred,
                usize::from(matches!(verdict, Conditional(..))),
                "{name}"
            );
        }
    }

    /// `docs/SSH_CONFIG.md`.
    fn page() -> String {
        let mut page = "# Directives of ssh_config\n\n\
            What the ssh client inside Offshoot makes of each directive that OpenSSH knows, besides `Host`,\n\
            `Match` and `Include`, which are read as OpenSSH reads them. A host with a directive that is refused\n\
            is not connected to, and the error names the line; `ssh_path`, or `--ssh-path ssh`, uses the system's\n\
            client instead. This page is made of `host/ssh/src/config/directives.rs`, by its test with\n\
            `OFFSHOOT_RENEW=1`.\n\n\
            | directive | is | |\n|---|---|---|\n"
            .to_owned();
        for (name, verdict) in DIRECTIVES {
            let values = |idle: &[&str]| match idle {
                [] => String::new(),
                idle => format!(", but for `{}`", idle.join("` and `")),
            };
            let (word, text) = match verdict {
                Honoured => ("honoured", String::new()),
                Ignored(why) => ("ignored", (*why).to_owned()),
                Refused(idle, why) => ("refused", format!("{why}{}", values(idle))),
                Conditional(idle, why) => ("ignored", format!("{why}{}", values(idle))),
            };
            let _ = writeln!(page, "| `{name}` | {word} | {text} |");
        }
        page
    }

    #[test]
    fn m20_the_page_of_directives_says_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/SSH_CONFIG.md");
        if std::env::var_os("OFFSHOOT_RENEW").is_some() {
            std::fs::write(&path, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), page());
    }
}
