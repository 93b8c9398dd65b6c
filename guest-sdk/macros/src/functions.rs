//! `#[functions]` on an `impl` block.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Ident, ImplItem, ImplItemFn, ItemImpl, Meta, Type};

use crate::expand;
use crate::function::{Function, Place};
use crate::types::Errors;

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut block = match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(block) => block,
        Err(_) => {
            let error = Error::new_spanned(
                &item,
                "`#[functions]` goes on an `impl` block: a free function takes `#[function]`",
            );
            let error = error.into_compile_error();
            return quote! { #item #error };
        }
    };
    let mut errors = Errors::default();
    if !options.is_empty() {
        errors.at(
            options.span(),
            "`#[functions]` has no options: give them to `#[function]`",
        );
    }
    let owner = owner(&block, &mut errors);
    let mut exported = Vec::new();
    let mut marks = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(function) = item else {
            continue;
        };
        if let Some(mark) = take_mark(&mut function.attrs) {
            marks.push(mark.path().clone());
            exported.extend(export(function, mark, owner.as_ref(), &mut errors));
        }
    }
    if exported.is_empty() && errors.is_empty() {
        errors.at(
            block.impl_token.span,
            "nothing in this block is marked `#[function]`",
        );
    }
    // The attribute is gone from the functions, but what imported it is not unused.
    let uses = quote! { const _: () = { #(#[allow(unused_imports)] use #marks as _;)* }; };
    if errors.is_empty() {
        let added: TokenStream = exported.iter().map(expand::function).collect();
        return quote! { #block #added #uses };
    }
    let errors = errors.into_tokens();
    quote! { #[allow(unused)] #block #errors #uses }
}

/// The type whose block this is.
fn owner(block: &ItemImpl, errors: &mut Errors) -> Option<Ident> {
    if let Some((_, path, _)) = &block.trait_ {
        errors.at(
            path.span(),
            "functions of a trait cannot be exported: put them into an `impl` block of the type",
        );
    }
    for parameter in &block.generics.params {
        errors.at(
            parameter.span(),
            "functions of a generic type cannot be exported: write the concrete type",
        );
    }
    match &*block.self_ty {
        Type::Path(path) if path.qself.is_none() => path.path.get_ident().cloned(),
        _ => None,
    }
    .or_else(|| {
        errors.at(
            block.self_ty.span(),
            "write the type by its plain name, which becomes part of the functions' names",
        );
        None
    })
}

fn export(
    function: &ImplItemFn,
    mark: Attribute,
    owner: Option<&Ident>,
    errors: &mut Errors,
) -> Option<Function> {
    let options = match mark.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens,
        Meta::NameValue(meta) => {
            errors.at(
                meta.span(),
                "write the options in parentheses: `#[function(...)]`",
            );
            return None;
        }
    };
    let ident = &function.sig.ident;
    let owner = owner?;
    let place = Place {
        handle: format_ident!("{owner}_{}", ident.unraw(), span = ident.span()),
        path: quote! { #owner::#ident },
        prefix: format!("{}::", owner.unraw()),
    };
    Some(Function::new(
        options,
        &function.attrs,
        &function.vis,
        &function.sig,
        place,
        errors,
    ))
}

/// Removes `#[function]` from the attributes, by whatever path it is written.
fn take_mark(attributes: &mut Vec<Attribute>) -> Option<Attribute> {
    let is_mark = |attribute: &Attribute| {
        let last = attribute.path().segments.last();
        last.is_some_and(|segment| segment.ident == "function")
    };
    let index = attributes.iter().position(is_mark)?;
    Some(attributes.remove(index))
}
