/// Has serde read and write a type as the text that people write: by its
/// `FromStr` and its `Display`. The type says so with
/// `#[serde(try_from = "String", into = "String")]`.
macro_rules! as_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = crate::config::BadValue;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

pub(super) use as_text;
