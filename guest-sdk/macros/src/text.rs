//! Writes tokens the way a programmer would: `Vec<(String, u32)>`, not `Vec < (String , u32) >`.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The source text of a type.
pub(crate) fn source(item: &impl ToTokens) -> String {
    let mut text = String::new();
    write(&mut text, item.to_token_stream());
    text
}

/// The doc comment that `attributes` make up.
pub(crate) fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(line),
                ..
            }) if meta.path.is_ident("doc") => Some(line.value()),
            _ => None,
        }
    });
    let text: Vec<String> = lines
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect();
    text.join("\n").trim().to_owned()
}

fn write(text: &mut String, tokens: TokenStream) {
    let mut after_word = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(text, group.stream());
                text.push_str(close);
                after_word = false;
            }
            TokenTree::Punct(punct) => {
                match punct.as_char() {
                    mark @ (',' | ';') => text.extend([mark, ' ']),
                    mark @ ('+' | '=') => text.extend([' ', mark, ' ']),
                    mark => text.push(mark),
                }
                after_word = false;
            }
            word @ (TokenTree::Ident(_) | TokenTree::Literal(_)) => {
                if after_word {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
                after_word = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::{Type, parse_quote};

    #[track_caller]
    fn check(ty: Type, want: &str) {
        assert_eq!(source(&ty), want);
    }

    #[test]
    fn types_read_as_they_were_written() {
        check(
            parse_quote!(Vec<(String, [u8; 4])>),
            "Vec<(String, [u8; 4])>",
        );
        check(
            parse_quote!(Box<dyn std::error::Error + Send>),
            "Box<dyn std::error::Error + Send>",
        );
        check(parse_quote!(()), "()");
    }

    #[test]
    fn docs_lose_one_space_and_keep_their_lines() {
        let attributes: Vec<Attribute> = vec![
            parse_quote!(#[doc = " One."]),
            parse_quote!(#[inline]),
            parse_quote!(#[doc = ""]),
            parse_quote!(#[doc = "   Indented."]),
        ];
        assert_eq!(docs(&attributes), "One.\n\n  Indented.");
    }
}
