//! Macros that write a layout down once, for both directions.

/// A structure: its fields, in order.
macro_rules! layout_struct {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl bincode::Encode for $type {
            #[inline]
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                $(bincode::Encode::encode(&self.$field, encoder)?;)*
                Ok(())
            }
        }
        impl<Context> bincode::Decode<Context> for $type {
            #[inline]
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                Ok(Self { $($field: bincode::Decode::decode(decoder)?,)* })
            }
        }
    };
}

/// A number with a type.
macro_rules! layout_number {
    ($($type:ident)*) => {$(
        impl bincode::Encode for $type {
            #[inline]
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                self.0.encode(encoder)
            }
        }
        impl<Context> bincode::Decode<Context> for $type {
            #[inline]
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                Ok(Self(bincode::Decode::decode(decoder)?))
            }
        }
    )*};
}

/// A value that is checked when it is read: `$get` makes its plain form, `$make` may refuse it.
macro_rules! layout_checked {
    ($type:ty as $plain:ty, $get:expr, $make:expr, $what:expr) => {
        impl bincode::Encode for $type {
            #[inline]
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                let get: fn(&$type) -> $plain = $get;
                get(self).encode(encoder)
            }
        }
        impl<Context> bincode::Decode<Context> for $type {
            #[inline]
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let make: fn($plain) -> Option<$type> = $make;
                make(bincode::Decode::decode(decoder)?)
                    .ok_or(bincode::error::DecodeError::Other($what))
            }
        }
    };
}

/// An enumeration of one byte, numbered as in `model`.
macro_rules! layout_code {
    ($type:ident { $($variant:ident),* $(,)? }) => {
        layout_checked!(
            $type as u8,
            |value| *value as u8,
            |code| match code {
                $(code if code == $type::$variant as u8 => Some($type::$variant),)*
                _ => None,
            },
            stringify!($type)
        );
    };
}

/// Writes a list with its length in front. The length type bounds it; the model bounds it tighter.
macro_rules! encode_list {
    ($items:expr, $length:ty, $encoder:expr) => {{
        let items = $items;
        let length = <$length>::try_from(items.len())
            .map_err(|_| bincode::error::EncodeError::Other("the list is too long"))?;
        bincode::Encode::encode(&length, $encoder)?;
        for item in items.iter() {
            bincode::Encode::encode(item, $encoder)?;
        }
    }};
}

/// Reads a list of at most `$max` items.
macro_rules! decode_list {
    ($list:ty, $length:ty, $max:expr, $decoder:expr, $what:literal) => {{
        let length = usize::from(<$length as bincode::Decode<_>>::decode($decoder)?);
        if $max < length {
            return Err(bincode::error::DecodeError::Other($what));
        }
        let mut list = <$list>::default();
        for _ in 0..length {
            list.push(bincode::Decode::decode($decoder)?);
        }
        list
    }};
}

/// A list behind a type alias or in a field: a local wrapper with a length in front.
macro_rules! layout_list {
    ($name:ident<$item:ty>, $list:ty, $length:ty, $max:expr, $what:literal) => {
        #[doc = concat!("The layout of a list of `", stringify!($item), "`.")]
        pub(super) struct $name<T>(pub(super) T);
        impl bincode::Encode for $name<&$list> {
            #[inline]
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                encode_list!(self.0, $length, encoder);
                Ok(())
            }
        }
        impl<Context> bincode::Decode<Context> for $name<$list> {
            #[inline]
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                Ok(Self(decode_list!($list, $length, $max, decoder, $what)))
            }
        }
    };
}

/// Fields as they stand, lists by their wrapper.
macro_rules! layout_with_lists {
    ($type:ident { $($field:ident $(as $list:ident<$inner:ty>)?),* $(,)? }) => {
        impl bincode::Encode for $type {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                $(layout_with_lists!(@ encode self, encoder, $field $($list)?);)*
                Ok(())
            }
        }
        impl<Context> bincode::Decode<Context> for $type {
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                Ok(Self {
                    $($field: layout_with_lists!(@ decode decoder, $($list<$inner>)?),)*
                })
            }
        }
    };
    (@ encode $self:ident, $encoder:ident, $field:ident) => { bincode::Encode::encode(&$self.$field, $encoder)? };
    (@ encode $self:ident, $encoder:ident, $field:ident $list:ident) => {
        bincode::Encode::encode(&$list(&$self.$field), $encoder)?
    };
    (@ decode $decoder:ident,) => { bincode::Decode::decode($decoder)? };
    (@ decode $decoder:ident, $list:ident<$inner:ty>) => {
        <$list<$inner> as bincode::Decode<_>>::decode($decoder)?.0
    };
}
