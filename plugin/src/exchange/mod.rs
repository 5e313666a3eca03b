//! The requests of one worker. The way of one: [`arriving`] reads it, [`judging`] decides on it, [`settling`] carries that
//! out; where facts are missing it stands, [`parked`], in the [`crowd`] until [`waking`] goes on with it; once it went on, [`answer`]
//! reads what the forge says. [`withheld`] is about proxies that show no body while its head waits.

mod answer;
mod arriving;
mod crowd;
mod judging;
mod parked;
mod recalled;
mod report;
mod settling;
mod waking;
mod withheld;

pub(crate) use crowd::{Crowd, Landed};
pub(crate) use recalled::Recalled;
pub(crate) use settling::Ids;
pub(crate) use withheld::Shows;

use std::rc::Rc;

use policy::access::Protocol;
use policy::bindings::Moment;
use policy::decision::{Ages, Decision, Facts};
use policy::request::{JobRequest, Pending};

use parked::Parked;

/// What becomes of a request.
#[derive(Debug)]
enum Next {
    /// It is no job's, as far as it was seen, and goes on untouched.
    Passes,
    /// It is decided on.
    Decided(Box<Decided>),
    /// It waits for its body, until then.
    AwaitsBody(Box<Pending>, Moment),
    /// It waits for facts.
    AwaitsFacts(Box<Parked>),
}

/// A decision, and on what.
#[derive(Debug)]
struct Decided {
    decision: Rc<Decision>,
    protocol: Protocol,
    /// What it was made from: a request that could be read, and what was known.
    case: Option<(JobRequest, Facts)>,
    /// How old that was, where nothing was waited for.
    ages: Option<Ages>,
}

impl Next {
    fn decided(decision: impl Into<Rc<Decision>>, protocol: Protocol, case: Option<(JobRequest, Facts)>) -> Self {
        Self::Decided(Box::new(Decided { decision: decision.into(), protocol, case, ages: None }))
    }
}
