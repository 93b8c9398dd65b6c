//! Knows when a password is asked for, in what a tool prints on its terminal or error stream.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use super::words::Tool;
use crate::bootstrap::excerpt;

/// Bytes of what was printed that are kept: a lecture, and a prompt.
const SEEN_MAX: usize = 16 * 1024;

/// Bytes behind sudo's own prompt at most: `sudo-rs` puts `] Password: ` there.
const BEHIND_OWN_MAX: usize = 64;

/// What a tool wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing, yet.
    Nothing,
    /// The password, for the first time.
    Password,
    /// The password, although it has it already: it was wrong.
    Again,
    /// Something, it seems, that is not the password. Only a pause can tell.
    Perhaps(String),
}

/// Watches what a tool prints until it has let one in.
///
/// The far end's own words are not shown to it: what is printed once the command runs cannot ask
/// for anything any more.
#[derive(Debug)]
pub struct Prompt {
    tool: Tool,
    /// What `sudo` was told to ask with.
    own: Option<String>,
    answered: bool,
    seen: Vec<u8>,
    /// Where the next question starts.
    from: usize,
}

impl Prompt {
    /// Waits for the prompt of `tool`; `own` is the text that it was told to ask with.
    pub fn new(tool: Tool, own: Option<String>) -> Self {
        Self {
            tool,
            own,
            answered: false,
            seen: Vec::new(),
            from: 0,
        }
    }

    /// Takes in what was printed.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.seen.extend_from_slice(bytes);
        if let Some(more) = self.seen.len().checked_sub(SEEN_MAX) {
            self.seen.drain(..more);
            self.from = self.from.saturating_sub(more);
        }
    }

    /// What the tool wants now.
    pub fn asked(&self) -> Asked {
        let line = self.line();
        if self.is_own_in(&line) || self.tool.asks_for_password(&line) {
            return match self.answered {
                false => Asked::Password,
                true => Asked::Again,
            };
        }
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '*');
        match line.ends_with([':', '?', '>']) {
            true => Asked::Perhaps(excerpt(line.as_bytes())),
            false => Asked::Nothing,
        }
    }

    /// Whether the question is in the text that the tool was told to ask with, which nothing else
    /// knows.
    pub fn is_own(&self) -> bool {
        self.is_own_in(&self.line())
    }

    /// Notes that the password was sent.
    pub fn answer(&mut self) {
        self.answered = true;
        self.from = self.seen.len();
    }

    /// Whether the password was sent.
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// What was printed, without our own prompt.
    pub fn printed(&self) -> String {
        let text = String::from_utf8_lossy(&self.seen).into_owned();
        match &self.own {
            Some(own) => text.replace(own.as_str(), ""),
            None => text,
        }
    }

    /// The line that is not finished yet.
    fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.seen[self.from..]);
        let line = text.rsplit(['\n', '\r']).next();
        line.unwrap_or_default().to_owned()
    }

    fn is_own_in(&self, line: &str) -> bool {
        let behind = self.own.as_ref().and_then(|own| line.rsplit_once(own));
        behind.is_some_and(|(_, behind)| behind.len() <= BEHIND_OWN_MAX && is_behind_own(behind))
    }
}

impl Tool {
    /// Whether a line asks for a password, in the words of the tool or of the modules that it asks
    /// through. Everybody can write such a line.
    fn asks_for_password(self, line: &str) -> bool {
        let line = line.trim_end();
        let line = line.strip_suffix(':').map(str::to_lowercase);
        line.is_some_and(|line| match self {
            Self::Doas => line.starts_with("doas (") && line.ends_with("password"),
            // The second is Kerberos.
            _ => line.ends_with("password") || line.starts_with("password for "),
        })
    }
}

/// Whether that stands behind sudo's own prompt: nothing, or what `sudo-rs` puts there.
fn is_behind_own(behind: &str) -> bool {
    let behind = behind.trim();
    behind.is_empty() || behind.starts_with(']') && behind.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "offshoot-0123456789abcdef:";

    fn sudo() -> Prompt {
        Prompt::new(Tool::Sudo, Some(OWN.to_owned()))
    }

    /// What is asked after each byte, without repetition.
    fn play(prompt: &mut Prompt, printed: &str) -> Vec<Asked> {
        let mut asked: Vec<Asked> = Vec::new();
        for byte in printed.bytes() {
            prompt.handle_bytes(&[byte]);
            let now = prompt.asked();
            if asked.last() != Some(&now) {
                asked.push(now);
            }
        }
        asked
    }

    #[test]
    fn f48_sudos_own_prompt_is_found_in_both_makes() {
        for printed in [
            OWN.to_owned(),
            alloc::format!("Lecture:\r\n  #1) Respect\r\n\r\n{OWN}"),
            alloc::format!("[sudo: {OWN}] Password: "),
            alloc::format!("[sudo: {OWN}] Passwort: "),
        ] {
            let mut prompt = sudo();
            prompt.handle_bytes(printed.as_bytes());
            assert_eq!(prompt.asked(), Asked::Password, "{printed}");
            prompt.answer();
            assert_eq!(prompt.asked(), Asked::Nothing);
            assert_eq!(
                play(&mut prompt, "********\r\n").last(),
                Some(&Asked::Nothing)
            );
            let again = alloc::format!("Sorry, try again.\r\n{printed}");
            assert_eq!(play(&mut prompt, &again).last(), Some(&Asked::Again));
        }
    }

    #[test]
    fn t13_only_sudos_own_prompt_is_its_own() {
        for printed in [
            "[sudo] password for bob: ",
            "Password:",
            "offshoot-0123456789abcdee:",
            "offshoot-0123456789abcdef: and so on",
            "offshoot-0123456789abcdef:\nmore:",
        ] {
            let mut prompt = sudo();
            prompt.handle_bytes(printed.as_bytes());
            assert!(!prompt.is_own(), "{printed}");
        }
        let mut prompt = sudo();
        prompt.handle_bytes(OWN.as_bytes());
        assert!(prompt.is_own());
    }

    #[test]
    fn modules_ask_in_their_own_words() {
        for (printed, is_password) in [
            ("LDAP Password: ", true),
            ("Password for bob@EXAMPLE.COM: ", true),
            ("Verification code: ", false),
            ("New password for bob", false),
        ] {
            let mut prompt = sudo();
            prompt.handle_bytes(printed.as_bytes());
            assert_eq!(prompt.asked() == Asked::Password, is_password, "{printed}");
            assert!(!prompt.is_own());
        }
    }

    #[test]
    fn b004_prompts_without_a_nonce_stand_at_the_end_of_a_line() {
        let ends = |tool, printed: &str| {
            let mut prompt = Prompt::new(tool, None);
            prompt.handle_bytes(printed.as_bytes());
            prompt.asked()
        };
        assert_eq!(ends(Tool::Su, "Password: "), Asked::Password);
        assert_eq!(ends(Tool::Su, "Last login:\nPassword:"), Asked::Password);
        assert_eq!(
            ends(Tool::Doas, "\rdoas (bob@bed) password: "),
            Asked::Password
        );
        assert_eq!(
            ends(Tool::Doas, "doas (bob@bed) password: "),
            Asked::Password
        );
        assert_eq!(ends(Tool::Su, "Password: \n"), Asked::Nothing);
        assert_eq!(ends(Tool::Su, "no password here"), Asked::Nothing);
        assert_eq!(
            ends(Tool::Su, "Verification code: "),
            Asked::Perhaps("Verification code:".to_owned())
        );
    }

    #[test]
    fn no_amount_of_text_fills_the_memory() {
        let mut prompt = sudo();
        for _ in 0..100 {
            prompt.handle_bytes(&[b'x'; 4096]);
        }
        prompt.answer();
        prompt.handle_bytes(&[b'x'; SEEN_MAX * 2]);
        assert_eq!(prompt.seen.len(), SEEN_MAX);
        assert_eq!(prompt.asked(), Asked::Nothing);
        prompt.handle_bytes(alloc::format!("\n{OWN}").as_bytes());
        assert_eq!(prompt.asked(), Asked::Again);
    }
}
