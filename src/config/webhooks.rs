//! The settings of webhooks: the addresses of receivers, and the key that signs what they are sent.

use super::setting::{Raw, Rule, Setting, list, quoted};
use crate::access::KEY_CHARS_MAX;
use crate::net::WebhookUrl;

impl Setting for Vec<WebhookUrl> {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        raw.items()?.into_iter().map(|item| item.parse().ok()).collect()
    }

    fn show(&self) -> String {
        list(self.iter().map(WebhookUrl::to_string))
    }

    fn expected(_: &Rule) -> String {
        "a list of http and https addresses, such as [\"https://example.org/strait\"]".to_owned()
    }
}

/// The id of a key; empty if none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for KeyId {
    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let text = raw.text()?;
        let fits = text.len() <= KEY_CHARS_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }

    fn expected(_: &Rule) -> String {
        "the id of a key of auth.keys".to_owned()
    }
}
