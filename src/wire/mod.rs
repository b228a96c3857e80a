//! Bytes to values and back: no state, no allocation that a sender can size, never a panic.
