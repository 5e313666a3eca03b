//! What was measured.

use std::fmt;

use serde::Serialize;

use super::peer::Peer;

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Envoy's CPU for each request.
    Cpu,
    /// The CPU for each request of the service that Envoy asks.
    Service,
    /// Half of the answers took no longer.
    P50,
    /// 99 of 100.
    P99,
    /// 999 of 1,000.
    P999,
    /// From the start of Envoy to its first answer.
    Start,
    /// And its CPU until then.
    StartCpu,
    /// The memory that Envoy has.
    Resident,
    /// Of a body.
    Throughput,
    /// Envoy's CPU for a body.
    BodyCpu,
    /// Questions about one token, for each worker.
    Lookups,
    /// Envoy's CPU for one request, for so long at most its worker does nothing else.
    Hold,
    /// Of the filter.
    Size,
}

impl Measure {
    /// What it is called in a table.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Cpu => "CPU of Envoy for a request",
            Self::Service => "CPU of the service asked, for a request",
            Self::P50 => "latency, p50",
            Self::P99 => "latency, p99",
            Self::P999 => "latency, p99.9",
            Self::Start => "start, until the first answer",
            Self::StartCpu => "CPU of the start",
            Self::Resident => "memory",
            Self::Throughput => "throughput of a body",
            Self::BodyCpu => "CPU of Envoy for a body",
            Self::Lookups => "lookups of each worker",
            Self::Hold => "CPU of Envoy for one request: its hold of a worker",
            Self::Size => "size of the filter",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Cpu | Self::Service => "us",
            Self::P50 | Self::P99 | Self::P999 | Self::Hold => "ms",
            Self::Start | Self::StartCpu | Self::BodyCpu => "s",
            Self::Resident => "MiB",
            Self::Throughput => "MiB/s",
            Self::Lookups => "",
            Self::Size => "KiB",
        }
    }

    /// The better end of a row of values: what disturbs a round makes it slower, never faster.
    fn best(self, values: &[f64]) -> f64 {
        match self {
            Self::Throughput => values.iter().copied().fold(0.0, f64::max),
            _ => values.iter().copied().fold(f64::INFINITY, f64::min),
        }
    }
}

/// One value for each round.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is of.
    pub measure: Measure,
    /// The kind of request, or what else was done.
    pub what: String,
    /// By whom.
    pub peer: Peer,
    /// In the order of rounds.
    pub values: Vec<f64>,
}

impl Figure {
    /// The least; of a throughput the most.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.measure.best(&self.values)
    }

    /// The one in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(1, 2)
    }

    /// How far the middle half of them is apart.
    #[must_use]
    pub fn spread(&self) -> f64 {
        self.quantile(3, 4) - self.quantile(1, 4)
    }

    fn quantile(&self, part: usize, of: usize) -> f64 {
        quantile(self.values.clone(), part, of)
    }
}

/// The value below which so large a part of them is; 0 of none.
pub(super) fn quantile(mut values: Vec<f64>, part: usize, of: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last * part).div_ceil(of)).copied().unwrap_or(0.0)
}

/// All that was measured in one run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Figures(pub Vec<Figure>);

impl Figures {
    pub(super) fn add(&mut self, measure: Measure, what: impl fmt::Display, peer: Peer, value: f64) {
        let what = what.to_string();
        let same = |figure: &&mut Figure| figure.measure == measure && figure.what == what && figure.peer == peer;
        match self.0.iter_mut().find(same) {
            Some(figure) => figure.values.push(value),
            None => self.0.push(Figure { measure, what, peer, values: vec![value] }),
        }
    }

    pub(super) fn find(&self, measure: Measure, what: &str, peer: Peer) -> Option<&Figure> {
        self.0.iter().find(|figure| figure.measure == measure && figure.what == what && figure.peer == peer)
    }

    pub(super) fn least(&self, measure: Measure, what: &str, peer: Peer) -> Option<f64> {
        self.find(measure, what, peer).map(Figure::least)
    }

    /// How a peer stands to no filter. They are compared round by round, since what else the machine does is much the same
    /// for neighbours, and the one in the middle counts.
    pub(super) fn beside_none(
        &self,
        measure: Measure,
        what: &str,
        peer: Peer,
        compare: fn((&f64, &f64)) -> f64,
    ) -> Option<f64> {
        let (own, none) = (self.find(measure, what, peer)?, self.find(measure, what, Peer::None)?);
        Some(quantile(own.values.iter().zip(&none.values).map(compare).collect(), 1, 2))
    }

    /// How much more of Envoy's CPU a request takes than without a filter.
    pub(super) fn over(&self, what: &str, peer: Peer) -> Option<f64> {
        self.beside_none(Measure::Cpu, what, peer, |(own, none)| own - none)
    }

    /// How many times as much more as another.
    pub(super) fn times(&self, what: &str, peer: Peer, other: Peer) -> Option<f64> {
        Some(self.over(what, peer)? / self.over(what, other)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_its_least_its_median_and_how_far_its_middle_half_is_apart() {
        let figure = |measure, values: &[f64]| Figure {
            measure,
            what: String::new(),
            peer: Peer::None,
            values: values.to_vec(),
        };
        let one = figure(Measure::Cpu, &[5.0, 1.0, 3.0, 2.0, 100.0]);
        assert_eq!((one.least(), one.median(), one.spread()), (1.0, 3.0, 3.0));
        assert_eq!(figure(Measure::Throughput, &[1.0, 2.0]).least(), 2.0);
        assert_eq!(quantile(Vec::new(), 1, 2), 0.0);
    }

    #[test]
    fn what_a_filter_costs_is_what_comes_on_top_of_none() {
        let mut figures = Figures::default();
        // In the second round the machine is slow, and in the third it is disturbed.
        for (none, copy, jobscope) in [(50.0, 60.0, 65.0), (70.0, 80.0, 85.0), (50.0, 50.0, 99.0)] {
            for (peer, value) in [(Peer::None, none), (Peer::Copy, copy), (Peer::Jobscope, jobscope)] {
                figures.add(Measure::Cpu, "git", peer, value);
            }
        }
        assert_eq!(figures.over("git", Peer::Copy), Some(10.0));
        assert_eq!(figures.times("git", Peer::Jobscope, Peer::Copy), Some(1.5));
        assert_eq!(figures.times("git", Peer::Jobscope, Peer::Lua), None);
    }
}
