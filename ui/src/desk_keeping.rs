//! The part of the desk that is about how what is stored is kept: whether it was altered, evidence that is given away,
//! how long it stays.
//!
//! Promise and failure as of [`crate::desk::Desk`].

use crate::account::Viewer;
use crate::desk::{Answer, DeskError};
use crate::model::erasure::{ErasurePlan, ErasuresView, NewErasure};
use crate::model::proof::{EvidenceFile, NewCheck, ProofView};
use crate::model::retention::{HoldChange, NewHold, RetentionView};

/// See the module.
pub trait KeepingDesk {
    /// How the proof of the store stands.
    fn proof(&self, _viewer: &Viewer) -> Answer<ProofView> {
        Ok(ProofView::default())
    }
    /// An incident with its alerts, their events and all proofs, as one file.
    fn evidence(&self, _viewer: &Viewer, _number: u64) -> Answer<EvidenceFile> {
        Err(DeskError::NotFound)
    }
    /// How long what is stored is kept, what goes and what went; only for who sees the whole city.
    fn retention(&self, _viewer: &Viewer) -> Answer<RetentionView> {
        Ok(RetentionView::default())
    }
    /// Places a legal hold; its number. Times without a zone are those of the pages.
    fn place_hold(&self, _viewer: &Viewer, _new: &NewHold) -> Answer<u64> {
        Err(DeskError::NotFound)
    }
    /// Changes a legal hold.
    fn change_hold(&self, _viewer: &Viewer, _number: u64, _change: &HoldChange) -> Answer<()> {
        Err(DeskError::NotFound)
    }
    /// Has the job of retention run now.
    fn run_retention(&self, _viewer: &Viewer) -> Answer<()> {
        Err(DeskError::NotFound)
    }
    /// What was erased about persons; only for who sees the whole city.
    fn erasures(&self, _viewer: &Viewer) -> Answer<ErasuresView> {
        Ok(ErasuresView::default())
    }
    /// Counts what an erasure would touch; begins it where the count is confirmed ([`NewErasure::expect`]).
    fn erase(&self, _viewer: &Viewer, _new: &NewErasure) -> Answer<ErasurePlan> {
        Err(DeskError::NotFound)
    }
    /// The same count in the background, for the page; it stands in the view of whoever asked ([`ErasuresView::look`]).
    fn look_at_erasure(&self, _viewer: &Viewer, _new: &NewErasure) -> Answer<()> {
        Err(DeskError::NotFound)
    }
    /// Begins what the viewer has counted, on this basis, where the count that was typed is the one shown.
    fn confirm_erasure(&self, _viewer: &Viewer, _basis: &str, _typed: u64) -> Answer<()> {
        Err(DeskError::NotFound)
    }
    /// Lets the count go, and the receipt with it.
    fn forget_erasure(&self, _viewer: &Viewer) -> Answer<()> {
        Err(DeskError::NotFound)
    }
    /// Begins a check of the whole store in the background; one at a time ([`crate::Refusal::WrongState`]).
    fn start_check(&self, _viewer: &Viewer, _new: &NewCheck) -> Answer<()> {
        Err(DeskError::NotFound)
    }
}
