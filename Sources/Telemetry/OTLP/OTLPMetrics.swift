// SPDX-License-Identifier: Apache-2.0
//
// OTLPMetrics.swift
// What Kafka clients push as metrics (KIP-714): the numbers of an OpenTelemetry `MetricsData`, and no more of it.
// Source of the field numbers: opentelemetry-proto 1.x, metrics/v1/metrics.proto.

/// One number of a metric.
public struct OTLPPoint: Equatable, Sendable {
    /// What a number is.
    public enum Kind: Equatable, Sendable {
        /// The value now.
        case gauge
        /// What was added since the last push.
        case delta(isMonotonic: Bool)
        /// What was added since the client's start.
        case cumulative(isMonotonic: Bool)
    }

    /// The metric's name, as `org.apache.kafka.producer.connection.creation.rate`.
    public var metric: String
    /// What the number is.
    public var kind: Kind
    /// The number; always finite.
    public var value: Double

    /// Makes a point.
    public init(metric: String, kind: Kind, value: Double) {
        self.metric = metric
        self.kind = kind
        self.value = value
    }
}

/// The numbers of one push.
public struct OTLPMetrics: Equatable, Sendable {
    /// Gauges and sums, in the order they were written; attributes of single points are left out.
    public private(set) var points: [OTLPPoint] = []
    /// Numbers that are not among the points: past the limit, not finite, without a value, or of histograms and summaries.
    public private(set) var ignored = 0

    private let pointsMax: Int

    /// Reads a `MetricsData` message, of which at most `pointsMax` points are kept.
    ///
    /// - Throws: when the bytes are no such message.
    /// - Cost: one pass; a name is copied for each metric.
    public init(decoding bytes: [UInt8], pointsMax: Int) throws(OTLPError) {
        self.pointsMax = pointsMax
        var data = ProtobufReader(bytes)
        while let resource = try data.next() {
            guard resource.number == 1, case .bytes(let range) = resource.value else { continue }
            var scopes = ProtobufReader(bytes, range)
            while let scope = try scopes.next() {
                guard scope.number == 2, case .bytes(let range) = scope.value else { continue }
                var metrics = ProtobufReader(bytes, range)
                while let metric = try metrics.next() {
                    guard metric.number == 2, case .bytes(let range) = metric.value else { continue }
                    try read(metric: range, of: bytes)
                }
            }
        }
    }

    /// Reads a `Metric`: its name is field 1, and one of the fields from 5 on holds its points.
    private mutating func read(metric range: Range<Int>, of bytes: [UInt8]) throws(OTLPError) {
        var name = ""
        var data: (number: UInt64, range: Range<Int>)?
        var reader = ProtobufReader(bytes, range)
        while let field = try reader.next() {
            guard case .bytes(let range) = field.value else { continue }
            switch field.number {
            case 1: name = try reader.text(range)
            case 5, 7, 9, 10, 11: data = (field.number, range)
            default: break
            }
        }
        guard let data else { return }
        // The points of a sum come before what says which kind of sum it is.
        var isCumulative = false
        var isMonotonic = false
        var points: [Range<Int>] = []
        var fields = ProtobufReader(bytes, data.range)
        while let field = try fields.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let range)): points.append(range)
            case (2, .varint(let temporality)): isCumulative = temporality == 2
            case (3, .varint(let flag)): isMonotonic = flag != 0
            default: break
            }
        }
        let kind: OTLPPoint.Kind
        switch data.number {
        case 5: kind = .gauge
        case 7: kind = isCumulative ? .cumulative(isMonotonic: isMonotonic) : .delta(isMonotonic: isMonotonic)
        default: return ignored += points.count
        }
        for range in points {
            guard let value = try Self.value(of: range, in: bytes), value.isFinite, self.points.count < pointsMax else {
                ignored += 1
                continue
            }
            self.points.append(OTLPPoint(metric: name, kind: kind, value: value))
        }
    }

    /// The number of a `NumberDataPoint`: a double in field 4, or an integer in field 6; nil when it says there is none.
    private static func value(of range: Range<Int>, in bytes: [UInt8]) throws(OTLPError) -> Double? {
        var value: Double?
        var isMissing = false
        var reader = ProtobufReader(bytes, range)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (4, .fixed64(let bits)): value = Double(bitPattern: bits)
            case (6, .fixed64(let bits)): value = Double(Int64(bitPattern: bits))
            case (8, .varint(let flags)): isMissing = flags & 1 == 1
            default: break
            }
        }
        return isMissing ? nil : value
    }
}
