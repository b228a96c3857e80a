//! The impure shell: sockets, clock, entropy. It moves bytes and time, and decides nothing about media or rooms.
