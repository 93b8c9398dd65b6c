//! Reads a manifest from the bytes of a module's custom section.
//!
//! The bytes come from a file that anyone may have written, so every length, depth and count is
//! bounded before it is believed.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::grant::{Grant, Want};
use crate::record::{self, FNV_OFFSET, FNV_PRIME, SIGNATURE_SEPARATOR};
use crate::schema::{NamedType, Type, VariantType};
use crate::{ABI_VERSION, exports};

/// Bytes of a manifest section at most.
const SECTION_MAX: usize = 1 << 20;
/// Functions of a plugin at most.
const FUNCTIONS_MAX: usize = 4096;
/// Nesting of a type at most; deeper types would cost a reader its stack.
const DEPTH_MAX: usize = 64;
/// Nodes of all types of a manifest together, at most.
const NODES_MAX: usize = 1 << 16;
/// Bytes of a plugin's or function's name at most.
const NAME_MAX: usize = 128;

/// What a module says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Version of the contract.
    pub abi: u32,
    /// Version of the SDK that built it.
    pub sdk: String,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version.
    pub version: String,
    /// Its functions, in order of their names.
    pub functions: Vec<FunctionInfo>,
    /// The grants it says it needs.
    pub wants: Vec<Want>,
}

/// What a module says of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name inside the plugin.
    pub name: String,
    /// Its doc comment.
    pub docs: String,
    /// Whether calls may run side by side, each on a fresh instance.
    pub concurrent: bool,
    /// Whether it returns a `Result`.
    pub fallible: bool,
    /// Whether it takes a `&Host`.
    pub takes_host: bool,
    /// Whether it takes a `&Router`.
    pub takes_router: bool,
    /// What a caller passes.
    pub arguments: Vec<Argument>,
    /// The value, without the `Result` of a fallible function.
    pub result: Type,
    /// The error type as written in the source; empty when there is none.
    pub error: String,
    /// Digest of arguments and result, computed from the record itself.
    pub signature: u64,
}

impl FunctionInfo {
    /// Name of the export that runs it.
    pub fn export(&self) -> String {
        alloc::format!("{}{}", exports::CALL_PREFIX, self.name)
    }
}

/// Writes the signature as a Rust programmer would: `fn free(path: String) -> u64`.
impl fmt::Display for FunctionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fn {}(", self.name)?;
        for (index, argument) in self.arguments.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}: {}", argument.name, argument.ty)?;
        }
        f.write_str(")")?;
        match (self.fallible, &self.result) {
            (true, result) => write!(f, " -> Result<{result}, {}>", self.error),
            (false, Type::Unit) => Ok(()),
            (false, result) => write!(f, " -> {result}"),
        }
    }
}

/// An argument of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// Why a manifest was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// The section is missing or names no function.
    Empty,
    /// The module was built for another version of the contract.
    Abi {
        /// The version it was built for.
        found: u32,
        /// The SDK that built it.
        sdk: String,
    },
    /// The section is not what an SDK writes.
    Malformed {
        /// Where, in bytes from the section's start.
        offset: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Two records contradict each other.
    Contradiction(String),
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(
                f,
                "the module has no Offshoot manifest: mark at least one function with \
                 `#[function]` and build it with `offshoot plugin build`"
            ),
            Self::Abi { found, sdk } => write!(
                f,
                "the module was built for ABI {found} by SDK {sdk}, this host speaks ABI \
                 {ABI_VERSION}: rebuild it with a matching `offshoot-guest`"
            ),
            Self::Malformed { offset, reason } => {
                write!(f, "malformed manifest at byte {offset}: {reason}")
            }
            Self::Contradiction(what) => write!(f, "the manifest contradicts itself: {what}"),
        }
    }
}

impl core::error::Error for ManifestError {}

impl Manifest {
    /// Reads the records of a [`SECTION`](crate::SECTION).
    ///
    /// # Errors
    ///
    /// Fails on anything but a well-formed manifest of this [`ABI_VERSION`].
    pub fn parse(section: &[u8]) -> Result<Self, ManifestError> {
        let mut reader = Reader {
            bytes: section,
            at: 0,
            nodes: 0,
        };
        if section.len() > SECTION_MAX {
            return Err(reader.malformed("it is larger than 1 MiB"));
        }
        let mut manifest: Option<Self> = None;
        let mut wants = Vec::new();
        while !reader.is_empty() {
            let length = reader.u32_le()? as usize;
            let end = reader
                .at
                .checked_add(length)
                .filter(|&end| end <= section.len())
                .ok_or_else(|| reader.malformed("a record reaches past the section's end"))?;
            match reader.byte()? {
                record::TAG_FUNCTION => reader.function(&mut manifest)?,
                record::TAG_WANT => wants.push(reader.want()?),
                _ => return Err(reader.malformed("unknown kind of record")),
            }
            if reader.at != end {
                return Err(reader.malformed("a record's length is not its content's"));
            }
        }
        let mut manifest = manifest.ok_or(ManifestError::Empty)?;
        manifest.wants = wants;
        manifest.functions.sort_by(|a, b| a.name.cmp(&b.name));
        manifest.want_router();
        for pair in manifest.functions.windows(2) {
            if pair[0].name == pair[1].name {
                return Err(ManifestError::Contradiction(alloc::format!(
                    "two functions are named `{}`",
                    pair[0].name
                )));
            }
        }
        Ok(manifest)
    }

    /// A function that takes the router says by that alone what it wants.
    fn want_router(&mut self) {
        let said = self.wants.iter().any(|want| want.grant == Grant::Router);
        let mut functions = self.functions.iter();
        if let Some(function) = functions.find(|function| function.takes_router && !said) {
            self.wants.push(Want {
                grant: Grant::Router,
                reason: alloc::format!("`{}` takes `&Router`", function.name),
            });
        }
    }

    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<&FunctionInfo> {
        self.position(name).map(|index| &self.functions[index])
    }

    /// Where the function of that name is in [`functions`](Self::functions).
    pub fn position(&self, name: &str) -> Option<usize> {
        let by_name = |function: &FunctionInfo| function.name.as_str().cmp(name);
        self.functions.binary_search_by(by_name).ok()
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: usize,
}

impl Reader<'_> {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn malformed(&self, reason: &'static str) -> ManifestError {
        ManifestError::Malformed {
            offset: self.at,
            reason,
        }
    }

    fn byte(&mut self) -> Result<u8, ManifestError> {
        let byte = *self
            .bytes
            .get(self.at)
            .ok_or_else(|| self.malformed("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn u32_le(&mut self) -> Result<u32, ManifestError> {
        let mut bytes = [0; 4];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(u32::from_le_bytes(bytes))
    }

    fn varint(&mut self) -> Result<u32, ManifestError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number is too large"))
    }

    /// A count of things that take at least one byte each.
    fn count(&mut self) -> Result<usize, ManifestError> {
        let count = self.varint()? as usize;
        if count > self.bytes.len() - self.at {
            return Err(self.malformed("it ends too early"));
        }
        Ok(count)
    }

    fn string(&mut self) -> Result<String, ManifestError> {
        let length = self.count()?;
        let bytes = &self.bytes[self.at..self.at + length];
        let text = core::str::from_utf8(bytes).map_err(|_| self.malformed("text is not UTF-8"))?;
        self.at += length;
        Ok(text.to_owned())
    }

    /// A name that ends up in error messages, exports and command lines.
    fn name(&mut self) -> Result<String, ManifestError> {
        let name = self.string()?;
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':');
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
            return Err(self.malformed("a name is empty, too long or has odd characters"));
        }
        Ok(name)
    }

    fn function(&mut self, manifest: &mut Option<Manifest>) -> Result<(), ManifestError> {
        let abi = self.varint()?;
        let sdk = self.string()?;
        if abi != ABI_VERSION {
            return Err(ManifestError::Abi { found: abi, sdk });
        }
        let plugin = self.name()?;
        let version = self.string()?;
        let manifest = manifest.get_or_insert_with(|| Manifest {
            abi,
            sdk,
            plugin: plugin.clone(),
            version: version.clone(),
            functions: Vec::new(),
            wants: Vec::new(),
        });
        if manifest.plugin != plugin || manifest.version != version {
            return Err(ManifestError::Contradiction(alloc::format!(
                "it is plugin `{} {}` and plugin `{plugin} {version}`: build a plugin that uses \
                 another one with `offshoot plugin build`",
                manifest.plugin,
                manifest.version
            )));
        }
        if manifest.functions.len() == FUNCTIONS_MAX {
            return Err(self.malformed("more than 4096 functions"));
        }
        let name = self.name()?;
        let docs = self.string()?;
        let flags = self.byte()?;
        let mut digest = FNV_OFFSET;
        let mut arguments = Vec::new();
        for _ in 0..self.count()? {
            let name = self.string()?;
            let ty = self.digested(&mut digest)?;
            arguments.push(Argument { name, ty });
        }
        fnv(&mut digest, &[SIGNATURE_SEPARATOR]);
        let result = self.digested(&mut digest)?;
        manifest.functions.push(FunctionInfo {
            name,
            docs,
            concurrent: flags & record::FLAG_CONCURRENT != 0,
            fallible: flags & record::FLAG_FALLIBLE != 0,
            takes_host: flags & record::FLAG_TAKES_HOST != 0,
            takes_router: flags & record::FLAG_TAKES_ROUTER != 0,
            arguments,
            result,
            error: self.string()?,
            signature: digest,
        });
        Ok(())
    }

    fn want(&mut self) -> Result<Want, ManifestError> {
        let grant: Grant = self
            .string()?
            .parse()
            .map_err(|_| self.malformed("it wants something that is not a grant"))?;
        let reason = self.string()?;
        Ok(Want { grant, reason })
    }

    /// A type, whose bytes also go into a signature's digest.
    fn digested(&mut self, digest: &mut u64) -> Result<Type, ManifestError> {
        let start = self.at;
        let ty = self.ty(0)?;
        fnv(digest, &self.bytes[start..self.at]);
        Ok(ty)
    }

    fn ty(&mut self, depth: usize) -> Result<Type, ManifestError> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Err(self.malformed("a type is nested too deeply or too large"));
        }
        Ok(match self.byte()? {
            0 => Type::Unit,
            1 => Type::Bool,
            2 => Type::I8,
            3 => Type::I16,
            4 => Type::I32,
            5 => Type::I64,
            6 => Type::I128,
            7 => Type::U8,
            8 => Type::U16,
            9 => Type::U32,
            10 => Type::U64,
            11 => Type::U128,
            12 => Type::F32,
            13 => Type::F64,
            14 => Type::Char,
            15 => Type::Str,
            16 => Type::Bytes,
            17 => Type::Option(self.boxed(depth)?),
            18 => Type::Seq(self.boxed(depth)?),
            19 => Type::Map(self.boxed(depth)?, self.boxed(depth)?),
            20 => Type::Tuple(self.types(depth)?),
            21 => Type::Array(self.boxed(depth)?, self.varint()?),
            22 => Type::Newtype(self.string()?, self.boxed(depth)?),
            23 => Type::TupleStruct(self.string()?, self.types(depth)?),
            24 => Type::Struct(self.string()?, self.fields(depth)?),
            25 => Type::Enum(self.string()?, self.variants(depth)?),
            26 => Type::Opaque(self.string()?),
            27 => Type::Recursive(self.string()?),
            _ => return Err(self.malformed("unknown kind of type")),
        })
    }

    fn boxed(&mut self, depth: usize) -> Result<Box<Type>, ManifestError> {
        self.ty(depth + 1).map(Box::new)
    }

    fn types(&mut self, depth: usize) -> Result<Vec<Type>, ManifestError> {
        let count = self.count()?;
        (0..count).map(|_| self.ty(depth + 1)).collect()
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<NamedType>, ManifestError> {
        let count = self.count()?;
        let field = |_| {
            Ok(NamedType {
                name: self.string()?,
                ty: self.ty(depth + 1)?,
            })
        };
        (0..count).map(field).collect()
    }

    fn variants(&mut self, depth: usize) -> Result<Vec<VariantType>, ManifestError> {
        let count = self.count()?;
        let variant = |_| {
            let name = self.string()?;
            let content = match self.byte()? {
                0 => Type::Unit,
                1 => Type::Newtype(name.clone(), self.boxed(depth)?),
                2 => Type::TupleStruct(name.clone(), self.types(depth)?),
                3 => Type::Struct(name.clone(), self.fields(depth)?),
                _ => return Err(self.malformed("unknown kind of variant")),
            };
            Ok(VariantType { name, content })
        };
        (0..count).map(variant).collect()
    }
}

fn fnv(digest: &mut u64, bytes: &[u8]) {
    for &byte in bytes {
        *digest = (*digest ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FunctionRecord, function, function_len, signature};
    use crate::schema::{Field, Schema, Shape};
    use alloc::string::ToString;
    use alloc::vec;

    const ARGUMENTS: &[Field] = &[
        Field {
            name: "paths",
            shape: <Vec<Option<String>>>::SHAPE,
        },
        Field {
            name: "limit",
            shape: <Result<u32, [u8; 4]>>::SHAPE,
        },
    ];
    const RECORD: FunctionRecord = FunctionRecord {
        abi: ABI_VERSION,
        sdk: "0.1.0",
        plugin: "demo",
        version: "1.2.3",
        name: "walk",
        docs: "Walks.",
        flags: record::FLAG_FALLIBLE,
        arguments: ARGUMENTS,
        result: Shape::Tuple(&[Shape::U64, Shape::Str]),
        error: "io::Error",
    };
    const BYTES: [u8; function_len(&RECORD)] = function(&RECORD);

    #[test]
    fn what_is_written_at_compile_time_is_read_back() {
        let manifest = Manifest::parse(&BYTES).unwrap();
        assert_eq!(manifest.plugin, "demo");
        let walk = manifest.function("walk").unwrap();
        assert_eq!(walk.signature, signature(ARGUMENTS, &RECORD.result));
        assert_eq!(
            walk.to_string(),
            "fn walk(paths: Vec<Option<String>>, limit: Result) -> Result<(u64, String), io::Error>"
        );
    }

    #[test]
    fn s011_a_function_that_takes_the_router_wants_the_grant() {
        const TAKES: FunctionRecord = FunctionRecord {
            flags: record::FLAG_TAKES_ROUTER,
            ..RECORD
        };
        const TAKES_BYTES: [u8; function_len(&TAKES)] = function(&TAKES);
        const WANT: record::WantRecord = record::WantRecord {
            grant: "router",
            reason: "a tree",
        };
        const WANT_BYTES: [u8; record::want_len(&WANT)] = record::want(&WANT);
        let reasons = |section: &[u8]| {
            let manifest = Manifest::parse(section).unwrap();
            let routers = manifest.wants.into_iter();
            let routers = routers.filter(|want| want.grant == Grant::Router);
            routers.map(|want| want.reason).collect::<Vec<_>>()
        };
        assert_eq!(reasons(&TAKES_BYTES), ["`walk` takes `&Router`"]);
        assert_eq!(
            reasons(&[&TAKES_BYTES[..], &WANT_BYTES].concat()),
            ["a tree"]
        );
        assert!(reasons(&BYTES).is_empty());
    }

    #[test]
    fn every_truncation_is_refused() {
        for length in 0..BYTES.len() {
            assert!(Manifest::parse(&BYTES[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn every_flipped_byte_is_survived() {
        for index in 0..BYTES.len() {
            for bit in 0..8 {
                let mut bytes = BYTES;
                bytes[index] ^= 1 << bit;
                let _ = Manifest::parse(&bytes);
            }
        }
    }

    #[test]
    fn two_functions_of_one_name_are_refused() {
        let twice = [BYTES, BYTES].concat();
        let error = Manifest::parse(&twice).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the manifest contradicts itself: two functions are named `walk`"
        );
    }

    #[test]
    fn a_type_nested_without_end_is_refused() {
        let mut payload = vec![record::TAG_FUNCTION, ABI_VERSION as u8];
        for text in ["0", "demo", "1", "f", ""] {
            payload.push(text.len() as u8);
            payload.extend_from_slice(text.as_bytes());
        }
        payload.extend_from_slice(&[0, 0]);
        payload.extend(core::iter::repeat_n(17, 100_000));
        let mut section = (payload.len() as u32).to_le_bytes().to_vec();
        section.append(&mut payload);
        let error = Manifest::parse(&section).unwrap_err();
        assert!(error.to_string().contains("nested too deeply"), "{error}");
    }
}
