//! The part of the desk that is about reference data: assets, lists of indicators, places of addresses.
//!
//! Promise and failure as of [`crate::desk::Desk`]. What is wrong with a file is no failure: it is told line by line, and
//! nothing is changed.

use crate::account::Viewer;
use crate::desk::Answer;
use crate::model::reference::{AssetRow, AssetView, IntelView, NewList, Taken, Wrong};

/// See the module.
pub trait ReferenceDesk {
    /// The assets of the viewer's units, and who sends and is none.
    fn assets(&self, viewer: &Viewer) -> Answer<AssetView>;
    /// The assets that these host names and addresses are.
    fn assets_of(&self, viewer: &Viewer, names: &[String]) -> Answer<Vec<AssetRow>>;
    /// Takes a table in place of the one in force.
    fn import_assets(&self, viewer: &Viewer, table: &[u8], source: &str) -> Answer<Result<Taken, Wrong>>;
    /// Lists, places, and how far the look back is.
    fn intel(&self, viewer: &Viewer) -> Answer<IntelView>;
    /// Takes a list in place of the one of that name.
    fn import_list(&self, viewer: &Viewer, new: &NewList) -> Answer<Result<Taken, Wrong>>;
    /// Takes a list out of force.
    fn remove_list(&self, viewer: &Viewer, list: &str) -> Answer<()>;
}
