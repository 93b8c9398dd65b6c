//! Checks a function's signature and takes from it what the expansion needs.

use proc_macro2::Ident;
use syn::spanned::Spanned;
use syn::{FnArg, Pat, PatType, Signature, Type};

use crate::types::{self, Errors, Returned, Supplied};

/// Arguments of a function at most; a struct has names for more.
const ARGUMENTS_MAX: usize = 8;

/// A signature that can be called from another process.
pub(crate) struct Callable {
    /// What the runtime fills in, which comes first.
    pub(crate) supplied: Vec<Supplied>,
    /// What callers pass.
    pub(crate) arguments: Vec<(Ident, Type)>,
    /// What it returns.
    pub(crate) returned: Returned,
}

impl Callable {
    /// Reads `signature`, reporting everything in it that cannot work.
    pub(crate) fn new(signature: &Signature, errors: &mut Errors) -> Self {
        check_qualifiers(signature, errors);
        let mut supplied = Vec::new();
        let mut arguments = Vec::new();
        for input in &signature.inputs {
            let argument = match input {
                FnArg::Typed(argument) => argument,
                FnArg::Receiver(receiver) => {
                    errors.at(
                        receiver.self_token.span,
                        "a function with `self` cannot be called from another context, where \
                         there is no such value: pass what it needs as arguments",
                    );
                    continue;
                }
            };
            match types::supplied(&argument.ty) {
                Some(kind) if arguments.is_empty() && !supplied.contains(&kind) => {
                    supplied.push(kind);
                }
                _ if types::check_supplied(&argument.ty, errors) => {}
                _ => arguments.extend(self::argument(argument, errors)),
            }
        }
        if let Some((name, _)) = arguments.get(ARGUMENTS_MAX) {
            errors.at(
                name.span(),
                format!(
                    "a function has at most {ARGUMENTS_MAX} arguments: put them into a struct \
                     marked `#[data]`"
                ),
            );
        }
        Self {
            supplied,
            arguments,
            returned: Returned::new(&signature.output, errors),
        }
    }
}

fn argument(argument: &PatType, errors: &mut Errors) -> Option<(Ident, Type)> {
    types::check(&argument.ty, "argument", errors);
    match &*argument.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
            Some((pat.ident.clone(), Type::clone(&argument.ty)))
        }
        other => {
            errors.at(
                other.span(),
                "an argument needs a plain name, which callers see: take the value apart in the \
                 function's body",
            );
            None
        }
    }
}

fn check_qualifiers(signature: &Signature, errors: &mut Errors) {
    if let Some(token) = &signature.asyncness {
        errors.at(
            token.span(),
            "a plugin's function cannot be async: remove `async`, callers already wait for it \
             without blocking",
        );
    }
    if let Some(token) = &signature.unsafety {
        errors.at(
            token.span(),
            "a plugin's function cannot be unsafe: its callers are remote and can promise nothing",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(
            abi.span(),
            "a plugin's function is a plain Rust function: remove `extern`, the macro exports it",
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(variadic.span(), "take a `Vec<T>` instead of `...`");
    }
    for parameter in &signature.generics.params {
        errors.at(
            parameter.span(),
            "a plugin's function cannot be generic, because it is compiled before it is called: \
             write the concrete type",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.at(clause.span(), "a plugin's function has no use for `where`");
    }
}
