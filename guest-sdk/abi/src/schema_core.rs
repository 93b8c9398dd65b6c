//! Schemas of `core`'s addresses, times, ranges and numbers without 0.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::num::NonZero;
use core::ops::{Range, RangeFrom, RangeInclusive, RangeTo};
use core::time::Duration;

use crate::schema::{Field, Schema, Shape, Variant, VariantShape};

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape }
}

const fn newtype(name: &'static str, shape: &'static Shape) -> Variant {
    let shape = VariantShape::Newtype(shape);
    Variant { name, shape }
}

impl Schema for Duration {
    const SHAPE: Shape = Shape::Struct(
        "Duration",
        &[field("secs", Shape::U64), field("nanos", Shape::U32)],
    );
}

impl Schema for Ipv4Addr {
    const SHAPE: Shape = Shape::Newtype("Ipv4Addr", &Shape::Array(&Shape::U8, 4));
}

impl Schema for Ipv6Addr {
    const SHAPE: Shape = Shape::Newtype("Ipv6Addr", &Shape::Array(&Shape::U8, 16));
}

impl Schema for IpAddr {
    const SHAPE: Shape = Shape::Enum(
        "IpAddr",
        &[
            newtype("V4", &Ipv4Addr::SHAPE),
            newtype("V6", &Ipv6Addr::SHAPE),
        ],
    );
}

impl Schema for SocketAddrV4 {
    const SHAPE: Shape = Shape::TupleStruct("SocketAddrV4", &[Ipv4Addr::SHAPE, Shape::U16]);
}

impl Schema for SocketAddrV6 {
    const SHAPE: Shape = Shape::TupleStruct("SocketAddrV6", &[Ipv6Addr::SHAPE, Shape::U16]);
}

impl Schema for SocketAddr {
    const SHAPE: Shape = Shape::Enum(
        "SocketAddr",
        &[
            newtype("V4", &SocketAddrV4::SHAPE),
            newtype("V6", &SocketAddrV6::SHAPE),
        ],
    );
}

macro_rules! ranges {
    ($($name:ident: $($field:literal),+;)*) => {
        $(impl<T: Schema> Schema for $name<T> {
            const SHAPE: Shape = Shape::Struct(stringify!($name), &[$(field($field, T::SHAPE)),+]);
        })*
    };
}

ranges! {
    Range: "start", "end";
    RangeInclusive: "start", "end";
    RangeFrom: "start";
    RangeTo: "end";
}

macro_rules! without_zero {
    ($($ty:ty, $name:literal, $shape:ident;)*) => {
        $(impl Schema for NonZero<$ty> {
            const SHAPE: Shape = Shape::Newtype($name, &Shape::$shape);
        })*
    };
}

without_zero! {
    i8, "NonZeroI8", I8;
    i16, "NonZeroI16", I16;
    i32, "NonZeroI32", I32;
    i64, "NonZeroI64", I64;
    i128, "NonZeroI128", I128;
    isize, "NonZeroIsize", I64;
    u8, "NonZeroU8", U8;
    u16, "NonZeroU16", U16;
    u32, "NonZeroU32", U32;
    u64, "NonZeroU64", U64;
    u128, "NonZeroU128", U128;
    usize, "NonZeroUsize", U64;
}
