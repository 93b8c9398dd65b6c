//! Which questions of a server the password answers.
//!
//! The text is the server's and may be in any language, so one hidden question is taken for the
//! password's unless it names something else.

/// Whether a question names a password.
pub(crate) fn names_password(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    [
        "password",
        "passwort",
        "mot de passe",
        "contraseña",
        "senha",
        "пароль",
    ]
    .iter()
    .any(|word| prompt.contains(word))
}

/// Whether it wants what no password is, whatever else it says.
pub(crate) fn names_other_secret(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    let mut words = prompt.split(|c: char| !c.is_alphanumeric());
    let other = [
        "code",
        "otp",
        "token",
        "verification",
        "passcode",
        "pin",
        "touch",
        "yubikey",
        "duo",
        "presence",
        "challenge",
        "new",
        "retype",
        "current",
        "one-time",
        "totp",
        "2fa",
        "mfa",
    ];
    words.any(|word| other.contains(&word)) || prompt.contains("one-time")
}

/// Whether a server's last words are about an account that nobody may use.
pub(crate) fn names_closed_account(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "account has expired",
        "account is expired",
        "account expired",
        "account is locked",
        "account has been locked",
        "password has expired",
        "password is expired",
        "password expired",
    ]
    .iter()
    .any(|known| text.contains(known))
}

#[cfg(test)]
mod tests {
    use super::{names_closed_account, names_other_secret, names_password};

    #[test]
    fn f46_a_closed_account_is_known_by_what_pam_says_of_it() {
        let said = "Your account has expired; please contact your system administrator.";
        assert!(names_closed_account(said));
        assert!(!names_closed_account("Use of this account is monitored."));
    }

    #[test]
    fn s096_only_a_question_for_a_password_gets_one() {
        for prompt in [
            "Password: ",
            "(u@h) Password:",
            "Passwort: ",
            "LDAP Password:",
            "암호: ",
        ] {
            assert!(!names_other_secret(prompt), "{prompt}");
        }
        for prompt in [
            "Verification code: ",
            "One-time password (OATH) for `u': ",
            "PIN:",
            "Enter passcode or select one of the following options:",
            "New password: ",
            "Current password: ",
            "Please touch the device.",
        ] {
            assert!(names_other_secret(prompt), "{prompt}");
        }
        assert!(names_password("root's PASSWORD:"));
        assert!(!names_password("Name:"));
    }
}
