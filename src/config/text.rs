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

/// Has a number be read from text as from a file: what is no number at all
/// gets the sentence of 0, which none of them takes.
macro_rules! number {
    ($type:ty, $raw:ty) => {
        impl std::str::FromStr for $type {
            type Err = crate::config::BadValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.parse().unwrap_or(0))
            }
        }

        impl From<$type> for $raw {
            fn from(value: $type) -> Self {
                value.0
            }
        }
    };
}

/// Has the variants of `$name` be words: `$why` says which, for who gives
/// another.
macro_rules! as_word {
    ($name:ident, $why:literal, $($variant:ident = $word:literal),+) => {
        impl std::str::FromStr for $name {
            type Err = crate::config::BadValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(crate::config::BadValue::new($why)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }
    };
}

pub(super) use {as_text, as_word, number};
