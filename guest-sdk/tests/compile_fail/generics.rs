use std::borrow::Cow;
use std::fmt::Display;

use offshoot_guest::function;

#[function]
fn of_type<T>(value: T) -> u32
where
    T: Display,
{
    0
}

#[function]
fn of_lifetime<'a>(value: Cow<'a, str>) {}

#[function]
fn of_number<const N: usize>(value: [u8; N]) {}

#[function]
fn of_trait(value: impl Display, boxed: Box<dyn Display>) -> impl Display {
    0
}

#[function]
fn of_pointers(callback: fn(u32) -> u32, raw: *const u8) {}

fn main() {}
