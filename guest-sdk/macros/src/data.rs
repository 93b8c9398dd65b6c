//! `#[data]` on a struct or an enum.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, GenericParam, Generics, Ident, Meta, Type, Variant,
};

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
    let (name, shape) = shape(&input, &mut errors);
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

            /// Stands for the type where it holds itself.
            #[allow(dead_code)]
            struct __Itself;

            impl ::offshoot_guest::Schema for __Itself {
                const SHAPE: ::offshoot_guest::__private::Shape =
                    ::offshoot_guest::__private::Shape::Recursive(#name);
            }

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

/// The name and the shape of the type.
fn shape(input: &DeriveInput, errors: &mut Errors) -> (String, TokenStream) {
    let serde = SerdeAttributes::parse(&input.attrs, errors);
    let name = serde
        .rename
        .clone()
        .unwrap_or_else(|| input.ident.unraw().to_string());
    let own = &Own {
        ident: &input.ident,
        // A transparent type is not seen, so that nothing can refer to it.
        parameters: (!serde.transparent).then(|| parameters(&input.generics)),
    };
    let shape = match &input.data {
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
    };
    (name, shape)
}

/// The type that the attribute is on.
struct Own<'a> {
    ident: &'a Ident,
    /// How its parameters are written where it means itself; `None` where nothing may refer to it.
    parameters: Option<String>,
}

fn parameters(generics: &Generics) -> String {
    let (_, names, _) = generics.split_for_impl();
    names.to_token_stream().to_string()
}

fn struct_shape(
    fields: &Fields,
    name: &str,
    serde: &SerdeAttributes,
    own: &Own<'_>,
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
    own: &Own<'_>,
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

fn unnamed(fields: &Fields, own: &Own<'_>, errors: &mut Errors) -> Vec<TokenStream> {
    let shape = |field: &syn::Field| {
        SerdeAttributes::parse(&field.attrs, errors);
        field_shape(&field.ty, own)
    };
    fields.iter().map(shape).collect()
}

fn named(
    fields: &Fields,
    case: Option<Case>,
    own: &Own<'_>,
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

/// Where a type holds itself, its shape refers to it; where it holds another form of itself, as
/// `List<T>` may hold a `List<Vec<T>>`, it has no finite shape.
fn field_shape(ty: &Type, own: &Own<'_>) -> TokenStream {
    if !mentions(ty.to_token_stream(), own.ident) {
        return expand::shape(ty);
    }
    let itself = without_own(ty.to_token_stream(), own);
    match syn::parse2(itself) {
        Ok(ty) if !mentions(quote!(#ty), own.ident) => expand::shape(&ty),
        _ => {
            let written = text::source(ty);
            quote! { ::offshoot_guest::__private::Shape::Opaque(#written) }
        }
    }
}

/// The type with `__Itself` in each place where it names its own type as it is declared.
fn without_own(tokens: TokenStream, own: &Own<'_>) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut out = TokenStream::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let in_path =
            at > 0 && matches!(&tokens[at - 1], TokenTree::Punct(mark) if mark.as_char() == ':');
        let end = match token {
            TokenTree::Ident(ident) if !in_path => end_of_own(ident, &tokens[at + 1..], own),
            _ => None,
        };
        match (end, token) {
            (Some(length), _) => {
                out.extend(quote!(__Itself));
                at += length;
            }
            (None, TokenTree::Group(group)) => {
                let inside = without_own(group.stream(), own);
                out.extend([TokenTree::from(Group::new(group.delimiter(), inside))]);
            }
            (None, token) => out.extend([token.clone()]),
        }
        at += 1;
    }
    out
}

/// How many of the tokens behind `ident` belong to the type itself, if it names that.
fn end_of_own(ident: &Ident, behind: &[TokenTree], own: &Own<'_>) -> Option<usize> {
    let parameters = own.parameters.as_ref()?;
    let is_mark =
        |token: &TokenTree, mark| matches!(token, TokenTree::Punct(it) if it.as_char() == mark);
    if ident == "Self" {
        return Some(0);
    }
    if ident != own.ident {
        return None;
    }
    let length = match behind.first() {
        Some(first) if is_mark(first, '<') => {
            let mut depth = 0;
            1 + behind.iter().position(|token| {
                depth += i32::from(is_mark(token, '<')) - i32::from(is_mark(token, '>'));
                depth == 0
            })?
        }
        _ => 0,
    };
    let written: TokenStream = behind[..length].iter().cloned().collect();
    let written = written.to_string().replace(", >", " >");
    (written == *parameters).then_some(length)
}

fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name || ident == "Self",
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}
