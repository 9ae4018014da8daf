// SPDX-License-Identifier: Apache-2.0
//
// ClientMetricTable.swift
// What clients pushed, summed up by client id and software: few enough series for Prometheus, whatever clients send.

import Model
import Telemetry

/// The series of all clients.
///
/// Clients of the same id and software share a series: of what only grows it has the sum, of everything else the largest
/// value that one of them has now.
struct ClientMetricTable {
    /// Metrics that may have series at all; what has another name is dropped.
    static let namesMax = 256
    /// What one client may hold in gauges.
    static let gaugesOfInstanceMax = 128

    private struct Key: Hashable {
        var name: String
        var client: TelemetryClient
    }

    private let seriesMax: Int
    private var names: Set<String> = []
    private var counters: [Key: Double] = [:]
    /// By series, the values of the clients that share it.
    private var gauges: [Key: [UniqueID: Double]] = [:]
    /// The series that each client has a value in.
    private var gaugesOf: [UniqueID: Set<Key>] = [:]
    /// The last sums of clients that push what they counted since their start.
    private var totals: [UniqueID: [String: Double]] = [:]
    private var seriesCount = 0

    /// Makes a table with at most `seriesMax` series, and one more for each name in which the rest is counted together.
    init(seriesMax: Int) { self.seriesMax = seriesMax }

    /// What stands in the labels when there are too many.
    private static let overflow = TelemetryClient(
        clientID: CounterFamily.overflowLabel, software: CounterFamily.overflowLabel)

    // MARK: Pushes

    /// What became of a push.
    struct Outcome: Equatable {
        /// Metrics that were not there before, to be registered.
        var newMetrics: [ClientMetricName] = []
        /// Points that found no room.
        var dropped = 0
    }

    /// Takes the points of one push.
    mutating func take(_ points: [OTLPPoint], from instance: UniqueID, _ client: TelemetryClient) -> Outcome {
        var outcome = Outcome()
        // Points of one metric that differ in attributes are one value: their sum where they are counted, else the largest.
        var counted: [ClientMetricName: Double] = [:]
        var sums: [ClientMetricName: Double] = [:]
        var values: [ClientMetricName: Double] = [:]
        for point in points {
            guard let name = ClientMetricName(point) else {
                outcome.dropped += 1
                continue
            }
            if !names.contains(name.text) {
                guard names.count < Self.namesMax else {
                    outcome.dropped += 1
                    continue
                }
                names.insert(name.text)
                outcome.newMetrics.append(name)
            }
            switch point.kind {
            case .gauge: values[name] = max(values[name] ?? point.value, point.value)
            case .delta(isMonotonic: true): counted[name, default: 0] += max(0, point.value)
            case .cumulative(isMonotonic: true): sums[name, default: 0] += max(0, point.value)
            case .delta(isMonotonic: false):
                let key = key(name, client, isGauge: true)
                let before = values[name] ?? gauges[key]?[instance] ?? 0
                values[name] = before + point.value
            case .cumulative(isMonotonic: false): values[name, default: 0] += point.value
            }
        }
        for (name, sum) in sums {
            let last = totals[instance]?[name.text] ?? 0
            // A smaller sum than before: the client counts anew.
            counted[name, default: 0] += sum >= last ? sum - last : sum
            totals[instance, default: [:]][name.text] = sum
        }
        for (name, value) in counted { add(value, to: key(name, client, isGauge: false)) }
        for (name, value) in values where !set(value, of: instance, key(name, client, isGauge: true)) {
            outcome.dropped += 1
        }
        return outcome
    }

    /// Forgets a client: its gauges go, and with the last client of its labels, as `isLast` says, what they counted.
    mutating func forget(_ instance: UniqueID, _ client: TelemetryClient, isLast: Bool) {
        totals[instance] = nil
        for key in gaugesOf.removeValue(forKey: instance) ?? [] {
            gauges[key]?[instance] = nil
            guard gauges[key]?.isEmpty ?? false else { continue }
            gauges[key] = nil
            if key.client != Self.overflow { seriesCount -= 1 }
        }
        guard isLast, client != Self.overflow else { return }
        for key in counters.keys where key.client == client {
            counters[key] = nil
            seriesCount -= 1
        }
    }

    // MARK: Scrapes

    /// The series of one metric, in a stable order.
    func series(of name: ClientMetricName) -> [(client: TelemetryClient, value: Double)] {
        var found: [(client: TelemetryClient, value: Double)] = []
        if name.kind == .counter {
            for (key, value) in counters where key.name == name.text { found.append((key.client, value)) }
        } else {
            for (key, values) in gauges where key.name == name.text {
                if let largest = values.values.max() { found.append((key.client, largest)) }
            }
        }
        return found.sorted { ($0.client.clientID, $0.client.software) < ($1.client.clientID, $1.client.software) }
    }

    // MARK: Series

    /// The series of a metric and a client: of its own while there is room.
    private func key(_ name: ClientMetricName, _ client: TelemetryClient, isGauge: Bool) -> Key {
        let own = Key(name: name.text, client: client)
        let isThere = isGauge ? gauges[own] != nil : counters[own] != nil
        return isThere || seriesCount < seriesMax ? own : Key(name: name.text, client: Self.overflow)
    }

    private mutating func add(_ value: Double, to key: Key) {
        if counters[key] == nil, key.client != Self.overflow { seriesCount += 1 }
        counters[key, default: 0] += value
    }

    /// Whether there was room.
    private mutating func set(_ value: Double, of instance: UniqueID, _ key: Key) -> Bool {
        let mine = gaugesOf[instance] ?? []
        guard mine.contains(key) || mine.count < Self.gaugesOfInstanceMax else { return false }
        if gauges[key] == nil, key.client != Self.overflow { seriesCount += 1 }
        gauges[key, default: [:]][instance] = value
        gaugesOf[instance, default: []].insert(key)
        return true
    }
}

/// A client's metric under the name that Prometheus gets.
struct ClientMetricName: Hashable, Sendable {
    /// The longest name.
    static let bytesMax = 200

    /// Endings that say of a name what a gauge is not.
    private static let taken = ["_total", "_count", "_sum", "_bucket"]

    let text: String
    let kind: MetricKind

    /// Nil for a name that has nothing that could be kept.
    ///
    /// Counters and only they end in `_total`, so two metrics of one name are of one kind.
    init?(_ point: OTLPPoint) {
        switch point.kind {
        case .delta(isMonotonic: true), .cumulative(isMonotonic: true): kind = .counter
        default: kind = .gauge
        }
        let prefix = "org.apache.kafka."
        let name = point.metric.hasPrefix(prefix) ? point.metric.dropFirst(prefix.count) : point.metric[...]
        var words: [UInt8] = []
        for byte in name.utf8.prefix(Self.bytesMax) {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): words.append(byte)
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): words.append(byte | 0x20)
            default: if let last = words.last, last != UInt8(ascii: "_") { words.append(UInt8(ascii: "_")) }
            }
        }
        if words.last == UInt8(ascii: "_") { words.removeLast() }
        guard !words.isEmpty else { return nil }
        let text = "goulette_client_" + String(decoding: words, as: UTF8.self)
        switch kind {
        case .counter: self.text = text.hasSuffix("_total") ? text : text + "_total"
        default: self.text = Self.taken.contains { text.hasSuffix($0) } ? text + "_value" : text
        }
    }
}
