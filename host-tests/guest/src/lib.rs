//! What any wasm filter costs: one that does nothing, and configured as `copy` nothing but take the head of each request,
//! which every filter does that looks at it.
#![cfg(target_family = "wasm")]

use std::hint::black_box;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Guest { copies: false }) });
}}

#[derive(Clone, Copy)]
struct Guest {
    copies: bool,
}

impl Context for Guest {}

impl RootContext for Guest {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.copies = self.get_plugin_configuration().is_some_and(|words| words == b"copy");
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(*self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Guest {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        if self.copies {
            black_box(self.get_http_request_headers_bytes());
        }
        Action::Continue
    }
}
