// SPDX-License-Identifier: Apache-2.0
//
// PartitionSet.swift
// Partitions of several topics, by topic id: what a member owns, gives up or is meant to have.

import Model

/// A set of partitions.
///
/// Invariant: no topic stands in it without a partition.
struct PartitionSet: Hashable, Sendable {
    /// The numbers of the partitions of each topic.
    private(set) var topics: [TopicID: Set<Int32>]

    /// No partitions.
    init() { topics = [:] }

    /// The partitions in `topics`; topics without any are left out.
    init(_ topics: [TopicID: Set<Int32>]) { self.topics = topics.filter { !$0.value.isEmpty } }

    /// True without partitions.
    var isEmpty: Bool { topics.isEmpty }

    /// How many partitions there are.
    ///
    /// Cost: one walk over the topics.
    var count: Int { topics.values.reduce(0) { $0 + $1.count } }

    /// Whether a partition is among them.
    func contains(_ topic: TopicID, _ partition: Int32) -> Bool { topics[topic]?.contains(partition) ?? false }

    /// Adds a partition.
    mutating func insert(_ topic: TopicID, _ partition: Int32) { topics[topic, default: []].insert(partition) }

    /// The partitions that are in both.
    func intersection(_ other: PartitionSet) -> PartitionSet {
        var common: [TopicID: Set<Int32>] = [:]
        for (topic, partitions) in topics {
            if let others = other.topics[topic] { common[topic] = partitions.intersection(others) }
        }
        return PartitionSet(common)
    }

    /// The partitions that are not in `other`.
    func subtracting(_ other: PartitionSet) -> PartitionSet {
        var rest = topics
        for (topic, partitions) in other.topics { rest[topic]?.subtract(partitions) }
        return PartitionSet(rest)
    }

    /// The partitions that are in one of the two.
    func union(_ other: PartitionSet) -> PartitionSet {
        var all = self
        for (topic, partitions) in other.topics { all.topics[topic, default: []].formUnion(partitions) }
        return all
    }

    /// Whether every partition is in `other`.
    func isSubset(of other: PartitionSet) -> Bool {
        topics.allSatisfy { topic, partitions in other.topics[topic].map { partitions.isSubset(of: $0) } ?? false }
    }

    /// Whether no partition is in `other`.
    func isDisjoint(with other: PartitionSet) -> Bool { intersection(other).isEmpty }

    /// The partitions by rising topic id and number.
    var sorted: [(topic: TopicID, partitions: [Int32])] {
        topics.sorted { $0.key.precedes($1.key) }.map { ($0.key, $0.value.sorted()) }
    }

    /// Appends the set in its one order.
    func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(topics.count))
        for (topic, partitions) in sorted {
            writer.write(topic.high)
            writer.write(topic.low)
            writer.write(UInt32(partitions.count))
            for partition in partitions { writer.write(partition) }
        }
    }

    /// Takes a set; only the one order in which it is written is read.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        topics = [:]
        var last: TopicID?
        for _ in 0..<(try reader.readCount()) {
            let start = reader.position
            let high = try reader.readInteger(UInt64.self)
            let topic = TopicID(high: high, low: try reader.readInteger(UInt64.self))
            if let last, !last.precedes(topic) { throw .malformed(at: start) }
            last = topic
            topics[topic] = try Self.partitions(from: &reader)
        }
    }

    private static func partitions(from reader: inout BinaryReader) throws(BinaryCodingError) -> Set<Int32> {
        let start = reader.position
        var partitions: Set<Int32> = []
        var last: Int32?
        for _ in 0..<(try reader.readCount()) {
            let partition = try reader.readInteger(Int32.self)
            if let last, partition <= last { throw .malformed(at: start) }
            last = partition
            partitions.insert(partition)
        }
        if partitions.isEmpty { throw .malformed(at: start) }
        return partitions
    }
}

extension TopicID {
    /// The order in which topics are walked through and written, wherever it has to be the same everywhere.
    func precedes(_ other: TopicID) -> Bool { (high, low) < (other.high, other.low) }
}
