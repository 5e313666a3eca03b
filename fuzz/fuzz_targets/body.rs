//! Forms, JSON and multipart bodies.
#![no_main]

jobscope_fuzz::target!(Body);
