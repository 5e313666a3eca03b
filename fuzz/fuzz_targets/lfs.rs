//! Git LFS: heads, and the body of a batch.
#![no_main]

jobscope_fuzz::target!(Lfs);
