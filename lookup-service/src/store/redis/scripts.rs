//! What Redis does in one step, and nobody comes between: a file of Lua each.

use redis::Script;

macro_rules! scripts {
    ($($name:ident $file:literal)*) => {
        pub(super) struct Scripts { $(pub(super) $name: Script,)* }

        impl Scripts {
            pub(super) fn load() -> Self {
                Self { $($name: Script::new(concat!(include_str!("head.lua"), include_str!($file))),)* }
            }
        }
    };
}

scripts! {
    ask_token "ask_token.lua"
    put_running "put_running.lua"
    put_refused "put_refused.lua"
    ask_parts "ask_parts.lua"
    put_parts "put_parts.lua"
    change "change.lua"
    release "release.lua"
    lease "lease.lua"
    renew "renew.lua"
    end "end.lua"
    changes "changes.lua"
    running "running.lua"
    seen "seen.lua"
}
