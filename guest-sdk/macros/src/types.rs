//! Which types may stand in a signature, and what to write instead of the others.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Error, GenericArgument, Ident, Lifetime, PathArguments, ReturnType, Type, TypeBareFn,
    TypeImplTrait, TypeInfer, TypePtr, TypeReference, TypeTraitObject,
};

use crate::text;

/// All errors of an item, to be reported together.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(Error::new(span, message));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The `compile_error!` calls that report them; nothing when there are none.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

/// Reports whatever in `ty` cannot travel to another process. `role` is `argument` or `result`.
pub(crate) fn check(ty: &Type, role: &'static str, errors: &mut Errors) {
    Checker { role, errors }.visit_type(ty);
}

/// A parameter that the runtime fills in.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Supplied {
    Host,
    Router,
}

/// Recognises `&Host` and `&Router` by their last path segment: a macro sees names, not types.
pub(crate) fn supplied(ty: &Type) -> Option<Supplied> {
    let Type::Reference(TypeReference {
        mutability: None,
        elem,
        ..
    }) = ty
    else {
        return None;
    };
    match supplied_name(elem)? {
        HOST => Some(Supplied::Host),
        _ => Some(Supplied::Router),
    }
}

/// Reports a `Host` or `Router` that is taken in a way that the runtime cannot fill in; whether it
/// is one.
pub(crate) fn check_supplied(ty: &Type, errors: &mut Errors) -> bool {
    let taken = match ty {
        Type::Reference(reference) if reference.mutability.is_some() => &*reference.elem,
        Type::Path(_) => ty,
        _ => return false,
    };
    let Some(name) = supplied_name(taken) else {
        return false;
    };
    let own = match ty {
        Type::Path(_) => "; a type of your own needs another name",
        _ => "",
    };
    errors.at(
        ty.span(),
        format!(
            "the runtime fills in `&{name}`: write that instead of `{}`{own}",
            text::source(ty)
        ),
    );
    true
}

fn supplied_name(ty: &Type) -> Option<&'static str> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    [HOST, ROUTER].into_iter().find(|name| last.ident == name)
}

const HOST: &str = "Host";
const ROUTER: &str = "Router";

/// What a function returns. The compiler finds out whether it is a `Result`: a macro sees names, and
/// any name may stand for one.
pub(crate) struct Returned {
    /// The type as written, `()` when there is none.
    pub(crate) ty: Type,
    /// What success holds, as far as it can be read from the name.
    pub(crate) value: Type,
    /// How the error type is written, or would be, if the type is a `Result`.
    pub(crate) error: String,
}

impl Returned {
    pub(crate) fn new(output: &ReturnType, errors: &mut Errors) -> Self {
        let ty = match output {
            ReturnType::Default => Type::Verbatim(quote!(())),
            ReturnType::Type(_, ty) => Type::clone(ty),
        };
        // The error never travels as what it is, so it may be anything that can be displayed.
        let (value, error) = result_arguments(&ty).unwrap_or_else(|| (ty.clone(), "_".to_owned()));
        check(&value, "result", errors);
        Self { ty, value, error }
    }
}

/// The value type of what is named `Result`, and the text of its error type.
fn result_arguments(ty: &Type) -> Option<(Type, String)> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    if last.ident != "Result" {
        return None;
    }
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    let value = types.next()?.clone();
    let error = match types.next() {
        Some(error) => text::source(error),
        None => {
            // An alias such as `io::Result` has an error beside it, by convention.
            let all = text::source(path);
            let end = all.rfind("Result").unwrap_or(0);
            format!("{}Error", &all[..end])
        }
    };
    Some((value, error))
}

struct Checker<'a> {
    role: &'static str,
    errors: &'a mut Errors,
}

impl Checker<'_> {
    fn refuse(&mut self, span: Span, what: &str, remedy: &str) {
        let role = self.role;
        self.errors.at(
            span,
            format!("{what} cannot be part of a function's {role}: {remedy}"),
        );
    }
}

impl<'ast> Visit<'ast> for Checker<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let whole = Type::Reference(reference.clone());
        let written = format!("`{}`", text::source(&whole));
        match supplied(&whole) {
            Some(_) => self.refuse(
                reference.span(),
                &written,
                "a parameter that the runtime fills in comes first and by itself",
            ),
            None => self.refuse(
                reference.span(),
                "a reference",
                &format!("write `{}` instead of {written}", owned(&reference.elem)),
            ),
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.refuse(ty.span(), "`impl Trait`", "name a type");
    }

    fn visit_type_trait_object(&mut self, ty: &'ast TypeTraitObject) {
        self.refuse(
            ty.span(),
            "`dyn Trait`",
            "name a type, or write an enum of the types there are",
        );
    }

    fn visit_type_bare_fn(&mut self, ty: &'ast TypeBareFn) {
        self.refuse(
            ty.span(),
            "a function pointer",
            "it means nothing elsewhere",
        );
    }

    fn visit_type_ptr(&mut self, ty: &'ast TypePtr) {
        self.refuse(ty.span(), "a raw pointer", "pass the value itself");
    }

    fn visit_type_infer(&mut self, ty: &'ast TypeInfer) {
        self.refuse(ty.span(), "`_`", "name a type");
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        self.refuse(
            lifetime.span(),
            "a borrowed type",
            "use the owned type that it borrows from",
        );
    }

    fn visit_ident(&mut self, ident: &'ast Ident) {
        if ident == "Self" {
            self.refuse(
                ident.span(),
                "`Self`",
                "write the type's name, its callers have no `Self`",
            );
        }
    }

    fn visit_type(&mut self, ty: &'ast Type) {
        visit::visit_type(self, ty);
    }
}

/// The type to take instead of a reference to `ty`.
fn owned(ty: &Type) -> String {
    if let Type::Slice(slice) = ty {
        return format!("Vec<{}>", text::source(&slice.elem));
    }
    match text::source(ty).as_str() {
        "str" => "String".to_owned(),
        "Path" => "PathBuf".to_owned(),
        "std::path::Path" => "std::path::PathBuf".to_owned(),
        "CStr" | "OsStr" => "String".to_owned(),
        other => other.to_owned(),
    }
}
