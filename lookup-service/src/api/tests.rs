//! How what a caller sends is answered.
