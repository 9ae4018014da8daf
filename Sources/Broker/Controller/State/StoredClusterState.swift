// SPDX-License-Identifier: Apache-2.0
//
// StoredClusterState.swift
// The controller's stored state for people who look at it: read record by record, on behind what is damaged.

import LogStore
import Model

/// The stored state of the controller, as far as it can be read.
///
/// ``ClusterRecords/load(from:)`` takes all or nothing, as a broker must. Here a damaged record is left out and named.
/// Pure: whoever reads the store passes the records in, in any order, and calls ``check()`` behind the last one.
package struct StoredClusterState: Sendable {
    /// The counters, without topics and brokers; nil until their record was read.
    package private(set) var counters: ClusterState?
    /// In the order of their numbers.
    package private(set) var brokers: [BrokerRecord] = []
    /// In the order of their names.
    package private(set) var topics: [TopicRecord] = []
    /// What is set on consumer groups and share groups, in the order of their names.
    package private(set) var groups: [(name: String, configuration: [String: String])] = []
    /// The last operations that are wanted, oldest first.
    package private(set) var operations: [ClusterOperation] = []
    /// What was left out, and what contradicts something else; each a clause.
    package private(set) var flaws: [String] = []

    private var lastOperationRead: UInt64?

    package init() {}

    // MARK: The present state

    /// Takes a record of the present state; one of the history is passed over.
    package mutating func take(_ key: [UInt8], _ value: [UInt8]) {
        guard !ClusterRecords.isHistory(key) else { return }
        // Alone in a state of its own: what contradicts another record must not stop the reading.
        var one = ClusterState()
        do throws(BinaryCodingError) {
            try ClusterRecords.restore(key, value, into: &one)
        } catch {
            return flaws.append("\(Self.name(of: key)) cannot be read: \(error)")
        }
        if let topic = one.topics.values.first {
            var id = BinaryWriter([UInt8(ascii: "t")])
            topic.id.encode(to: &id)
            if id.bytes != key { flaws.append("\(Self.name(of: key)) holds topic \(topic.id), \(topic.name)") }
            topics.append(topic)
        } else if let broker = one.brokers.values.first {
            var id = BinaryWriter([UInt8(ascii: "b")])
            id.write(broker.id.rawValue)
            if id.bytes != key { flaws.append("\(Self.name(of: key)) holds broker \(broker.id)") }
            brokers.append(broker)
        } else if let group = one.groupConfigurations.first {
            groups.append((group.key, group.value))
        } else {
            counters = one
        }
    }

    /// Puts what was read in order, and compares the records with each other.
    package mutating func check() {
        brokers.sort { $0.id < $1.id }
        topics.sort { $0.name < $1.name }
        groups.sort { $0.name < $1.name }
        guard let counters else {
            if flaws.isEmpty { flaws.append("the record of the counters is missing") }
            return
        }
        var names: Set<String> = []
        var owners: [GroupID: String] = [:]
        for topic in topics {
            if !names.insert(topic.name).inserted { flaws.append("two topics are called \(topic.name)") }
            for (number, partition) in topic.partitions.enumerated() {
                let name = "\(topic.name)/\(number)"
                if let other = owners.updateValue(name, forKey: partition.group) {
                    flaws.append("\(other) and \(name) are both stored by \(partition.group)")
                }
                if partition.group >= counters.nextGroup {
                    flaws.append("\(name) is stored by \(partition.group), which was not handed out")
                }
                if partition.replicas.isEmpty { flaws.append("\(name) has no replicas") }
            }
        }
    }

    // MARK: The history

    /// What the keys of operations begin with.
    package static let operationPrefix = [UInt8(ascii: "o")]

    /// Takes a recorded operation, which come in order; keeps the last `limit` that are wanted, all when that is nil.
    package mutating func takeOperation(
        _ key: [UInt8], _ value: [UInt8], limit: Int?, where isWanted: (ClusterCommand) -> Bool
    ) {
        guard let id = ClusterRecords.operationID(key) else {
            return flaws.append("\(Self.name(of: key)) has no operation number")
        }
        if let last = lastOperationRead, id != last + 1 { flaws.append("operation \(last) is followed by \(id)") }
        lastOperationRead = id
        do throws(BinaryCodingError) {
            let entry = try ClusterEntry(decoding: value)
            if isWanted(entry.command) { operations.append(ClusterOperation(id: id, entry: entry)) }
        } catch {
            flaws.append("operation \(id) cannot be read: \(error)")
        }
        // Seldom, so that each operation costs the same.
        if let limit, operations.count > 2 * limit + 64 { trim(limit) }
    }

    /// Ends the reading of operations, which must reach the last one that was applied.
    package mutating func finishOperations(limit: Int?) {
        if let limit { trim(limit) }
        guard let counters, let last = lastOperationRead, last != counters.lastOperation else { return }
        flaws.append("the operations end with \(last), the state with \(counters.lastOperation)")
    }

    private mutating func trim(_ limit: Int) { operations.removeFirst(max(0, operations.count - limit)) }

    private static func name(of key: [UInt8]) -> String {
        "the record \(key.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())"
    }
}
