//! The oracles can fail: each bug that is put in on purpose is found in a world that is known, and only because of it.
