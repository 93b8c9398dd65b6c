//! Writes what a function gets beside it: its handle, its record and its export.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::function::Function;
use crate::text;
use crate::types::Supplied;

/// The items that stand beside the function.
pub(crate) fn function(function: &Function) -> TokenStream {
    let Function {
        vis, handle, name, ..
    } = function;
    let docs = format!("Handle of the function `{name}`, for calling it in another context.");
    let implementation = implementation(function);
    let checks = checks(function);
    let export = export(function);
    quote! {
        #[doc = #docs]
        #[allow(non_camel_case_types, dead_code)]
        #vis enum #handle {}

        // Native builds do not know the names in the condition of exports.
        #[allow(unexpected_cfgs)]
        const _: () = {
            #implementation
            #checks
            #export
        };
    }
}

/// When a crate's functions become exports of the module: not where the crate is a dependency of
/// the plugin that is built, which uses its handles. Only `offshoot-build` can tell the two apart;
/// without it, all plugins in a module are in it whole, and hosts refuse more than one.
pub(crate) fn exported() -> TokenStream {
    quote! { all(target_arch = "wasm32", any(not(offshoot_build), offshoot_root)) }
}

/// The shape of a type, or its name when it has none.
pub(crate) fn shape(ty: &Type) -> TokenStream {
    let written = text::source(ty);
    quote_spanned! {ty.span()=>
        match ::offshoot_guest::__private::Probe::<#ty>::SHAPE {
            ::core::option::Option::Some(shape) => shape,
            ::core::option::Option::None =>
                ::offshoot_guest::__private::Shape::Opaque(#written),
        }
    }
}

fn implementation(function: &Function) -> TokenStream {
    let Function {
        handle,
        name,
        concurrent,
        ..
    } = function;
    let types = function.callable.arguments.iter().map(|(_, ty)| ty);
    let fields = function.callable.arguments.iter().map(|(name, ty)| {
        let name = name.unraw().to_string();
        let shape = shape(ty);
        quote! { ::offshoot_guest::__private::Field { name: #name, shape: #shape } }
    });
    let returned = &function.callable.returned.ty;
    let output = quote_spanned! {returned.span()=> __Value };
    let written = text::source(&function.callable.returned.value);
    let result = quote_spanned! {returned.span()=>
        match ::offshoot_guest::__private::Probe::<__Value>::SHAPE {
            ::core::option::Option::Some(shape) => shape,
            ::core::option::Option::None =>
                ::offshoot_guest::__private::Shape::Opaque(#written),
        }
    };
    quote! {
        #[allow(unused_imports)]
        use ::offshoot_guest::__private::{NoResult as _, NoSchema as _, Returned as _};

        const __FALLIBLE: bool = ::offshoot_guest::__private::Probe::<#returned>::IS_RESULT;
        type __Value = <#returned as ::offshoot_guest::__private::Returned<__FALLIBLE>>::Value;
        type __Error = <#returned as ::offshoot_guest::__private::Returned<__FALLIBLE>>::Error;

        const __ARGUMENTS: &[::offshoot_guest::__private::Field] = &[#(#fields),*];
        const __RESULT: ::offshoot_guest::__private::Shape = #result;

        impl ::offshoot_guest::__private::Function for #handle {
            const PLUGIN: &'static str = ::core::env!("CARGO_PKG_NAME");
            const NAME: &'static str = #name;
            const SIGNATURE: u64 =
                ::offshoot_guest::__private::record::signature(__ARGUMENTS, &__RESULT);
            const CONCURRENT: bool = #concurrent;
            type Arguments = (#(#types,)*);
            type Output = #output;
        }
    }
}

/// Demands natively too what only the export needs, so that `cargo check` finds it.
fn checks(function: &Function) -> TokenStream {
    let path = &function.path;
    let arguments = function.callable.arguments.iter().map(|(_, ty)| {
        quote_spanned! {ty.span()=> ::offshoot_guest::__private::argument::<#ty>(); }
    });
    let result = quote_spanned! {function.callable.returned.ty.span()=>
        ::offshoot_guest::__private::result::<__Value>();
        ::offshoot_guest::__private::error::<__Error>();
    };
    quote! {
        const _: fn() = || {
            // A private function is in use, though no Rust code calls it.
            let _ = #path;
            #(#arguments)*
            #result
        };
    }
}

fn export(function: &Function) -> TokenStream {
    let Function {
        name, path, docs, ..
    } = function;
    let arguments = &function.callable.arguments;
    let types = arguments.iter().map(|(_, ty)| ty);
    let names: Vec<_> = (0..arguments.len())
        .map(|index| format_ident!("__argument{index}"))
        .collect();
    let described: Vec<_> = arguments
        .iter()
        .map(|(name, ty)| format!("{}: {}", name.unraw(), text::source(ty)))
        .collect();
    let described = format!("({})", described.join(", "));
    let supplied = function.callable.supplied.iter().map(|kind| match kind {
        Supplied::Host => quote! { &::offshoot_guest::__private::host(), },
        Supplied::Router => quote! { &::offshoot_guest::__private::router(), },
    });
    let call = quote! { #path(#(#supplied)* #(#names),*) };
    let returned = &function.callable.returned.ty;
    let outcome = quote! {
        <#returned as ::offshoot_guest::__private::Returned<__FALLIBLE>>::outcome(#call).map_err(
            |error| {
                #[allow(unused_imports)]
                use ::offshoot_guest::__private::report::*;
                (&&&&&Caught(&error)).report()
            },
        )
    };
    let flags = flags(function);
    let error = &function.callable.returned.error;
    let export = format!("offshoot.call.{name}");
    let exported = exported();
    quote! {
        #[cfg(#exported)]
        const __RECORD: ::offshoot_guest::__private::record::FunctionRecord =
            ::offshoot_guest::__private::record::FunctionRecord {
                abi: ::offshoot_guest::__private::ABI_VERSION,
                sdk: ::offshoot_guest::__private::SDK_VERSION,
                plugin: ::core::env!("CARGO_PKG_NAME"),
                version: ::core::env!("CARGO_PKG_VERSION"),
                name: #name,
                docs: #docs,
                flags: #flags,
                arguments: __ARGUMENTS,
                result: __RESULT,
                error: if __FALLIBLE { #error } else { "" },
            };

        #[cfg(#exported)]
        #[allow(unsafe_code)]
        #[used]
        #[unsafe(link_section = "offshoot.v1")]
        static __BYTES: [u8; ::offshoot_guest::__private::record::function_len(&__RECORD)] =
            ::offshoot_guest::__private::record::function(&__RECORD);

        #[cfg(#exported)]
        #[allow(unsafe_code)]
        #[unsafe(export_name = #export)]
        extern "C" fn __call(length: u32) -> u64 {
            ::offshoot_guest::__private::call(
                length,
                #described,
                |(#(#names,)*): (#(#types,)*)| #outcome,
            )
        }
    }
}

fn flags(function: &Function) -> TokenStream {
    let mut flags = Vec::new();
    if function.concurrent {
        flags.push(quote!(::offshoot_guest::__private::record::FLAG_CONCURRENT));
    }
    flags.push(quote! {
        if __FALLIBLE { ::offshoot_guest::__private::record::FLAG_FALLIBLE } else { 0 }
    });
    for kind in &function.callable.supplied {
        flags.push(match kind {
            Supplied::Host => quote!(::offshoot_guest::__private::record::FLAG_TAKES_HOST),
            Supplied::Router => quote!(::offshoot_guest::__private::record::FLAG_TAKES_ROUTER),
        });
    }
    quote! { #((#flags))|* }
}
