//! Spreads over contexts of its own making, to show how a plugin uses the router.
//!
//! ```text
//! offshoot call web1 fanout::fan_out 2 3 --grant router
//! offshoot call web1 fanout::sum 4 1000 --grant router
//! ```
//!
//! [`fan_out()`] is the recursion: a function that makes children, ships itself to them by calling
//! its own handle there, and waits for whichever answers first. [`numbers()`] is a stream, which
//! needs no grant, because it only uses the sender that it was handed. [`sum()`] reads many such
//! streams at once.

use offshoot_guest::{
    Context, Host, ListenOptions, Receiver, Result, ResultExt, Router, RouterError, Select, Sender,
    bail, data, function,
};

/// Contexts that one call may make. Each is a process: a slip of the finger should not fill a
/// machine with them.
const CONTEXTS_MAX: u64 = 1024;

/// One context of the tree.
#[data]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Ids from its parent to the controller.
    pub parent_ids: Vec<u32>,
}

impl Member {
    fn of(host: &Host) -> Self {
        Self {
            id: host.context_id(),
            name: host.name().to_owned(),
            parent_ids: host.parent_ids().to_vec(),
        }
    }
}

/// Makes a tree of contexts below this one, `depth` levels deep, in which each has `width`
/// children; says who was in it, this one first, and ends those that it made.
#[function]
pub fn fan_out(router: &Router, depth: u32, width: u32) -> Result<Vec<Member>> {
    let contexts = below(depth, width);
    if contexts.is_none_or(|contexts| contexts > CONTEXTS_MAX) {
        bail!("a tree of depth {depth} and width {width} has more than {CONTEXTS_MAX} contexts");
    }
    let mut members = vec![Member::of(router.host())];
    if depth == 0 {
        return Ok(members);
    }
    let children = start(router, width)?;
    let answers = Select::new();
    for child in &children {
        answers.add(child.call_async::<fan_out>((depth - 1, width))?)?;
    }
    for answer in &answers {
        members.extend(answer?.value?);
    }
    end(&children)?;
    Ok(members)
}

/// Sends the numbers from 0 up to but without `count`, and how many that were. It stops when
/// nobody listens any more, and goes only as fast as they are read.
#[function]
pub fn numbers(out: Sender<u64>, count: u64) -> Result<u64> {
    for number in 0..count {
        out.put(&number)
            .with_context(|| format!("only {number} of {count} numbers were sent"))?;
    }
    out.close()?;
    Ok(count)
}

/// Lets `parts` children count to `count` each, all at once, and adds up what they send.
#[function]
pub fn sum(router: &Router, parts: u32, count: u64) -> Result<u64> {
    if u64::from(parts) > CONTEXTS_MAX {
        bail!("{parts} parts are more than {CONTEXTS_MAX}");
    }
    let wanted = u64::from(parts).checked_mul(count);
    let wanted = wanted.context("that is too many numbers")?;
    let children = start(router, parts)?;
    // A stream stays in the select until it says that it has ended.
    let streams = Select::new().oneshot(false);
    let mut counts = Vec::new();
    for child in &children {
        let stream: Receiver<u64> = router.receiver_with(ListenOptions::new().respondent(child))?;
        counts.push(child.call_async::<numbers>((stream.to_sender(), count))?);
        streams.add(stream)?;
    }
    let mut total = 0u64;
    for event in &streams {
        let event = event?;
        match event.value {
            Ok(number) => total = total.checked_add(number).context("the sum is too large")?,
            Err(RouterError::Channel(_)) => streams.remove(&event.source)?,
            Err(error) => return Err(error.into()),
        }
    }
    // A stream also ends with its context. Only the call's own value says that it was whole.
    let sent: u64 = Select::all(counts)?.iter().sum();
    if sent != wanted {
        bail!("{sent} numbers were sent instead of {wanted}");
    }
    end(&children)?;
    Ok(total)
}

fn start(router: &Router, children: u32) -> Result<Vec<Context>> {
    let start = |_| Ok(router.local().connect()?);
    (0..children).map(start).collect()
}

fn end(children: &[Context]) -> Result<()> {
    for child in children {
        child.shutdown()?;
    }
    Ok(())
}

/// Contexts of a tree without its root; nothing when that is no number.
fn below(depth: u32, width: u32) -> Option<u64> {
    let mut level = 1u64;
    let mut total = 0u64;
    for _ in 0..depth {
        level = level.checked_mul(width.into())?;
        if level == 0 {
            break;
        }
        total = total.checked_add(level)?;
        if total > CONTEXTS_MAX {
            break;
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router {
        Router::new(Host::new(4, [2, 0], "local.1"))
    }

    #[test]
    fn a_tree_without_depth_is_this_context() {
        let members = fan_out(&router(), 0, 5).unwrap();
        let me = Member {
            id: 4,
            name: "local.1".to_owned(),
            parent_ids: vec![2, 0],
        };
        assert_eq!(members, [me]);
    }

    #[test]
    fn a_tree_without_width_is_this_context() {
        assert_eq!(fan_out(&router(), u32::MAX, 0).unwrap().len(), 1);
    }

    #[test]
    fn contexts_are_counted_and_bounded() {
        assert_eq!(below(0, 9), Some(0));
        assert_eq!(below(1, 9), Some(9));
        assert_eq!(below(3, 2), Some(14));
        assert_eq!(below(u32::MAX, 0), Some(0));
        for (depth, width) in [(10, 2), (u32::MAX, 1), (1, 1025), (u32::MAX, u32::MAX)] {
            let error = fan_out(&router(), depth, width).unwrap_err();
            let text = error.to_string();
            assert!(text.ends_with("has more than 1024 contexts"), "{text}");
        }
        assert!(sum(&router(), 1025, 1).is_err());
    }

    #[test]
    fn outside_of_a_context_it_says_so() {
        let error = fan_out(&router(), 1, 1).unwrap_err();
        assert!(error.downcast_ref::<RouterError>().is_some());
        assert!(error.to_string().contains("no router here"), "{error}");
    }
}
