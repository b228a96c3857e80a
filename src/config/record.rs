//! Types of `[record]`: which rooms are recorded, and to whom traces are encrypted.

use super::setting::{Raw, Rule, Setting, list, quoted};
use crate::core::room_pattern::RoomPattern;
use crate::trace::Recipient;

impl Setting for Vec<RoomPattern> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        raw.items()?.into_iter().map(|item| item.parse().ok()).collect()
    }

    fn show(&self) -> String {
        list(self.iter().map(RoomPattern::to_string))
    }

    fn expected(_: &Rule) -> String {
        "a list of names in which * stands for any characters, such as [\"team-*\"]".to_owned()
    }
}

impl Setting for Option<Recipient> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        match raw.text()? {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        }
    }

    fn show(&self) -> String {
        quoted(&self.as_ref().map(Recipient::to_string).unwrap_or_default())
    }

    fn expected(_: &Rule) -> String {
        "a public key such as \"age1…\", which `strait trace keygen` prints".to_owned()
    }
}
