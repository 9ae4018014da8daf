// SPDX-License-Identifier: Apache-2.0
//
// ShareStateCommand.swift
// The entries of the coordinator's log that are about how far share groups are in their partitions.

import Model

/// A change of the state of partitions in share groups.
enum ShareStateCommand: Hashable, Sendable {
    /// A leader of a partition begins: writes of earlier ones are refused from then on.
    case lead(ShareKey, leaderEpoch: Int32)
    /// A leader of a partition says what became of records.
    case write(ShareStateChange)
    /// An operator sets where a group without members begins; partitions without a state get one.
    case restart(group: String, [ShareStart])
    /// An operator makes a group without members forget topics.
    case delete(group: String, topics: [TopicID])
    /// Topics are gone: every group forgets them.
    case forget(topics: [TopicID])
}

/// Where a group is to begin in a partition.
struct ShareStart: Hashable, Sendable {
    /// The topic.
    var topicID: TopicID
    /// The partition.
    var partition: Int32
    /// The first record that it gets.
    var startOffset: Int64
}

// MARK: - Coding

extension ShareStateCommand {
    private enum Kind: UInt8 {
        case lead = 1
        case write = 2
        case restart = 3
        case delete = 4
        case forget = 5
    }

    /// Appends the command.
    func encode(to writer: inout BinaryWriter) {
        switch self {
        case .lead(let key, let leaderEpoch):
            writer.write(Kind.lead.rawValue)
            key.encode(to: &writer)
            writer.write(leaderEpoch)
        case .write(let change):
            writer.write(Kind.write.rawValue)
            change.encode(to: &writer)
        case .restart(let group, let starts):
            writer.write(Kind.restart.rawValue)
            writer.write(group)
            writer.write(UInt32(starts.count))
            for start in starts {
                start.topicID.encode(to: &writer)
                writer.write(start.partition)
                writer.write(start.startOffset)
            }
        case .delete(let group, let topics):
            writer.write(Kind.delete.rawValue)
            writer.write(group)
            Self.encode(topics, to: &writer)
        case .forget(let topics):
            writer.write(Kind.forget.rawValue)
            Self.encode(topics, to: &writer)
        }
    }

    private static func encode(_ topics: [TopicID], to writer: inout BinaryWriter) {
        writer.write(UInt32(topics.count))
        for topic in topics { topic.encode(to: &writer) }
    }

    /// Takes a command.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        let code = try reader.readInteger(UInt8.self)
        switch Kind(rawValue: code) {
        case .lead:
            self = .lead(try ShareKey(from: &reader), leaderEpoch: try reader.readInteger(Int32.self))
        case .write: self = .write(try ShareStateChange(from: &reader))
        case .restart:
            let group = try reader.readText()
            var starts: [ShareStart] = []
            for _ in 0..<(try reader.readCount()) {
                let topic = try TopicID(from: &reader)
                let partition = try reader.readInteger(Int32.self)
                let offset = try reader.readInteger(Int64.self)
                starts.append(ShareStart(topicID: topic, partition: partition, startOffset: offset))
            }
            self = .restart(group: group, starts)
        case .delete: self = .delete(group: try reader.readText(), topics: try Self.topics(from: &reader))
        case .forget: self = .forget(topics: try Self.topics(from: &reader))
        case nil: throw .unknownKind(code)
        }
    }

    private static func topics(from reader: inout BinaryReader) throws(BinaryCodingError) -> [TopicID] {
        var topics: [TopicID] = []
        for _ in 0..<(try reader.readCount()) { topics.append(try TopicID(from: &reader)) }
        return topics
    }
}

extension ShareKey {
    /// Appends the key.
    func encode(to writer: inout BinaryWriter) {
        writer.write(groupID)
        topicID.encode(to: &writer)
        writer.write(partition)
    }

    /// Takes a key.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        groupID = try reader.readText()
        topicID = try TopicID(from: &reader)
        partition = try reader.readInteger(Int32.self)
    }
}

extension ShareStateBatch {
    /// Appends ranges.
    static func encode(_ batches: [ShareStateBatch], to writer: inout BinaryWriter) {
        writer.write(UInt32(batches.count))
        for batch in batches {
            writer.write(batch.firstOffset)
            writer.write(batch.lastOffset)
            writer.write(batch.state.rawValue)
            writer.write(batch.deliveryCount)
        }
    }

    /// Takes ranges.
    static func decodeAll(from reader: inout BinaryReader) throws(BinaryCodingError) -> [ShareStateBatch] {
        var batches: [ShareStateBatch] = []
        for _ in 0..<(try reader.readCount()) {
            let first = try reader.readInteger(Int64.self)
            let last = try reader.readInteger(Int64.self)
            let start = reader.position
            guard let state = ShareDeliveryState(rawValue: try reader.readInteger(Int8.self)) else {
                throw .malformed(at: start)
            }
            let count = try reader.readInteger(Int16.self)
            batches.append(
                ShareStateBatch(firstOffset: first, lastOffset: last, state: state, deliveryCount: count))
        }
        return batches
    }
}

extension ShareState {
    /// Appends the state.
    func encode(to writer: inout BinaryWriter) {
        writer.write(stateEpoch)
        writer.write(leaderEpoch)
        writer.write(lastChange)
        writer.write(startOffset)
        ShareStateBatch.encode(batches, to: &writer)
    }

    /// Takes a state.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        stateEpoch = try reader.readInteger(Int32.self)
        leaderEpoch = try reader.readInteger(Int32.self)
        lastChange = try reader.readInteger(UInt64.self)
        startOffset = try reader.readInteger(Int64.self)
        batches = try ShareStateBatch.decodeAll(from: &reader)
    }
}

extension ShareStateChange {
    /// Appends the change.
    func encode(to writer: inout BinaryWriter) {
        key.encode(to: &writer)
        writer.write(stateEpoch)
        writer.write(leaderEpoch)
        writer.write(number)
        writer.write(startOffset)
        ShareStateBatch.encode(batches, to: &writer)
    }

    /// Takes a change.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        key = try ShareKey(from: &reader)
        stateEpoch = try reader.readInteger(Int32.self)
        leaderEpoch = try reader.readInteger(Int32.self)
        number = try reader.readInteger(UInt64.self)
        startOffset = try reader.readInteger(Int64.self)
        batches = try ShareStateBatch.decodeAll(from: &reader)
    }
}
