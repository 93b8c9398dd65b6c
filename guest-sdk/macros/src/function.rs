//! `#[function]` on a free function.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Error, Ident, ItemFn, Signature, Visibility};

use crate::expand;
use crate::misplaced;
use crate::options::{self, Options};
use crate::registry;
use crate::signature::Callable;
use crate::text;
use crate::types::Errors;

/// A function that is about to be exported.
pub(crate) struct Function {
    pub(crate) vis: Visibility,
    /// The handle's name.
    pub(crate) handle: Ident,
    /// How Rust code calls the function: `uptime` or `Disk::free`.
    pub(crate) path: TokenStream,
    /// The name that callers use.
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) concurrent: bool,
    pub(crate) callable: Callable,
}

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(_) => return not_a_function(item),
    };
    let mut errors = Errors::default();
    let ident = &function.sig.ident;
    let place = Place {
        handle: ident.clone(),
        path: ident.to_token_stream(),
        prefix: String::new(),
    };
    let exported = Function::new(
        options,
        &function.attrs,
        &function.vis,
        &function.sig,
        place,
        &mut errors,
    );
    if errors.is_empty() && misplaced::is_in_unmarked_impl(&function, ident.span()) {
        errors.at(
            ident.span(),
            "an associated function needs `#[functions]` on its `impl` block, beside \
             `#[function]` here",
        );
    }
    if errors.is_empty() {
        let added = expand::function(&exported);
        return quote! { #function #added };
    }
    // Half an expansion would add the compiler's errors to those that say what is wrong, and
    // warnings about a function that cannot stay as it is would only hide them.
    let errors = errors.into_tokens();
    quote! { #[allow(unused)] #function #errors }
}

/// What depends on where a function stands.
pub(crate) struct Place {
    pub(crate) handle: Ident,
    pub(crate) path: TokenStream,
    /// Comes before the function's own name.
    pub(crate) prefix: String,
}

impl Function {
    pub(crate) fn new(
        options: TokenStream,
        attributes: &[Attribute],
        vis: &Visibility,
        signature: &Signature,
        place: Place,
        errors: &mut Errors,
    ) -> Self {
        let options = Options::parse(options, errors);
        let callable = Callable::new(signature, errors);
        let own = format!("{}{}", place.prefix, signature.ident.unraw());
        let (name, span) = match &options.name {
            Some(name) => (name.value(), name.span()),
            None => (own, signature.ident.span()),
        };
        let checked = match &options.name {
            Some(_) => Ok(()), // the options' parser has said it already
            None => options::check_name(&name).map_err(|reason| Error::new(span, reason)),
        };
        if let Err(error) = checked.and_then(|()| registry::claim(&name, span)) {
            errors.push(error);
        }
        Self {
            vis: vis.clone(),
            handle: place.handle,
            path: place.path,
            name,
            docs: text::docs(attributes),
            concurrent: options.concurrent,
            callable,
        }
    }
}

fn not_a_function(item: TokenStream) -> TokenStream {
    let error = match syn::parse2::<syn::Item>(item.clone()) {
        Ok(syn::Item::Impl(block)) => Error::new(
            block.impl_token.span,
            "write `#[functions]` on an `impl` block and `#[function]` on the functions in it",
        ),
        Ok(syn::Item::Struct(syn::ItemStruct { ident, .. }))
        | Ok(syn::Item::Enum(syn::ItemEnum { ident, .. })) => Error::new(
            ident.span(),
            "`#[function]` goes on functions: for a type that they take or return write `#[data]`",
        ),
        // A declaration without a body, as in a trait, is not an item of its own.
        _ => Error::new_spanned(&item, "`#[function]` goes on a function with a body"),
    };
    let error = error.into_compile_error();
    quote! { #item #error }
}
