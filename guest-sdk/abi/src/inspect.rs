//! Reads a module without running it: is it a plugin for this contract, and what does it say?
//!
//! The file may be anything: cut off, for another system, hostile. Whoever passes here has a
//! manifest that its exports keep, and imports that the host knows.

mod error;
mod signature;

use std::borrow::ToOwned;
use std::string::{String, ToString};
use std::vec::Vec;

use wasmparser::types::{EntityType, Types};
use wasmparser::{Chunk, Parser, Payload, Validator, WasmFeatures};

pub use error::InvalidModule;

use crate::manifest::Manifest;
use crate::{IMPORT_MODULE, SECTION, exports};
use signature::{I32, I64, Signature};

/// Bytes of a module at most.
pub const MODULE_MAX: usize = 64 << 20;

/// The module whose imports give a plugin files, clocks and random numbers.
const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// What a module is made of, as far as a host wants to know before it runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What the module says about itself.
    pub manifest: Manifest,
    /// Modules and names of its imports, in the module's order.
    pub imports: Vec<(String, String)>,
    /// Whether it imports anything of WASI preview 1.
    pub uses_wasi: bool,
    /// Its size in bytes.
    pub size: usize,
}

/// Reads and validates a module.
///
/// # Errors
///
/// Fails on anything but a core module that is a plugin of this contract.
pub fn inspect(wasm: &[u8]) -> Result<Inspection, InvalidModule> {
    if wasm.len() > MODULE_MAX {
        return Err(InvalidModule::TooLarge { size: wasm.len() });
    }
    check_header(wasm)?;
    let section = manifest_section(wasm)?;
    let types = Validator::new_with_features(WasmFeatures::WASM2).validate_all(wasm)?;
    let manifest = Manifest::parse(&section).map_err(InvalidModule::Manifest)?;
    let imports = check_imports(&types)?;
    check_exports(&types, &manifest)?;
    Ok(Inspection {
        manifest,
        uses_wasi: imports.iter().any(|(module, _)| module == WASI_MODULE),
        imports,
        size: wasm.len(),
    })
}

/// Recognises what people pass by mistake, which a parser would only call bad magic.
fn check_header(wasm: &[u8]) -> Result<(), InvalidModule> {
    const MAGIC: &[u8] = b"\0asm";
    const CORE: &[u8] = &[1, 0, 0, 0];
    const COMPONENT_LAYER: &[u8] = &[1, 0];

    if let Some(version) = wasm.strip_prefix(MAGIC) {
        return match version {
            _ if version.starts_with(CORE) => Ok(()),
            _ if version.get(2..4) == Some(COMPONENT_LAYER) => Err(InvalidModule::Component),
            _ if version.len() < CORE.len() => Err(InvalidModule::Truncated { offset: wasm.len() }),
            _ => Err(InvalidModule::Invalid {
                offset: MAGIC.len(),
                reason: "it is of a version of WebAssembly that does not exist yet".to_owned(),
            }),
        };
    }
    if wasm.starts_with(b"\x7fELF") {
        return Err(InvalidModule::Elf);
    }
    if !wasm.is_empty() && MAGIC.starts_with(wasm) {
        return Err(InvalidModule::Truncated { offset: wasm.len() });
    }
    let head = &wasm[..wasm.len().min(64)];
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    match !head.is_empty() && head.iter().all(is_text) {
        true => Err(InvalidModule::Text),
        false => Err(InvalidModule::Foreign),
    }
}

/// Walks over the sections and joins those that hold the manifest.
fn manifest_section(wasm: &[u8]) -> Result<Vec<u8>, InvalidModule> {
    let mut manifest = Vec::new();
    let mut parser = Parser::new(0);
    parser.set_features(WasmFeatures::WASM2);
    let mut offset = 0;
    loop {
        let rest = &wasm[offset..];
        // The parser tells what is cut off from what is wrong only while more might come.
        let payload = match parser.parse(rest, rest.is_empty()) {
            Ok(Chunk::Parsed { consumed, payload }) => {
                offset += consumed;
                payload
            }
            Ok(Chunk::NeedMoreData(_)) => return Err(InvalidModule::Truncated { offset }),
            Err(_) if rest.is_empty() => return Err(InvalidModule::Truncated { offset }),
            Err(error) => return Err(error.into()),
        };
        match payload {
            Payload::CustomSection(section) if section.name() == SECTION => {
                manifest.extend_from_slice(section.data());
            }
            Payload::End(_) => return Ok(manifest),
            _ => {}
        }
    }
}

fn check_imports(types: &Types) -> Result<Vec<(String, String)>, InvalidModule> {
    let mut imports = Vec::new();
    for (module, name, ty) in types.as_ref().core_imports().into_iter().flatten() {
        let signature = Signature::of(types, &ty);
        let expected = match module {
            // Its many signatures are known to the host's linker, not to us.
            WASI_MODULE => signature.clone(),
            IMPORT_MODULE => signature::of_import(name),
            _ => None,
        };
        let Some(expected) = expected else {
            return Err(InvalidModule::UnknownImport {
                module: module.to_owned(),
                name: name.to_owned(),
            });
        };
        if signature.as_ref() != Some(&expected) {
            return Err(InvalidModule::ImportType {
                name: name.to_owned(),
                found: describe(signature, &ty),
                expected: expected.to_string(),
            });
        }
        imports.push((module.to_owned(), name.to_owned()));
    }
    Ok(imports)
}

fn check_exports(types: &Types, manifest: &Manifest) -> Result<(), InvalidModule> {
    let all: Vec<_> = types
        .as_ref()
        .core_exports()
        .into_iter()
        .flatten()
        .collect();
    let find = |name: &str| all.iter().find(|(export, _)| *export == name);
    let check = |name: &str, expected: Signature| match find(name) {
        None => Err(InvalidModule::MissingExport {
            name: name.to_owned(),
        }),
        Some((_, ty)) => match Signature::of(types, ty) {
            Some(signature) if signature == expected => Ok(()),
            other => Err(InvalidModule::ExportType {
                name: name.to_owned(),
                found: describe(other, ty),
                expected: expected.to_string(),
            }),
        },
    };
    match find(exports::MEMORY) {
        Some((_, EntityType::Memory(_))) => {}
        Some((_, ty)) => {
            return Err(InvalidModule::ExportType {
                name: exports::MEMORY.to_owned(),
                found: describe(Signature::of(types, ty), ty),
                expected: "a memory".to_owned(),
            });
        }
        None => {
            return Err(InvalidModule::MissingExport {
                name: exports::MEMORY.to_owned(),
            });
        }
    }
    check(exports::ARGUMENTS, Signature::new(&[I32], &[I32]))?;
    if find(exports::INITIALIZE).is_some() {
        check(exports::INITIALIZE, Signature::new(&[], &[]))?;
    }
    for function in &manifest.functions {
        check(&function.export(), Signature::new(&[I32], &[I64]))?;
    }
    Ok(())
}

fn describe(signature: Option<Signature>, ty: &EntityType) -> String {
    match (signature, ty) {
        (Some(signature), _) => signature.to_string(),
        (None, EntityType::Memory(_)) => "a memory".to_owned(),
        (None, EntityType::Global(_)) => "a global".to_owned(),
        (None, EntityType::Table(_)) => "a table".to_owned(),
        (None, _) => "not a function".to_owned(),
    }
}

#[cfg(test)]
mod tests;
