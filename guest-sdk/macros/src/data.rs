//! `#[data]` on a struct or an enum.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Fields, GenericParam, Ident, Meta, Type, Variant};

use crate::case::Case;
use crate::expand;
use crate::serde_attributes::SerdeAttributes;
use crate::text;
use crate::types::Errors;

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let input = match syn::parse2::<DeriveInput>(item.clone()) {
        Ok(input) => input,
        Err(_) => {
            let error = Error::new_spanned(&item, "`#[data]` goes on a struct or an enum");
            let error = error.into_compile_error();
            return quote! { #item #error };
        }
    };
    let mut errors = Errors::default();
    if !options.is_empty() {
        errors.at(options.span(), "`#[data]` has no options");
    }
    check_derives(&input, &mut errors);
    check_generics(&input, &mut errors);
    let shape = shape(&input, &mut errors);
    if !errors.is_empty() {
        // Without its derives, serde's attributes would be errors too.
        let input = without_serde(input);
        let errors = errors.into_tokens();
        return quote! { #[allow(unused)] #input #errors };
    }
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        let bound = syn::parse_quote!(::offshoot_guest::Schema);
        parameter.bounds.push(bound);
    }
    let (with_bounds, _, _) = generics.split_for_impl();
    let (_, names, clause) = input.generics.split_for_impl();
    quote! {
        #[derive(
            ::offshoot_guest::__private::serde::Serialize,
            ::offshoot_guest::__private::serde::Deserialize,
        )]
        #[serde(crate = "::offshoot_guest::__private::serde")]
        #input

        const _: () = {
            #[allow(unused_imports)]
            use ::offshoot_guest::__private::NoSchema as _;

            impl #with_bounds ::offshoot_guest::Schema for #ident #names #clause {
                const SHAPE: ::offshoot_guest::__private::Shape = #shape;
            }
        };
    }
}

fn without_serde(mut input: DeriveInput) -> DeriveInput {
    let strip = |attributes: &mut Vec<Attribute>| {
        attributes.retain(|attribute| !attribute.path().is_ident("serde"));
    };
    strip(&mut input.attrs);
    let mut fields: Vec<&mut Fields> = Vec::new();
    match &mut input.data {
        Data::Struct(data) => fields.push(&mut data.fields),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                strip(&mut variant.attrs);
                fields.push(&mut variant.fields);
            }
        }
        Data::Union(_) => {}
    }
    for field in fields.into_iter().flat_map(Fields::iter_mut) {
        strip(&mut field.attrs);
    }
    input
}

fn check_derives(input: &DeriveInput, errors: &mut Errors) {
    for attribute in &input.attrs {
        let Meta::List(list) = &attribute.meta else {
            continue;
        };
        if !list.path.is_ident("derive") {
            continue;
        }
        for token in list.tokens.clone() {
            if let TokenTree::Ident(name) = token
                && matches!(
                    name.to_string().as_str(),
                    "Serialize" | "Deserialize" | "Schema"
                )
            {
                errors.at(
                    name.span(),
                    format!("`#[data]` implements `{name}` already: remove it from the derive"),
                );
            }
        }
    }
}

fn check_generics(input: &DeriveInput, errors: &mut Errors) {
    for parameter in &input.generics.params {
        match parameter {
            GenericParam::Type(_) => {}
            GenericParam::Lifetime(_) => errors.at(
                parameter.span(),
                "data that travels owns what it holds: use `String` instead of `&str`, `Vec<T>` \
                 instead of `&[T]`",
            ),
            GenericParam::Const(_) => errors.at(
                parameter.span(),
                "`#[data]` does not support const parameters: write the number",
            ),
        }
    }
}

fn shape(input: &DeriveInput, errors: &mut Errors) -> TokenStream {
    let serde = SerdeAttributes::parse(&input.attrs, errors);
    let own = &input.ident;
    let name = serde
        .rename
        .clone()
        .unwrap_or_else(|| own.unraw().to_string());
    match &input.data {
        Data::Struct(data) if serde.transparent => match data.fields.len() {
            1 => {
                let field = data.fields.iter().next().expect("there is one");
                SerdeAttributes::parse(&field.attrs, errors);
                field_shape(&field.ty, own)
            }
            _ => {
                errors.at(data.fields.span(), "`transparent` needs exactly one field");
                TokenStream::new()
            }
        },
        Data::Struct(data) => struct_shape(&data.fields, &name, &serde, own, errors),
        Data::Enum(data) => {
            let variants: Vec<_> = data
                .variants
                .iter()
                .map(|variant| variant_shape(variant, &serde, own, errors))
                .collect();
            quote! { ::offshoot_guest::__private::Shape::Enum(#name, &[#(#variants),*]) }
        }
        Data::Union(data) => {
            errors.at(
                data.union_token.span,
                "a union does not say which of its fields it holds: use an enum",
            );
            TokenStream::new()
        }
    }
}

fn struct_shape(
    fields: &Fields,
    name: &str,
    serde: &SerdeAttributes,
    own: &Ident,
    errors: &mut Errors,
) -> TokenStream {
    match fields {
        Fields::Unit => quote! { ::offshoot_guest::__private::Shape::Unit },
        Fields::Unnamed(_) if fields.len() == 1 => {
            let inner = unnamed(fields, own, errors);
            quote! { ::offshoot_guest::__private::Shape::Newtype(#name, &#(#inner)*) }
        }
        Fields::Unnamed(_) => {
            let parts = unnamed(fields, own, errors);
            quote! { ::offshoot_guest::__private::Shape::TupleStruct(#name, &[#(#parts),*]) }
        }
        Fields::Named(_) => {
            let fields = named(fields, serde.rename_all, own, errors);
            quote! { ::offshoot_guest::__private::Shape::Struct(#name, &[#(#fields),*]) }
        }
    }
}

fn variant_shape(
    variant: &Variant,
    container: &SerdeAttributes,
    own: &Ident,
    errors: &mut Errors,
) -> TokenStream {
    let serde = SerdeAttributes::parse(&variant.attrs, errors);
    let ident = variant.ident.unraw().to_string();
    let name = serde.rename.unwrap_or_else(|| match container.rename_all {
        Some(case) => case.variant(&ident),
        None => ident,
    });
    let fields = &variant.fields;
    let shape = match fields {
        Fields::Unit => quote! { Unit },
        Fields::Unnamed(_) if fields.len() == 1 => {
            let inner = unnamed(fields, own, errors);
            quote! { Newtype(&#(#inner)*) }
        }
        Fields::Unnamed(_) => {
            let parts = unnamed(fields, own, errors);
            quote! { Tuple(&[#(#parts),*]) }
        }
        Fields::Named(_) => {
            let case = serde.rename_all.or(container.rename_all_fields);
            let fields = named(fields, case, own, errors);
            quote! { Struct(&[#(#fields),*]) }
        }
    };
    quote! {
        ::offshoot_guest::__private::Variant {
            name: #name,
            shape: ::offshoot_guest::__private::VariantShape::#shape,
        }
    }
}

fn unnamed(fields: &Fields, own: &Ident, errors: &mut Errors) -> Vec<TokenStream> {
    let shape = |field: &syn::Field| {
        SerdeAttributes::parse(&field.attrs, errors);
        field_shape(&field.ty, own)
    };
    fields.iter().map(shape).collect()
}

fn named(
    fields: &Fields,
    case: Option<Case>,
    own: &Ident,
    errors: &mut Errors,
) -> Vec<TokenStream> {
    let field = |field: &syn::Field| {
        let serde = SerdeAttributes::parse(&field.attrs, errors);
        let ident = field.ident.as_ref().map(|name| name.unraw().to_string());
        let ident = ident.unwrap_or_default();
        let name = serde.rename.unwrap_or_else(|| match case {
            Some(case) => case.field(&ident),
            None => ident,
        });
        let shape = field_shape(&field.ty, own);
        quote! { ::offshoot_guest::__private::Field { name: #name, shape: #shape } }
    };
    fields.iter().map(field).collect()
}

/// A type that holds itself has no finite shape, so that field stays opaque.
fn field_shape(ty: &Type, own: &Ident) -> TokenStream {
    if mentions(ty.to_token_stream(), own) {
        let written = text::source(ty);
        return quote! { ::offshoot_guest::__private::Shape::Opaque(#written) };
    }
    expand::shape(ty)
}

fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name || ident == "Self",
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}
