//! Ids and routes in trees of real nodes: who may name a context, and who learns where it is and
//! that it is gone; and the images that follow these routes.

mod ids;
mod images;
mod places;
mod siblings;
mod tree;
