//! Types of functions that cross the border.

use std::fmt;
use std::string::{String, ToString};
use std::vec::Vec;

use wasmparser::ValType;
use wasmparser::types::{EntityType, Types};

use crate::imports;

pub(super) const I32: ValType = ValType::I32;
pub(super) const I64: ValType = ValType::I64;

/// The type of a function.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Signature {
    parameters: Vec<ValType>,
    results: Vec<ValType>,
}

impl Signature {
    pub(super) fn new(parameters: &[ValType], results: &[ValType]) -> Self {
        Self {
            parameters: parameters.to_vec(),
            results: results.to_vec(),
        }
    }

    /// Nothing when it is not a function.
    pub(super) fn of(types: &Types, entity: &EntityType) -> Option<Self> {
        let EntityType::Func(id) = entity else {
            return None;
        };
        let function = types.as_ref().get(*id)?.composite_type.inner.clone();
        match function {
            wasmparser::CompositeInnerType::Func(function) => {
                Some(Self::new(function.params(), function.results()))
            }
            _ => None,
        }
    }
}

/// What an import of ours has to look like; nothing when there is no such import.
pub(super) fn of_import(name: &str) -> Option<Signature> {
    Some(match name {
        imports::LOG => Signature::new(&[I32; 5], &[]),
        imports::LOG_LEVEL => Signature::new(&[], &[I32]),
        imports::PANIC => Signature::new(&[I32; 4], &[]),
        imports::BACKTRACE | imports::HOST_INFO | imports::EXCHANGE | imports::TAKE => {
            Signature::new(&[I32; 2], &[I32])
        }
        imports::SEND => Signature::new(&[I32, I64, I32, I32], &[I32]),
        _ => return None,
    })
}

/// Writes the type as the ABI's document does: `(i32, i32) -> i32`.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| -> String {
            let names: Vec<String> = types.iter().map(ToString::to_string).collect();
            names.join(", ")
        };
        write!(f, "({})", list(&self.parameters))?;
        match self.results.as_slice() {
            [] => Ok(()),
            [one] => write!(f, " -> {one}"),
            several => write!(f, " -> ({})", list(several)),
        }
    }
}
