//! Hostcalls that are made to fail.

use super::hostcall::{Hostcall, Status};

/// How a hostcall fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and returns this status.
    Status(Status),
    /// It traps the VM.
    Trap,
}

/// When a planned fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Once, after that many calls have passed.
    Once {
        passing: u64,
    },
    Always,
}

/// The faults a test has planned; the first plan for a call that is due strikes.
///
/// For [`Hostcall::MemoryAllocate`] any fault but [`Fault::Trap`] means that
/// the filter has no memory, so the call that wanted it returns
/// [`Status::InvalidMemoryAccess`]. WASI calls only know [`Fault::Trap`].
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plans: Vec<(Hostcall, When, Fault)>,
}

impl Faults {
    /// Makes the next call fail.
    pub fn next(&mut self, call: Hostcall, fault: Fault) {
        self.after(call, 0, fault);
    }

    /// Lets `passing` calls through and makes the one behind them fail.
    pub fn after(&mut self, call: Hostcall, passing: u64, fault: Fault) {
        self.plans.push((call, When::Once { passing }, fault));
    }

    /// Makes every call fail.
    pub fn always(&mut self, call: Hostcall, fault: Fault) {
        self.plans.push((call, When::Always, fault));
    }

    /// Forgets every plan.
    pub fn clear(&mut self) {
        self.plans.clear();
    }

    /// A call happens: does it fail?
    pub(super) fn strike(&mut self, call: Hostcall) -> Option<Fault> {
        let mut index = 0;
        while index < self.plans.len() {
            let (planned, when, fault) = &mut self.plans[index];
            if *planned == call {
                match when {
                    When::Always => return Some(*fault),
                    When::Once { passing: 0 } => {
                        let fault = *fault;
                        self.plans.remove(index);
                        return Some(fault);
                    }
                    // Plans for one call count its calls independently.
                    When::Once { passing } => *passing -= 1,
                }
            }
            index += 1;
        }
        None
    }
}
