//! Enums whose variants have a stable machine code and a sentence.

/// Makes an enum of rows `Variant "code" "sentence"`.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $code:literal $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $text] $variant,)* }

        impl $name {
            /// All of them with code and sentence.
            pub const ALL: &[(Self, &'static str, &'static str)] = &[$((Self::$variant, $code, $text),)*];

            /// The stable machine code.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

pub(crate) use coded;
