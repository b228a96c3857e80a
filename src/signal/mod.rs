//! Adapters between a client's protocol and the core's commands and events. No media logic, no I/O.
