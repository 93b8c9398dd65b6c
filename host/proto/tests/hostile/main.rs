//! What a hostile child can make a node do: nothing, and hold: not more than it was asked for.

mod below;
mod direct;
mod framing;
mod ids;
mod permutations;
mod worlds;
