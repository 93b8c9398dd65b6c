//! Our side. (Placeholder until the library is there.)

use anyhow::Result;

use crate::arguments::Arguments;
use crate::row::Row;
use crate::side::{Sample, Side};

pub(crate) struct Ours;

impl Ours {
    pub(crate) fn new(_: &Arguments) -> Result<Self> {
        Ok(Self)
    }
}

impl Side for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn prepare(&self, _: Row) -> Result<Option<Sample>> {
        Ok(None)
    }
}
