//! Metrics: values by name for the whole process, identifiers per VM.

use std::collections::BTreeMap;

use super::hostcall::Status;

/// The low bits of an identifier say what it names, as in Envoy.
const KIND_MASK: u32 = 3;
const COUNTER: u32 = 0;
const GAUGE: u32 = 1;
const HISTOGRAM: u32 = 2;

/// The process's statistics.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    values: BTreeMap<String, i64>,
    samples: BTreeMap<String, Vec<u64>>,
}

/// One VM's identifiers.
#[derive(Debug, Default)]
pub(super) struct MetricIds {
    names: BTreeMap<u32, String>,
    defined: [u32; 3],
}

impl MetricIds {
    fn name(&self, id: u32) -> Result<&str, Status> {
        // Envoy looks a counter up, and says BadArgument where it finds none.
        let missing = if id & KIND_MASK == COUNTER { Status::BadArgument } else { Status::NotFound };
        self.names.get(&id).map(String::as_str).ok_or(missing)
    }
}

impl Metrics {
    pub(super) fn define(&mut self, ids: &mut MetricIds, kind: u32, name: &str) -> Result<u32, Status> {
        let defined = ids.defined.get_mut(kind as usize).ok_or(Status::BadArgument)?;
        *defined += 1;
        let id = *defined * (KIND_MASK + 1) + kind;
        ids.names.insert(id, name.to_owned());
        if kind == HISTOGRAM {
            self.samples.entry(name.to_owned()).or_default();
        } else {
            self.values.entry(name.to_owned()).or_default();
        }
        Ok(id)
    }

    pub(super) fn increment(&mut self, ids: &MetricIds, id: u32, offset: i64) -> Result<(), Status> {
        let kind = id & KIND_MASK;
        if !matches!(kind, COUNTER | GAUGE) {
            return Err(Status::BadArgument);
        }
        let name = ids.name(id)?;
        if kind == COUNTER && offset <= 0 {
            return Err(Status::BadArgument);
        }
        *self.values.entry(name.to_owned()).or_default() += offset;
        Ok(())
    }

    pub(super) fn record(&mut self, ids: &MetricIds, id: u32, value: u64) -> Result<(), Status> {
        let name = ids.names.get(&id).ok_or(Status::NotFound)?.clone();
        match id & KIND_MASK {
            COUNTER => *self.values.entry(name).or_default() += value as i64,
            GAUGE => *self.values.entry(name).or_default() = value as i64,
            _ => self.samples.entry(name).or_default().push(value),
        }
        Ok(())
    }

    pub(super) fn value(&self, name: &str) -> Option<i64> {
        self.values.get(name).copied()
    }

    pub(super) fn samples(&self, name: &str) -> Option<&[u64]> {
        self.samples.get(name).map(Vec::as_slice)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().chain(self.samples.keys()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_only_rise_and_gauges_are_shared() {
        let mut metrics = Metrics::default();
        let (mut one, mut two) = (MetricIds::default(), MetricIds::default());
        let counter = metrics.define(&mut one, COUNTER, "requests").unwrap();
        assert_eq!(metrics.increment(&one, counter, 2), Ok(()));
        assert_eq!(metrics.increment(&one, counter, 0), Err(Status::BadArgument));
        assert_eq!(metrics.increment(&one, counter, -1), Err(Status::BadArgument));
        let gauge = metrics.define(&mut two, GAUGE, "waiting").unwrap();
        assert_eq!(metrics.increment(&two, gauge, 3), Ok(()));
        assert_eq!(metrics.increment(&two, gauge, -1), Ok(()));
        assert_eq!((metrics.value("requests"), metrics.value("waiting")), (Some(2), Some(2)));
        assert_eq!(metrics.record(&two, counter, 1), Err(Status::NotFound));
        assert_eq!(metrics.define(&mut two, 3, "what"), Err(Status::BadArgument));
    }
}
