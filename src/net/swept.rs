//! A map of what is remembered of many, such as of addresses. Whoever need not be remembered any more is looked for now and
//! then, and the memory that a flood took is given back.

use std::collections::HashMap;

/// How many are remembered before those that can be forgotten are looked for.
pub const SWEEP_AT_LEAST: usize = 1024;

/// The map, and when it is swept next.
#[derive(Debug)]
pub struct Swept<K, V> {
    /// What is remembered.
    pub entries: HashMap<K, V>,
    sweep_at: usize,
}

impl<K, V> Default for Swept<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), sweep_at: SWEEP_AT_LEAST }
    }
}

impl<K: Eq + std::hash::Hash, V> Swept<K, V> {
    /// Forgets what `is_over`, if there is enough to be looked through. Called before something is put in.
    pub fn sweep(&mut self, mut is_over: impl FnMut(&mut V) -> bool) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, entry| !is_over(entry));
            // Not again before as many more have come: a sweep looks at all.
            self.sweep_at = (self.entries.len() * 2).max(SWEEP_AT_LEAST);
            self.entries.shrink_to(self.sweep_at);
        }
    }
}
