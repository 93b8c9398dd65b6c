//! `#[offshoot::main]`: an async function with a router as a program's `main`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, FnArg, ItemFn};

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    match program(options, &item) {
        Ok(program) => program,
        Err(error) => {
            let error = error.into_compile_error();
            quote! { #error #[allow(unused)] fn main() {} }
        }
    }
}

fn program(options: TokenStream, item: &TokenStream) -> Result<TokenStream, Error> {
    if !options.is_empty() {
        return Err(Error::new_spanned(
            options,
            "`#[offshoot::main]` takes no options: build the router in a plain `main` instead",
        ));
    }
    let function: ItemFn = syn::parse2(item.clone()).map_err(|_| {
        Error::new_spanned(
            item,
            "`#[offshoot::main]` goes on an async function with a body",
        )
    })?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    if sig.asyncness.is_none() {
        return Err(Error::new_spanned(
            sig.fn_token,
            "the function must be `async`: it waits for contexts",
        ));
    }
    let parameter = match sig.inputs.first() {
        Some(FnArg::Typed(parameter)) if sig.inputs.len() == 1 => parameter,
        _ => {
            return Err(Error::new_spanned(
                &sig,
                "the function gets the router: write `async fn main(router: offshoot::Router)`",
            ));
        }
    };
    if let Some(parameter) = sig.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            "the function must not be generic",
        ));
    }
    let (name, output) = (&sig.ident, &sig.output);
    let (pattern, ty) = (&parameter.pat, &parameter.ty);
    Ok(quote! {
        #(#attrs)*
        #vis fn #name() #output {
            ::offshoot::run_with_router(async |#pattern: #ty| #output #block)
        }
    })
}
