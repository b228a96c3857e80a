//! Values that requests of several kinds have, and what they must look like.

use super::fields::Field;
use crate::core::command::Source;
use crate::core::event::Refusal;
use crate::core::ids::ParticipantId;

pub(super) const PARTICIPANT_FORM: &str = "a participant id: `p-` and 13 characters, as the server gave it";
pub(super) const SOURCE_FORM: &str = "`microphone`, `camera`, `screen` or `screen-audio`";

pub(super) fn source(field: &Field<'_>) -> Result<Source, Refusal> {
    let name = field.string(SOURCE_FORM)?;
    let source = Source::ALL.into_iter().find(|source| source.as_str() == name);
    source.ok_or_else(|| field.wrong(SOURCE_FORM))
}

pub(super) fn participant(field: &Field<'_>) -> Result<ParticipantId, Refusal> {
    field.string(PARTICIPANT_FORM)?.parse().map_err(|_| field.wrong(PARTICIPANT_FORM))
}
