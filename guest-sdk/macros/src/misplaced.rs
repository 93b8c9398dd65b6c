//! Notices `#[function]` inside an `impl` block that lacks `#[functions]`.
//!
//! The macro is shown the function alone, and all that it could add would be refused there by
//! errors about enums and constants that the author never wrote. The file on disk shows where the
//! function stands. It is read only for functions that are indented, and what cannot be read is
//! left to the compiler.

use proc_macro2::Span;
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, ItemFn, ItemImpl, Signature};

/// Whether the file that `span` lies in has `function` in an unmarked `impl` block.
pub(crate) fn is_in_unmarked_impl(function: &ItemFn, span: Span) -> bool {
    if !proc_macro::is_available() {
        return false;
    }
    let span = span.unwrap();
    if span.column() <= 1 {
        return false;
    }
    let text = span
        .local_file()
        .and_then(|file| std::fs::read_to_string(file).ok());
    text.is_some_and(|text| has_in_unmarked_impl(&text, &function.sig))
}

fn has_in_unmarked_impl(text: &str, signature: &Signature) -> bool {
    let Ok(file) = syn::parse_file(text) else {
        return false;
    };
    let mut search = Search {
        signature: signature.to_token_stream().to_string(),
        found: false,
    };
    search.visit_file(&file);
    search.found
}

struct Search {
    signature: String,
    found: bool,
}

impl<'ast> Visit<'ast> for Search {
    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        let here = block.items.iter().any(|item| match item {
            ImplItem::Fn(function) => {
                is_marked(&function.attrs, "function")
                    && function.sig.to_token_stream().to_string() == self.signature
            }
            _ => false,
        });
        self.found |= here && !is_marked(&block.attrs, "functions");
        visit::visit_item_impl(self, block);
    }
}

fn is_marked(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| {
        let last = attribute.path().segments.last();
        last.is_some_and(|segment| segment.ident == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[track_caller]
    fn check(text: &str, want: bool) {
        let signature = parse_quote!(fn free(path: String) -> u64);
        assert_eq!(has_in_unmarked_impl(text, &signature), want);
    }

    #[test]
    fn only_an_unmarked_block_counts() {
        const FREE: &str = "fn free(path: String) -> u64 { 0 }";
        check(&format!("impl A {{ #[function] {FREE} }}"), true);
        check(
            &format!("mod a {{ impl A {{ #[sdk::function] {FREE} }} }}"),
            true,
        );
        check(
            &format!("#[functions] impl A {{ #[function] {FREE} }}"),
            false,
        );
        check(&format!("impl A {{ {FREE} }} #[function] {FREE}"), false);
        check(&format!("mod a {{ #[function] {FREE} }}"), false);
        check("impl A { #[function] fn free() {} }", false);
        check("impl {", false);
    }
}
