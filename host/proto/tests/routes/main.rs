//! Ids and routes in trees of real nodes: who may name a context, and who learns where it is and
//! that it is gone.

mod ids;
mod places;
mod siblings;
mod tree;
