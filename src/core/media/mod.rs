//! The media half of a participant: what goes over its wire.
