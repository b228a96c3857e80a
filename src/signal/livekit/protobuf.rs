//! Protocol Buffers (proto3) for hand-written structs: a struct lists its fields with their tags, and this makes it a
//! `prost::Message`. Fields that are not listed are skipped when they come, and fields with their default value are not
//! written, as the encoding demands.
//!
//! `prost` reads varints, lengths and wire types, and limits how deep messages are nested. Its derive macro is not used: it
//! would bring four more packages for what the macro here does.

use std::collections::BTreeMap;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

/// Most elements that are read of a repeated field. The rest is passed over: no client that means well sends so many, and
/// an element of two bytes can become a struct of hundreds.
const REPEATED_MAX: usize = 512;

/// A struct that [`messages!`] has made a message, which may be part of another.
pub trait Part: Message + Default {}

/// The type of a field: how it is written, read and measured.
pub trait Field {
    /// Writes the field, unless it has its default value.
    fn write(&self, tag: u32, out: &mut impl BufMut);

    /// Reads one occurrence of the field.
    ///
    /// # Errors
    /// The bytes are not of this type.
    fn read(
        &mut self,
        wire: WireType,
        input: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError>;

    /// Returns how many bytes [`write`](Self::write) writes.
    fn length(&self, tag: u32) -> usize;
}

/// Implements [`Field`] for a type of one value, in its plain form and as one that may be absent.
macro_rules! scalars {
    ($($type:ty, $module:ident;)*) => {$(
        impl Field for $type {
            fn write(&self, tag: u32, out: &mut impl BufMut) {
                if *self != <$type>::default() {
                    encoding::$module::encode(tag, self, out);
                }
            }

            fn read(
                &mut self,
                wire: WireType,
                input: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                encoding::$module::merge(wire, self, input, context)
            }

            fn length(&self, tag: u32) -> usize {
                if *self == <$type>::default() { 0 } else { encoding::$module::encoded_len(tag, self) }
            }
        }

        impl Field for Option<$type> {
            fn write(&self, tag: u32, out: &mut impl BufMut) {
                if let Some(value) = self {
                    encoding::$module::encode(tag, value, out);
                }
            }

            fn read(
                &mut self,
                wire: WireType,
                input: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                encoding::$module::merge(wire, self.get_or_insert_default(), input, context)
            }

            fn length(&self, tag: u32) -> usize {
                self.as_ref().map_or(0, |value| encoding::$module::encoded_len(tag, value))
            }
        }
    )*};
}

scalars! {
    bool, bool;
    u32, uint32;
    i32, int32;
    i64, int64;
    f32, float;
    String, string;
    Vec<u8>, bytes;
}

impl<M: Part> Field for Option<M> {
    fn write(&self, tag: u32, out: &mut impl BufMut) {
        if let Some(message) = self {
            encoding::message::encode(tag, message, out);
        }
    }

    fn read(
        &mut self,
        wire: WireType,
        input: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        encoding::message::merge(wire, self.get_or_insert_default(), input, context)
    }

    fn length(&self, tag: u32) -> usize {
        self.as_ref().map_or(0, |message| encoding::message::encoded_len(tag, message))
    }
}

impl<M: Part> Field for Vec<M> {
    fn write(&self, tag: u32, out: &mut impl BufMut) {
        encoding::message::encode_repeated(tag, self, out);
    }

    fn read(
        &mut self,
        wire: WireType,
        input: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        encoding::message::merge_repeated(wire, self, input, context)?;
        self.truncate(REPEATED_MAX);
        Ok(())
    }

    fn length(&self, tag: u32) -> usize {
        encoding::message::encoded_len_repeated(tag, self)
    }
}

/// Implements [`Field`] for lists of what is no message: how each is written, read and measured.
macro_rules! lists {
    ($($type:ty, $module:ident, $write:ident, $length:ident;)*) => {$(
        impl Field for Vec<$type> {
            fn write(&self, tag: u32, out: &mut impl BufMut) {
                encoding::$module::$write(tag, self, out);
            }

            fn read(
                &mut self,
                wire: WireType,
                input: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                encoding::$module::merge_repeated(wire, self, input, context)?;
                self.truncate(REPEATED_MAX);
                Ok(())
            }

            fn length(&self, tag: u32) -> usize {
                encoding::$module::$length(tag, self)
            }
        }
    )*};
}

lists! {
    String, string, encode_repeated, encoded_len_repeated;
    // Numbers of an enumeration.
    i32, int32, encode_packed, encoded_len_packed;
}

impl Field for BTreeMap<String, String> {
    fn write(&self, tag: u32, out: &mut impl BufMut) {
        encoding::btree_map::encode(
            encoding::string::encode,
            encoding::string::encoded_len,
            encoding::string::encode,
            encoding::string::encoded_len,
            tag,
            self,
            out,
        );
    }

    fn read(
        &mut self,
        _wire: WireType,
        input: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        encoding::btree_map::merge(encoding::string::merge, encoding::string::merge, self, input, context)?;
        while self.len() > REPEATED_MAX {
            self.pop_last();
        }
        Ok(())
    }

    fn length(&self, tag: u32) -> usize {
        encoding::btree_map::encoded_len(
            encoding::string::encoded_len,
            encoding::string::encoded_len,
            tag,
            self,
        )
    }
}

/// Declares structs whose fields have tags, and makes them messages.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $tag:literal $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Part for $name {}

        impl prost::Message for $name {
            fn encode_raw(&self, out: &mut impl prost::bytes::BufMut) {
                $(Field::write(&self.$field, $tag, out);)*
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire: prost::encoding::WireType,
                input: &mut impl prost::bytes::Buf,
                context: prost::encoding::DecodeContext,
            ) -> Result<(), prost::DecodeError> {
                match tag {
                    $($tag => Field::read(&mut self.$field, wire, input, context),)*
                    _ => prost::encoding::skip_field(wire, tag, input, context),
                }
            }

            fn encoded_len(&self) -> usize {
                0 $(+ Field::length(&self.$field, $tag))*
            }

            fn clear(&mut self) {
                *self = Self::default();
            }
        }
    )*};
}
pub(super) use messages;
