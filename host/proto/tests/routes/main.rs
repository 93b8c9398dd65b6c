//! Ids and routes in trees of real nodes: who may name a context, and who learns where it is and
//! that it is gone; the images that follow these routes, and what programs may send along them.

mod ids;
mod images;
mod places;
mod programs;
mod siblings;
mod tree;
