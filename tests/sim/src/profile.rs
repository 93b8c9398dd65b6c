//! What kind of schedule a seed stands for.

use crate::rng::Rng;

/// How often things happen, per thousand operations or new contexts.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) operations: u64,
    /// The most contexts that are asked for.
    pub(crate) contexts: usize,
    /// How often a new context goes below the newest one, rather than anywhere.
    pub(crate) deep: u64,
    /// How often someone else than the controller makes a new context.
    pub(crate) others: u64,
    /// How often programs open receivers and senders, and post.
    pub(crate) streams: u64,
    /// Whether contexts in different branches may talk.
    pub(crate) siblings: bool,
    pub(crate) kill: u64,
    pub(crate) cut: u64,
    pub(crate) stall: u64,
    pub(crate) connect_fails: u64,
    pub(crate) evil: u64,
    pub(crate) mangle: u64,
    /// Most arguments and results are at most so long.
    pub(crate) small_max: u64,
    /// How often they take several frames.
    pub(crate) large: u64,
    pub(crate) large_max: u64,
    /// How many calls one operation makes at most.
    pub(crate) burst: u64,
    /// Microseconds between two operations at most.
    pub(crate) pause: u64,
    /// Whether a fault can happen: without one, each call must yield its value.
    pub(crate) faults: bool,
}

impl Profile {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let mut profile = Self {
            operations: rng.range(8, 48),
            contexts: rng.range(1, 12) as usize,
            deep: *rng.pick(&[0, 300, 900]),
            others: *rng.pick(&[0, 300, 700]),
            streams: *rng.pick(&[0, 150, 400]),
            siblings: rng.chance(500),
            kill: 0,
            cut: 0,
            stall: 0,
            connect_fails: 0,
            evil: 0,
            mangle: 0,
            small_max: *rng.pick(&[50, 300, 5000]),
            large: 15,
            large_max: 200_000,
            burst: 4,
            pause: *rng.pick(&[1, 2000, 20_000]),
            faults: true,
        };
        match rng.below(1000) {
            0..250 => profile.faults = false,
            250..600 => {
                profile.kill = rng.below(120);
                profile.cut = rng.below(120);
                profile.stall = rng.below(150);
                profile.connect_fails = rng.below(200);
            }
            600..900 => {
                profile.evil = rng.range(50, 500);
                profile.kill = rng.below(60);
                profile.connect_fails = rng.below(100);
                profile.mangle = *rng.pick(&[0, 0, 150]);
            }
            900..980 => {
                profile.stall = rng.below(200);
                profile.faults = false;
                profile.burst = 40;
                profile.small_max = 5000;
                profile.large = 40;
                profile.pause = 500;
            }
            // Results of many frames, whose sources die while they are under way.
            980..996 => {
                profile.deep = 700;
                profile.large = 400;
                profile.large_max = 1_500_000;
                profile.burst = 4;
                profile.kill = 150;
                profile.pause = 20_000;
            }
            // More than the contexts on the way hold for others.
            _ => {
                profile.contexts = 4;
                profile.deep = 900;
                profile.large = 500;
                profile.large_max = 4_000_000;
                profile.burst = 5;
                profile.stall = 250;
                profile.kill = rng.below(40);
                profile.pause = 2000;
            }
        }
        profile
    }
}
