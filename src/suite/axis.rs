use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What a matrix varies: one value or a list of them.
#[derive(Clone, Debug)]
pub(super) struct Axis<T>(Vec<T>);

impl<T> Default for Axis<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Axis<T> {
    pub(super) fn values(&self) -> &[T] {
        &self.0
    }

    /// Every value, or none once if there are none.
    pub(super) fn or_default(&self) -> Vec<Option<&T>> {
        let values: Vec<_> = self.0.iter().map(Some).collect();
        if values.is_empty() { vec![None] } else { values }
    }
}

// By hand: what is wrong with a value is known to its type alone, and a derived
// choice between the two forms would not tell.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Axis<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Forms(PhantomData))
    }
}

struct Forms<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Forms<T> {
    type Value = Axis<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Axis)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(text.into_deserializer()).map(|value| Axis(vec![value]))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(|value| Axis(vec![value]))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(|value| Axis(vec![value]))
    }
}
