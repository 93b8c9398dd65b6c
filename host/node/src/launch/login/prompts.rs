//! Decides about prompts: whether the tool asks, whether it is the tool that asks, and what is
//! answered. Nothing here does I/O.
//!
//! Prompts come from a tool's terminal, its error stream or a helper. Each is answered once at most,
//! and only until the far end has answered.

use std::time::Duration;

use offshoot_proto::control::Password;
use offshoot_proto::login::{
    self, AccessError, Asked, LoginError, PasswordError, Prompt, ToolOutput, classify,
};
use tokio::time::Instant;

use super::asker::Asker;
use super::askpass::Askpass;
use super::state::End;

/// How long a line that looks like a prompt may stand before it is taken for one.
const PAUSE: Duration = Duration::from_secs(1);

/// How a tool asks for a password.
pub(in crate::launch) enum Prompts {
    /// Through a helper.
    Helper(Askpass),
    /// In its output.
    Printed(PrintedPrompt),
}

/// A prompt that has to be recognised in what the tool prints.
pub(in crate::launch) struct PrintedPrompt {
    prompt: Prompt,
    password: Option<Password>,
    /// Whether it is shown and answered on the terminal; else it is shown on the error stream, and
    /// answered on the standard input.
    pub(super) on_terminal: bool,
    /// Since when something is asked that cannot be answered yet.
    since: Option<Instant>,
}

/// What decides about a prompt, beside its text.
pub(super) trait Environment {
    /// Which process asks.
    fn asker(&self) -> Asker;
    /// Whether what is typed is not shown.
    fn hides_input(&self) -> bool;
    /// Whether this process is root, whom no tool asks for a password.
    fn is_root(&self) -> bool;
}

impl Prompts {
    pub(in crate::launch) fn on_terminal(prompt: Prompt, password: Option<Password>) -> Self {
        Self::Printed(PrintedPrompt {
            prompt,
            password,
            on_terminal: true,
            since: None,
        })
    }

    pub(in crate::launch) fn on_error_stream(prompt: Prompt, password: Option<Password>) -> Self {
        Self::Printed(PrintedPrompt {
            prompt,
            password,
            on_terminal: false,
            since: None,
        })
    }

    /// Whether a prompt was answered.
    pub(super) fn is_answered(&self) -> bool {
        match self {
            Self::Helper(askpass) => askpass.has_answered(),
            Self::Printed(printed) => printed.prompt.is_answered(),
        }
    }

    /// Whether a prompt stands that time may decide about.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self, Self::Printed(printed) if printed.since.is_some())
    }

    /// What was printed on the terminal, if prompts are shown there.
    pub(super) fn printed_on_terminal(&self) -> String {
        match self {
            Self::Printed(printed) if printed.on_terminal => printed.prompt.printed(),
            _ => String::new(),
        }
    }

    /// Takes in what was printed on the terminal or the error stream.
    pub(super) fn on_bytes(&mut self, on_terminal: bool, bytes: &[u8]) {
        if let Self::Printed(printed) = self
            && printed.on_terminal == on_terminal
        {
            printed.prompt.handle_bytes(bytes);
        }
    }
}

impl PrintedPrompt {
    /// Decides about what the tool shows: gives the password if it is to be typed now.
    ///
    /// `errors` is what the tool printed on its error stream.
    pub(super) fn answer(
        &mut self,
        tool: login::Tool,
        errors: &str,
        around: &impl Environment,
        now: Instant,
    ) -> Result<Option<Password>, End> {
        let asked = self.prompt.asked();
        if asked == Asked::Nothing {
            self.since = None;
            return Ok(None);
        }
        let since = *self.since.get_or_insert(now);
        let stands = now.duration_since(since) >= PAUSE;
        match asked {
            Asked::Password => self.answer_password(tool, errors, around, stands),
            Asked::Again => {
                let said = self.output(tool, errors);
                let expired = new_password_wanted(tool, &said);
                Err(End::Login(
                    expired.unwrap_or_else(|| PasswordError::Incorrect(said).into()),
                ))
            }
            Asked::Perhaps(prompt) if stands => {
                let expired = new_password_wanted(tool, &self.output(tool, errors));
                let said = ToolOutput::new(tool.name(), errors);
                Err(End::Login(expired.unwrap_or_else(|| {
                    PasswordError::UnknownPrompt { prompt, said }.into()
                })))
            }
            Asked::Perhaps(_) | Asked::Nothing => Ok(None),
        }
    }

    fn answer_password(
        &mut self,
        tool: login::Tool,
        errors: &str,
        around: &impl Environment,
        stands: bool,
    ) -> Result<Option<Password>, End> {
        let name = tool.name();
        let withheld = |reason| {
            let said = self.output(tool, errors);
            Err(End::Login(PasswordError::Withheld { reason, said }.into()))
        };
        match (around.asker(), &self.password) {
            // A line of the other user's start files may look like this for a moment.
            (Asker::Other(_), _) if !stands => return Ok(None),
            (Asker::Other(why), _) => {
                return withheld(format!("the prompt is not from {name} itself, which {why}"));
            }
            (_, None) if around.is_root() => {
                return withheld(format!(
                    "root is asked for none; have {name} let root in without one"
                ));
            }
            (_, None) => {
                let said = self.output(tool, errors);
                return Err(End::Login(PasswordError::Required(said).into()));
            }
            // Nothing but sudo knows its own prompt.
            (Asker::Hidden, _) if !self.prompt.is_own() => {
                return withheld(format!(
                    "/proc hides the process of {name}, so that nobody can tell whether it is the \
                     one that asks; mount it without `hidepid`, or with a `gid` of this user's"
                ));
            }
            (Asker::Tool | Asker::Hidden, Some(_)) => {}
        }
        let password = self.password.take_if(|_| around.hides_input());
        if password.is_some() {
            self.prompt.answer();
            self.since = None;
        }
        Ok(password)
    }

    /// What the tool printed where the user would have seen it.
    fn output(&self, tool: login::Tool, errors: &str) -> ToolOutput {
        match self.on_terminal {
            true => ToolOutput::new(tool.name(), &format!("{errors}{}", self.prompt.printed())),
            false => ToolOutput::new(tool.name(), errors),
        }
    }
}

/// The error of a tool that asks because the password has expired.
fn new_password_wanted(tool: login::Tool, said: &ToolOutput) -> Option<LoginError> {
    let error = classify(tool, &said.words)?;
    matches!(error, LoginError::Access(AccessError::AccountExpired(_))).then_some(error)
}
