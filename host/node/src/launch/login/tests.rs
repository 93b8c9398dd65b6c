//! The transitions of a login, without any I/O.

use std::sync::Arc;

use offshoot_proto::bootstrap::Stage0;
use offshoot_proto::control::{ConnectEvent, ConnectStage, Hello};
use offshoot_proto::handshake::{first_frame, greeting};
use offshoot_proto::limits::NOISE_MAX;
use offshoot_proto::login::{self, LoginError, PasswordError, Prompt};

use super::super::payload::Payload;
use super::super::platform::Kind;
use super::super::remote_command::What;
use super::*;
use crate::BUILD_ID;

const NONCE: &str = "0123456789abcdef0123456789abcdef";
const CHILD: &[u8] = &[7; 1000];

fn stage0() -> RemoteCommand {
    let payload = Arc::new(Payload::packed(Kind::OWN, 5000, [1; 32], CHILD));
    let stage0 = Stage0::new(NONCE, "offshoot", vec![payload.platform(true)]).unwrap();
    RemoteCommand {
        nonce: NONCE.to_owned(),
        what: What::Stage0(Box::new(stage0), vec![payload]),
    }
}

fn sudo() -> State {
    State::ExpectPrompt(ExpectPrompt {
        prompts: Box::new(Prompts::on_terminal(
            Prompt::new(login::Tool::Sudo, Some("own:".to_owned())),
            Some("secret".to_owned().into()),
        )),
        far_end: FarEnd::new(stage0()),
    })
}

fn hello() -> Vec<u8> {
    let mut bytes = greeting(NONCE, BUILD_ID).into_bytes();
    bytes.extend(first_frame(&Hello {
        target: "x".to_owned(),
        pid: 7,
    }));
    bytes
}

/// Plays output in pieces of `size` bytes, and sends `at_once` bytes of what is to be sent between
/// two of them. Gives the events, the stages and the last state.
fn play(
    mut state: State,
    output: &[u8],
    size: usize,
    at_once: usize,
) -> Result<(Vec<ConnectEvent>, Vec<ConnectStage>, State), End> {
    let (mut effects, mut stages) = (Vec::new(), vec![state.stage()]);
    for piece in output.chunks(size) {
        state = state.on_stdout(piece, &mut effects)?;
        stages.push(state.stage());
        while let Some(unsent) = state.unsent() {
            let count = unsent.len().min(at_once);
            state = state.on_sent(Ok(count), &mut effects);
            stages.push(state.stage());
        }
    }
    let events = effects.into_iter().filter_map(|effect| match effect {
        Effect::Report(event) => Some(event),
        _ => None,
    });
    stages.dedup();
    Ok((events.collect(), stages, state))
}

#[test]
fn a_child_that_is_there_is_started_at_once_wherever_the_output_is_cut() {
    let output = [b"Last login: today\n", &*hello()].concat();
    for size in [1, 2, 7, output.len()] {
        let (events, stages, state) = play(sudo(), &output, size, 1).unwrap();
        use ConnectEvent::{Authenticated, Probing, Started};
        assert_eq!(
            events,
            [Authenticated, Probing, Started],
            "pieces of {size}"
        );
        assert_eq!(stages, [ConnectStage::Connect, ConnectStage::Hello]);
        assert!(matches!(state, State::Greeted(_)));
    }
}

#[test]
fn an_upload_is_reported_from_its_first_byte_to_its_last() {
    let output = [
        format!("{NONCE}:no:home:\n{NONCE}:need:0:gzip:/var/tmp\n").as_bytes(),
        &*hello(),
    ]
    .concat();
    for size in [1, 7] {
        let (events, stages, state) = play(sudo(), &output, size, 100).unwrap();
        let sent: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                ConnectEvent::Uploading {
                    directory,
                    sent,
                    total: 1000,
                } if directory == "/var/tmp" => Some(*sent),
                _ => None,
            })
            .collect();
        assert_eq!(sent, (0..=10).map(|step| step * 100).collect::<Vec<_>>());
        assert_eq!(events[1], ConnectEvent::Probing);
        assert_eq!(events.last(), Some(&ConnectEvent::Started));
        use ConnectStage::{Connect, Look, Upload};
        assert_eq!(stages, [Connect, Look, Upload, ConnectStage::Hello]);
        assert!(matches!(state, State::Greeted(_)));
    }
}

#[test]
fn a_long_upload_is_not_reported_for_each_write() {
    let output = format!("{NONCE}:need:0:gzip:/tmp\n");
    let (events, _, state) = play(sudo(), output.as_bytes(), 100, 1).unwrap();
    assert!(events.len() < 25, "{events:?}");
    assert!(state.unsent().is_none());
}

#[test]
fn a_far_end_that_has_answered_is_asked_for_nothing_more() {
    let state = sudo();
    assert!(state.prompts().is_some());
    let output = format!("{NONCE}:no:home:\n");
    let (_, _, state) = play(state, output.as_bytes(), 100, 1).unwrap();
    assert!(state.prompts().is_none());
}

#[test]
fn noise_authenticates_nobody() {
    let (events, stages, state) = play(sudo(), b"welcome\npassword:", 3, 1).unwrap();
    assert_eq!((events, stages), (vec![], vec![ConnectStage::Connect]));
    assert!(state.prompts().is_some());
    let noise = vec![b'x'; NOISE_MAX + 1];
    assert!(matches!(
        play(sudo(), &noise, 4096, 1),
        Err(End::Bootstrap(_))
    ));
}

#[test]
fn a_command_without_stage_0_goes_from_its_first_state_to_the_hello() {
    let command = || RemoteCommand {
        nonce: NONCE.to_owned(),
        what: What::Child {
            path: "/opt/child".to_owned(),
            name: "name".to_owned(),
        },
    };
    let state = State::ExpectCommand(FarEnd::new(command()));
    let (events, stages, _) = play(state, &hello(), 5, 1).unwrap();
    assert_eq!(events, [ConnectEvent::Started]);
    assert_eq!(stages, [ConnectStage::Command, ConnectStage::Hello]);
}

struct Fake {
    asker: fn() -> Asker,
    hides_input: bool,
}

impl Environment for Fake {
    fn asker(&self) -> Asker {
        (self.asker)()
    }

    fn hides_input(&self) -> bool {
        self.hides_input
    }

    fn is_root(&self) -> bool {
        false
    }
}

/// What is typed when sudo asks with `text`, now and after it has stood for long.
fn typed(text: &str, around: &Fake) -> [Result<bool, End>; 2] {
    let mut state = sudo();
    let prompts = state.prompts_mut().unwrap();
    prompts.on_bytes(true, text.as_bytes());
    let Prompts::Printed(printed) = prompts else {
        panic!("sudo prints its prompt");
    };
    let now = Instant::now();
    [now, now + Duration::from_secs(2)].map(|now| {
        let password = printed.answer(login::Tool::Sudo, "", around, now)?;
        Ok(password.is_some())
    })
}

#[tokio::test]
async fn a_password_is_typed_once_and_only_to_the_tool_itself() {
    let tool = || Asker::Tool;
    let other = || Asker::Other("has ended".to_owned());
    let fake = |asker, hides_input| Fake { asker, hides_input };
    let [first, second] = typed("own:", &fake(tool, true));
    assert!(first.unwrap());
    assert!(!second.unwrap(), "the prompt was answered");
    // A tool that shows what is typed does not read a password yet.
    let [first, second] = typed("own:", &fake(tool, false));
    assert!(!first.unwrap() && !second.unwrap());
    // A line of a start file may look like a prompt for a moment.
    let [first, second] = typed("own:", &fake(other, true));
    assert!(!first.unwrap());
    assert!(matches!(
        second,
        Err(End::Login(LoginError::Password(
            PasswordError::Withheld { .. }
        )))
    ));
    let [first, second] = typed("Enter code:", &fake(tool, true));
    assert!(!first.unwrap());
    assert!(matches!(
        second,
        Err(End::Login(LoginError::Password(
            PasswordError::UnknownPrompt { .. }
        )))
    ));
}
