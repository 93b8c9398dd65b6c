//! What a password leaves in the buffers of the library, and what covers it.
//!
//! russh wipes the password that it is given, but neither the answers to questions nor the buffer
//! in which it puts messages together: that is emptied, keeps its bytes, and is let go of later.
//! It is filled from its start, so a message as long as the one with the password goes over it.
//! Two kinds of messages can be of any length and do no harm: a variable that no server asks for,
//! and the words of a farewell.

use std::time::Duration;

use russh::Disconnect;
use russh::client::Handle;

use super::handler::ClientHandler;
use crate::secret::Secret;

/// The name of the variable. Servers ignore those that they were not told to take.
const NAME: &str = "OFFSHOOT";

/// How long a server that we give up on may take to hang up.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// More than allocators keep for themselves: the memory of a text with so much room goes back to
/// the system as soon as the text is let go of, and what was in it is gone. Only what is written to
/// is ever there.
const ROOM: usize = 48 << 20;

/// A length in the protocol, before a text.
const LENGTH: usize = 4;

/// Bytes of a message before its contents: its length in the buffer, and its kind.
const HEAD: usize = LENGTH + 1;

/// The longest message with a password in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PasswordScrubber {
    longest: usize,
}

impl PasswordScrubber {
    /// A password is about to be sent by itself (RFC 4252, section 8).
    pub(crate) fn add_password(&mut self, user: &str, password: &Secret) {
        let method = ["ssh-connection", "password"].map(|text| LENGTH + text.len());
        let change = 1;
        let password = LENGTH + password.expose().len();
        let user = LENGTH + user.len();
        self.add(HEAD + user + method.iter().sum::<usize>() + change + password);
    }

    /// It is about to be sent as the one answer to questions (RFC 4256, section 3.4).
    pub(crate) fn add_answer(&mut self, password: &Secret) {
        let count = 4;
        self.add(HEAD + count + LENGTH + password.expose().len());
    }

    fn add(&mut self, length: usize) {
        self.longest = self.longest.max(length);
    }

    /// The variable whose message goes over all of them (RFC 4254, section 6.4).
    pub(crate) fn variable(self) -> Option<(&'static str, String)> {
        let (channel, wants_reply) = (4, 1);
        let kind = LENGTH + "env".len();
        let overhead = HEAD + channel + kind + wants_reply + LENGTH + NAME.len() + LENGTH;
        (self.longest > 0).then(|| (NAME, filler(self.longest, overhead)))
    }

    /// Says goodbye to a server that did not let us in, with words that go over all of them
    /// (RFC 4253, section 11.1).
    pub(crate) async fn disconnect(self, handle: &mut Handle<ClientHandler>) {
        if self.longest == 0 {
            return;
        }
        let overhead = HEAD + 4 + LENGTH + LENGTH;
        let text = filler(self.longest, overhead);
        let sent = handle.disconnect(Disconnect::AuthCancelledByUser, &text, "");
        if sent.await.is_ok() {
            let _ = tokio::time::timeout(DISCONNECT_TIMEOUT, handle).await;
        }
    }
}

/// Dots that make a message of some length, if `around` of it is not dots.
fn filler(length: usize, overhead: usize) -> String {
    ".".repeat(length.saturating_sub(overhead))
}

/// A copy that leaves nothing behind when the library lets go of it.
pub(crate) fn transient(secret: &Secret) -> String {
    let text = secret.expose();
    let mut copy = String::new();
    // Where so much room cannot even be reserved, the copy is an ordinary one.
    let _ = copy.try_reserve_exact(ROOM.max(text.len()));
    copy.push_str(text);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(length: usize) -> Secret {
        Secret::new("s".repeat(length))
    }

    /// Bytes of the variable's message in the buffer.
    fn variable(scrubber: PasswordScrubber) -> usize {
        let (name, value) = scrubber.variable().unwrap();
        // uint32 length, byte kind, uint32 channel, string "env", boolean, two strings.
        4 + 1 + 4 + (4 + 3) + 1 + (4 + name.len()) + (4 + value.len())
    }

    #[test]
    fn t14_the_cover_is_as_long_as_the_longest_message_with_a_password() {
        let mut scrubber = PasswordScrubber::default();
        assert_eq!(scrubber.variable(), None);
        scrubber.add_answer(&secret(40));
        // uint32 length, byte kind, uint32 count, string.
        assert_eq!(variable(scrubber), 4 + 1 + 4 + (4 + 40));
        scrubber.add_password("bob", &secret(15));
        // uint32 length, byte kind, three strings, boolean, string.
        assert_eq!(variable(scrubber), 4 + 1 + (4 + 3) + 18 + 12 + 1 + (4 + 15));
        scrubber.add_answer(&secret(15));
        assert_eq!(variable(scrubber), 62);
    }

    #[test]
    fn t14_a_fleeting_copy_is_the_text() {
        assert_eq!(transient(&secret(7)), "sssssss");
        assert!(transient(&secret(7)).capacity() >= ROOM);
    }
}
