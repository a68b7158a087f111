//! Writes single metric families.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};
use wsbroker_core::HistogramStats;

use crate::histograms::{Scale, scaled};

/// Writes families, one after the other.
pub(crate) struct Families<'a>(pub(crate) DescriptorEncoder<'a>);

/// A family: its name without what the type or the unit adds, its unit, and what it counts.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) unit: Option<Unit>,
    pub(crate) help: &'static str,
}

pub(crate) const fn family(name: &'static str, help: &'static str) -> Family {
    Family { name, unit: None, help }
}

pub(crate) const fn bytes(name: &'static str, help: &'static str) -> Family {
    Family { name, unit: Some(Unit::Bytes), help }
}

pub(crate) const fn seconds(name: &'static str, help: &'static str) -> Family {
    Family { name, unit: Some(Unit::Seconds), help }
}

/// A label and a value for each of its values.
pub(crate) struct Labelled<V> {
    pub(crate) label: &'static str,
    pub(crate) values: Vec<(String, V)>,
}

impl<V> Labelled<V> {
    pub(crate) fn new<N: ToString>(label: &'static str, values: impl IntoIterator<Item = (N, V)>) -> Self {
        Self { label, values: values.into_iter().map(|(name, value)| (name.to_string(), value)).collect() }
    }
}

impl Families<'_> {
    pub(crate) fn info(&mut self, name: &'static str, help: &'static str, label: (&str, &str)) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Info)?;
        metric.encode_info(&[label])
    }

    pub(crate) fn gauge(&mut self, family: Family, value: f64) -> fmt::Result {
        let Family { name, unit, help } = family;
        self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?.encode_gauge(&value)
    }

    pub(crate) fn gauges(&mut self, family: Family, values: Labelled<f64>) -> fmt::Result {
        let Family { name, unit, help } = family;
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (name, value) in &values.values {
            metric.encode_family(&[(values.label, name.as_str())])?.encode_gauge(value)?;
        }
        Ok(())
    }

    pub(crate) fn counter(&mut self, family: Family, value: u64) -> fmt::Result {
        let Family { name, unit, help } = family;
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// A counter that has fractions.
    pub(crate) fn counter_of_seconds(&mut self, family: Family, value: f64) -> fmt::Result {
        let Family { name, unit, help } = family;
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    pub(crate) fn counters(&mut self, family: Family, values: Labelled<u64>) -> fmt::Result {
        let Family { name, unit, help } = family;
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (name, value) in &values.values {
            let labels = [(values.label, name.as_str())];
            let mut one = metric.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, _, f64>(value, None)?;
        }
        Ok(())
    }

    pub(crate) fn histogram(&mut self, family: Family, scale: Scale, stats: &HistogramStats) -> fmt::Result {
        let Family { name, unit, help } = family;
        let (sum, buckets) = scaled(stats, scale);
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(sum, stats.count(), &buckets, None)
    }

    pub(crate) fn histograms(&mut self, family: Family, scale: Scale, all: Labelled<&HistogramStats>) -> fmt::Result {
        let Family { name, unit, help } = family;
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        for (name, stats) in &all.values {
            let (sum, buckets) = scaled(stats, scale);
            let labels = [(all.label, name.as_str())];
            let mut one = metric.encode_family(&labels)?;
            one.encode_histogram::<NoLabelSet>(sum, stats.count(), &buckets, None)?;
        }
        Ok(())
    }
}
