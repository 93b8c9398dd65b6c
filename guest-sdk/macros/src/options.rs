//! The options of `#[function(...)]`.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Token};

use crate::types::Errors;

/// What the author asked for beside the defaults.
#[derive(Default)]
pub(crate) struct Options {
    /// Calls may run side by side.
    pub(crate) concurrent: bool,
    /// The name to be called by, instead of the function's own.
    pub(crate) name: Option<LitStr>,
}

impl Options {
    /// Reads the tokens between the parentheses.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let list = Punctuated::<Choice, Token![,]>::parse_terminated.parse2(tokens);
        let list = match list {
            Ok(list) => list,
            Err(error) => {
                errors.push(error);
                return options;
            }
        };
        for choice in list {
            match choice {
                Choice::Concurrent(at) if options.concurrent => {
                    errors.push(Error::new(at.span(), "`concurrent` is given twice"));
                }
                Choice::Concurrent(_) => options.concurrent = true,
                Choice::Name(name) if options.name.is_some() => {
                    errors.push(Error::new(name.span(), "`name` is given twice"));
                }
                Choice::Name(name) => {
                    if let Err(reason) = check_name(&name.value()) {
                        errors.push(Error::new(name.span(), reason));
                    }
                    options.name = Some(name);
                }
            }
        }
        options
    }
}

/// Whether a host would take `name`; the same rule as in `offshoot_abi::Manifest`.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':');
    match name {
        "" => Err("a function's name must not be empty"),
        _ if name.len() > 128 => Err("a function's name has at most 128 bytes"),
        _ if !name.chars().all(fits) => {
            Err("a function's name is made of letters, digits, `_`, `-` and `:`")
        }
        _ => Ok(()),
    }
}

enum Choice {
    Concurrent(Ident),
    Name(LitStr),
}

impl Parse for Choice {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let option: Ident = input.parse().map_err(|error| {
            Error::new(
                error.span(),
                "expected an option: `concurrent` or `name = \"...\"`",
            )
        })?;
        match option.to_string().as_str() {
            "concurrent" => Ok(Self::Concurrent(option)),
            "name" => {
                input.parse::<Token![=]>()?;
                Ok(Self::Name(input.parse()?))
            }
            other => Err(Error::new(
                option.span(),
                format!(
                    "`{other}` is not an option of `#[function]`: there are `concurrent` and \
                     `name = \"...\"`"
                ),
            )),
        }
    }
}
