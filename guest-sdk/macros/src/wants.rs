//! `wants!`: the grants that a plugin needs.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, LitStr, Token};

use crate::expand;
use crate::types::Errors;

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let wants = match Punctuated::<Want, Token![,]>::parse_terminated.parse2(input) {
        Ok(wants) => wants,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    for Want { grant, .. } in &wants {
        let text = grant.value();
        if !is_grant(&text) {
            errors.at(
                grant.span(),
                format!(
                    "`{text}` is not a grant: write `read:/DIR`, `write:/DIR`, `env:NAME` or \
                     `router`"
                ),
            );
        }
    }
    if !errors.is_empty() {
        return errors.into_tokens();
    }
    let exported = expand::exported();
    wants
        .iter()
        .map(|Want { grant, reason }| {
            quote! {
                #[allow(unexpected_cfgs)]
                const _: () = {
                    #[cfg(#exported)]
                    const __RECORD: ::offshoot_guest::__private::record::WantRecord =
                        ::offshoot_guest::__private::record::WantRecord {
                            grant: #grant,
                            reason: #reason,
                        };

                    #[cfg(#exported)]
                    #[allow(unsafe_code)]
                    #[used]
                    #[unsafe(link_section = "offshoot.v1")]
                    static __BYTES: [u8; ::offshoot_guest::__private::record::want_len(&__RECORD)] =
                        ::offshoot_guest::__private::record::want(&__RECORD);
                };
            }
        })
        .collect()
}

/// The rule of `offshoot_abi::Grant`, which a macro cannot call; a test compares the two.
fn is_grant(text: &str) -> bool {
    if text == "router" {
        return true;
    }
    match text.split_once(':') {
        Some(("read" | "write", path)) => path.starts_with('/'),
        Some(("env", name)) => !name.is_empty() && !name.contains(['=', '\0']),
        _ => false,
    }
}

struct Want {
    grant: LitStr,
    reason: LitStr,
}

impl Parse for Want {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let grant = input.parse().map_err(|error| {
            Error::new(
                error.span(),
                "expected `\"GRANT\" = \"reason\"`, such as `\"read:/proc\" = \"uptime\"`",
            )
        })?;
        input.parse::<Token![=]>().map_err(|error| {
            Error::new(error.span(), "say what the grant is for: `= \"reason\"`")
        })?;
        Ok(Self {
            grant,
            reason: input.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_abi::Grant;

    #[test]
    fn the_macro_and_the_host_agree_on_what_a_grant_is() {
        for text in [
            "read:/",
            "read:/etc",
            "write:/var/tmp",
            "env:LANG",
            "read:etc",
            "read:",
            "write",
            "env:",
            "env:A=B",
            "env:A\0",
            "exec:/bin/sh",
            "",
            ":",
            "Read:/etc",
            "read:/a:b",
            "router",
            "router:",
            "Router",
        ] {
            assert_eq!(is_grant(text), text.parse::<Grant>().is_ok(), "{text:?}");
        }
    }
}
