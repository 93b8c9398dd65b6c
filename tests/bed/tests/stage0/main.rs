//! The real bootstrap, over real connections, on machines with something wrong with them.
//!
//! Names start with the rows of faults and threats that they show.

mod driver;
mod escalation;
mod homes;
mod led_astray;
mod poor;
mod shells;
mod squatters;
mod traceless;
mod uploads;
