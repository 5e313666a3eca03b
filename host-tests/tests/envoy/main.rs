//! What only a real Envoy can show. One program for all of it: to link it takes longer than to compile what is new in it.

mod behaviours;
mod bench;
mod births;
mod counters;
mod credentials;
mod crowd;
mod demo;
mod demo_run;
mod faults;
mod fleet;
mod gitea;
mod lfs;
mod log_forms;
mod lookups;
mod minted;
mod people;
mod reload;
mod secrets;
mod several;
mod soak;
mod withheld;
