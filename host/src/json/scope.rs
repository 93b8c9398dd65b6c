//! Which types a value is in: a type that holds itself refers to one of them by its name.

use offshoot_abi::Type;

use super::error::{JsonError, JsonErrorKind};
use super::path::Path;

/// Nesting of a value at most: twice that of a manifest's types, because an entry of a map may be a
/// level of its own.
pub(super) const DEPTH_MAX: usize = 130;

/// The types around a value. It lives on the stack of the walk, as [`Path`] does.
#[derive(Clone, Copy, Default)]
pub(super) struct Scope<'a> {
    depth: usize,
    within: Option<&'a Within<'a>>,
    /// Whether what comes is what a variant holds, which has no name of its own.
    is_content: bool,
}

/// A type around a value, and those around it.
pub(super) struct Within<'a> {
    ty: &'a Type,
    outer: Scope<'a>,
}

impl<'a> Scope<'a> {
    /// The type that `ty` refers to, one level further down.
    pub(super) fn enter(self, ty: &'a Type, path: &Path<'_>) -> Result<Within<'a>, JsonError> {
        if self.depth > DEPTH_MAX {
            return Err(JsonErrorKind::TooDeep(DEPTH_MAX).at(path));
        }
        let ty = match ty {
            Type::Recursive(name) => self
                .named(name)
                .ok_or_else(|| JsonErrorKind::Opaque(name.clone()).at(path))?,
            ty => ty,
        };
        Ok(Within { ty, outer: self })
    }

    /// The same, for what a variant holds.
    pub(super) fn of_content(self) -> Self {
        Self {
            is_content: true,
            ..self
        }
    }

    fn named(self, name: &str) -> Option<&'a Type> {
        let mut within = self.within;
        while let Some(Within { ty, outer }) = within {
            match ty {
                Type::Newtype(own, _)
                | Type::TupleStruct(own, _)
                | Type::Struct(own, _)
                | Type::Enum(own, _)
                    if own == name && !outer.is_content =>
                {
                    return Some(ty);
                }
                _ => within = outer.within,
            }
        }
        None
    }
}

impl<'a> Within<'a> {
    pub(super) fn ty(&self) -> &'a Type {
        self.ty
    }

    /// The scope of the parts of the value.
    pub(super) fn scope<'b>(&'b self) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope {
            depth: self.outer.depth + 1,
            within: Some(self),
            is_content: false,
        }
    }
}
