//! Writes out the types that a signature only names.

use std::collections::HashSet;

use offshoot_abi::{FunctionInfo, Known, NamedType, Type};

/// The definitions of all named types of some functions, as a Rust programmer would write them,
/// each before the types that it uses.
pub(super) fn of_functions<'a>(
    functions: impl IntoIterator<Item = &'a FunctionInfo>,
) -> Vec<String> {
    let mut found = Found::default();
    for function in functions {
        found.arguments(function);
        found.visit(&function.result);
    }
    found.definitions
}

/// The definitions of the types that a caller passes.
pub(super) fn of_arguments(function: &FunctionInfo) -> Vec<String> {
    let mut found = Found::default();
    found.arguments(function);
    found.definitions
}

#[derive(Default)]
struct Found {
    definitions: Vec<String>,
    seen: HashSet<String>,
}

impl Found {
    fn arguments(&mut self, function: &FunctionInfo) {
        for argument in &function.arguments {
            self.visit(&argument.ty);
        }
    }

    fn visit(&mut self, ty: &Type) {
        // What `std` and the SDK have needs no definition; only what is in it does.
        match (ty.known(), ty) {
            (None, _) => {}
            (Some(Known::Collection), Type::Newtype(_, inner)) => return self.visit(inner),
            (Some(Known::Sender), Type::TupleStruct(_, parts)) => {
                return parts.iter().skip(1).for_each(|part| self.visit(part));
            }
            (Some(_), _) => return,
        }
        if let Some(definition) = definition(ty) {
            if !self.seen.insert(definition.clone()) {
                return;
            }
            self.definitions.push(definition);
        }
        match ty {
            Type::Option(inner) | Type::Seq(inner) | Type::Array(inner, _) => self.visit(inner),
            Type::Newtype(_, inner) => self.visit(inner),
            Type::Map(key, value) => {
                self.visit(key);
                self.visit(value);
            }
            Type::Tuple(parts) | Type::TupleStruct(_, parts) => {
                parts.iter().for_each(|part| self.visit(part));
            }
            Type::Struct(_, fields) => fields.iter().for_each(|field| self.visit(&field.ty)),
            Type::Enum(_, variants) => {
                for variant in variants {
                    self.content(&variant.content);
                }
            }
            _ => {}
        }
    }

    /// What stands behind a variant's name has no name of its own.
    fn content(&mut self, content: &Type) {
        match content {
            Type::Newtype(_, inner) => self.visit(inner),
            Type::TupleStruct(_, parts) => parts.iter().for_each(|part| self.visit(part)),
            Type::Struct(_, fields) => fields.iter().for_each(|field| self.visit(&field.ty)),
            _ => {}
        }
    }
}

fn definition(ty: &Type) -> Option<String> {
    Some(match ty {
        Type::Newtype(name, inner) => format!("struct {name}({inner})"),
        Type::TupleStruct(name, parts) => format!("struct {name}({})", joined(parts)),
        Type::Struct(name, fields) => format!("struct {name} {}", braced(fields)),
        Type::Enum(name, variants) => {
            let variants: Vec<String> = variants
                .iter()
                .map(|variant| match &variant.content {
                    Type::Newtype(_, inner) => format!("{}({inner})", variant.name),
                    Type::TupleStruct(_, parts) => format!("{}({})", variant.name, joined(parts)),
                    Type::Struct(_, fields) => format!("{} {}", variant.name, braced(fields)),
                    _ => variant.name.clone(),
                })
                .collect();
            format!("enum {name} {{ {} }}", variants.join(", "))
        }
        Type::Opaque(name) => format!("{name}: no schema, so it cannot be written as JSON"),
        _ => return None,
    })
}

fn joined(parts: &[Type]) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    parts.join(", ")
}

fn braced(fields: &[NamedType]) -> String {
    if fields.is_empty() {
        return "{}".to_owned();
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|field| format!("{}: {}", field.name, field.ty))
        .collect();
    format!("{{ {} }}", fields.join(", "))
}
