//! Which of serde's attributes `#[data]` understands.
//!
//! A schema describes the bytes that serde writes. Attributes that only rename are honoured,
//! attributes without effect on the bytes are let through, and all others are refused, because
//! a schema that lies misreads values without an error.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, LitStr, Token, parenthesized};

use crate::case::Case;
use crate::types::Errors;

/// What the attributes of a container, variant or field say.
#[derive(Default)]
pub(crate) struct SerdeAttributes {
    pub(crate) rename: Option<String>,
    /// For fields of a struct, variants of an enum, or fields of a variant.
    pub(crate) rename_all: Option<Case>,
    /// For fields of all variants of an enum.
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) transparent: bool,
}

impl SerdeAttributes {
    pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("serde") {
                let parsed = attribute.parse_nested_meta(|meta| {
                    if let Err(error) = found.one(&meta) {
                        errors.push(error);
                        skip(&meta)?;
                    }
                    Ok(())
                });
                if let Err(error) = parsed {
                    errors.push(error);
                }
            }
        }
        found
    }

    fn one(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string);
        match name.as_deref().unwrap_or_default() {
            "rename" => self.rename = Some(name_value(meta)?.value()),
            "rename_all" => self.rename_all = Some(case(meta)?),
            "rename_all_fields" => self.rename_all_fields = Some(case(meta)?),
            "transparent" => self.transparent = true,
            // Written is the same with them and without.
            "deny_unknown_fields" | "bound" | "expecting" => skip(meta)?,
            other @ ("default" | "alias") => {
                return Err(meta.error(format!(
                    "`{other}` has no effect here, where values travel without the names of their \
                     fields: leave it out, and use an `Option` for what may be missing"
                )));
            }
            // Deriving serde's traits by hand would not help: such values are not read back.
            other @ ("flatten" | "untagged" | "tag" | "content" | "skip_serializing_if") => {
                return Err(meta.error(format!(
                    "`{other}` needs a format that writes the names of fields, and values travel \
                     without: leave it out"
                )));
            }
            "crate" => {
                return Err(meta.error("`#[data]` sets `crate` itself: remove it"));
            }
            other => {
                return Err(meta.error(format!(
                    "`{other}` changes what serde writes, so the schema would no longer describe \
                     it: leave it out, or give up the schema by deriving `Serialize` and \
                     `Deserialize` instead of `#[data]`"
                )));
            }
        }
        Ok(())
    }
}

/// The string of `name = "..."`.
fn name_value(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    if meta.input.peek(syn::token::Paren) {
        return Err(meta.error(
            "names for reading and writing must be the same: write `rename = \"...\"` or \
             `rename_all = \"...\"`",
        ));
    }
    meta.value()?.parse()
}

fn case(meta: &ParseNestedMeta<'_>) -> syn::Result<Case> {
    let name = name_value(meta)?;
    Case::parse(&name.value())
        .ok_or_else(|| Error::new(name.span(), format!("there are {}", Case::NAMES)))
}

/// Passes over the value of an attribute, so that the next one can be read.
fn skip(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(syn::token::Paren) {
        let inner;
        parenthesized!(inner in meta.input);
        inner.parse::<proc_macro2::TokenStream>()?;
    } else if meta.input.peek(Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    }
    Ok(())
}
