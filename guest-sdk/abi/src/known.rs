//! Types of `std` that readers know by their name.
//!
//! Their values travel as serde writes them. Their names say that there is a better way to show them
//! to a person than field by field.

use crate::schema::Type;

/// A type that has a form of its own for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// `Ipv4Addr`: text.
    Ipv4Addr,
    /// `Ipv6Addr`: text.
    Ipv6Addr,
    /// `IpAddr`: text.
    IpAddr,
    /// `SocketAddrV4`: text.
    SocketAddrV4,
    /// `SocketAddrV6`: text.
    SocketAddrV6,
    /// `SocketAddr`: text.
    SocketAddr,
    /// `Duration`: text.
    Duration,
    /// `SystemTime`: text.
    SystemTime,
    /// `PathBuf`, which is text on the wire too.
    Path,
    /// `NonZeroU8` and its like: a number other than 0.
    NonZero,
    /// A collection other than a `Vec`: an array.
    Collection,
    /// The SDK's `Sender`, which nothing stands for.
    Sender,
}

impl Type {
    /// Which type of `std` this is, by name and by form.
    pub fn known(&self) -> Option<Known> {
        Some(match self {
            Self::Newtype(name, inner) => match (name.as_str(), &**inner) {
                ("Ipv4Addr", Self::Array(item, 4)) if **item == Self::U8 => Known::Ipv4Addr,
                ("Ipv6Addr", Self::Array(item, 16)) if **item == Self::U8 => Known::Ipv6Addr,
                ("PathBuf", Self::Str) => Known::Path,
                (
                    "HashSet" | "BTreeSet" | "VecDeque" | "BinaryHeap" | "LinkedList",
                    Self::Seq(_),
                ) => Known::Collection,
                (name, inner) if name.starts_with("NonZero") && inner.is_integer() => {
                    Known::NonZero
                }
                _ => return None,
            },
            Self::TupleStruct(name, parts) => match (name.as_str(), parts.as_slice()) {
                ("SocketAddrV4", [ip, Self::U16]) if ip.known() == Some(Known::Ipv4Addr) => {
                    Known::SocketAddrV4
                }
                ("SocketAddrV6", [ip, Self::U16]) if ip.known() == Some(Known::Ipv6Addr) => {
                    Known::SocketAddrV6
                }
                ("Sender", [Self::Opaque(_), Self::Array(_, 0)]) => Known::Sender,
                _ => return None,
            },
            Self::Struct(name, fields) => {
                let known = match name.as_str() {
                    "Duration" => Known::Duration,
                    "SystemTime" => Known::SystemTime,
                    _ => return None,
                };
                match fields.as_slice() {
                    [secs, nanos] if secs.ty == Self::U64 && nanos.ty == Self::U32 => known,
                    _ => return None,
                }
            }
            Self::Enum(name, variants) => {
                let (known, parts) = match name.as_str() {
                    "IpAddr" => (Known::IpAddr, [Known::Ipv4Addr, Known::Ipv6Addr]),
                    "SocketAddr" => {
                        let parts = [Known::SocketAddrV4, Known::SocketAddrV6];
                        (Known::SocketAddr, parts)
                    }
                    _ => return None,
                };
                let found = variants.iter().map(|variant| match &variant.content {
                    Self::Newtype(_, inner) => inner.known(),
                    _ => None,
                });
                match found.eq(parts.map(Some)) {
                    true => known,
                    false => return None,
                }
            }
            _ => return None,
        })
    }

    fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::I8
                | Self::I16
                | Self::I32
                | Self::I64
                | Self::I128
                | Self::U8
                | Self::U16
                | Self::U32
                | Self::U64
                | Self::U128
        )
    }
}
