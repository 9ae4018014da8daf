// SPDX-License-Identifier: Apache-2.0
//
// PrometheusText.swift
// The text exposition format, version 0.0.4.

/// Writes families one after the other.
struct PrometheusText {
    private(set) var text = ""

    mutating func append(_ family: MetricFamily) {
        text += "# HELP \(family.name) \(LabelText.escaped(family.help, quotes: false))\n"
        text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
        for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
            switch series {
            case .counter(let counter): append(family.name, labels, "\(counter.value)")
            case .gauge(let gauge): append(family.name, labels, "\(gauge.value)")
            case .sampled(let read): append(family.name, labels, Self.number(read()))
            case .histogram(let histogram): append(histogram, family.name, labels)
            }
        }
        if let collector = family.collector {
            var writer = SampleWriter(name: family.name, labelNames: collector.labelNames)
            collector.collect(&writer)
            text += writer.text
        }
    }

    private mutating func append(_ name: String, _ labels: String, _ value: String) {
        text += name
        text += labels
        text += " "
        text += value
        text += "\n"
    }

    private mutating func append(_ histogram: Histogram, _ name: String, _ labels: String) {
        let snapshot = histogram.snapshot()
        let opening = labels.isEmpty ? "{" : labels.dropLast() + ","
        var cumulative: UInt64 = 0
        for (index, count) in snapshot.counts.enumerated() {
            cumulative += count
            let bound =
                index < snapshot.bounds.count ? Self.number(Self.scaled(snapshot.bounds[index], histogram)) : "+Inf"
            append(name + "_bucket", opening + "le=\"\(bound)\"}", "\(cumulative)")
        }
        append(name + "_sum", labels, Self.number(Self.scaled(snapshot.sum, histogram)))
        append(name + "_count", labels, "\(cumulative)")
    }

    /// `value` in the printed unit; divides when the scale is a fraction, so that 2500000 ns print as 0.0025.
    private static func scaled(_ value: UInt64, _ histogram: Histogram) -> Double {
        histogram.scale < 1 ? Double(value) / (1 / histogram.scale).rounded() : Double(value) * histogram.scale
    }

    /// A number as Prometheus reads it; whole numbers without a fraction.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }
}

/// What a collected family writes its samples into during a scrape.
public struct SampleWriter {
    private let name: String
    private let labelNames: [String]
    private(set) var text = ""

    init(name: String, labelNames: [String]) {
        precondition(labelNames.allSatisfy(LabelText.isLabelName), "\(labelNames) are no label names")
        self.name = name
        self.labelNames = labelNames
    }

    /// Writes one sample; `labels` are the values of the family's labels in order, and no two samples share them.
    public mutating func sample(_ value: Double, _ labels: String...) {
        precondition(labels.count == labelNames.count, "\(name) has labels \(labelNames), not \(labels)")
        text += name
        for (index, label) in labels.enumerated() {
            text += index == 0 ? "{" : ","
            text += labelNames[index]
            text += "=\""
            text += LabelText.escaped(label, quotes: true)
            text += "\""
        }
        text += labels.isEmpty ? " " : "} "
        text += PrometheusText.number(value)
        text += "\n"
    }
}
