// SPDX-License-Identifier: Apache-2.0
//
// ClusterCommand+Coding.swift
// The controller's log entries and stored records as bytes: a version, a kind, fields; integers big-endian, text and
// arrays behind a uint32 length.

import Model

extension ClusterCommand {
    /// The version that is written, and the only one that is read.
    static let version: UInt8 = 1

    private enum Kind: UInt8 {
        case initialize = 1
        case createTopic = 2
        case deleteTopic = 3
        case addPartitions = 4
        case setConfiguration = 5
        case allocateProducerIDs = 6
    }

    /// The command as bytes.
    package func encoded() -> [UInt8] {
        var writer = BinaryWriter()
        writer.write(Self.version)
        switch self {
        case .initialize(let clusterID):
            writer.write(Kind.initialize.rawValue)
            writer.write(clusterID)
        case .createTopic(let topic):
            writer.write(Kind.createTopic.rawValue)
            topic.encode(to: &writer)
        case .deleteTopic(let id):
            writer.write(Kind.deleteTopic.rawValue)
            id.encode(to: &writer)
        case .addPartitions(let id, let partitions):
            writer.write(Kind.addPartitions.rawValue)
            id.encode(to: &writer)
            partitions.encode(to: &writer)
        case .setConfiguration(let id, let configuration):
            writer.write(Kind.setConfiguration.rawValue)
            id.encode(to: &writer)
            configuration.encode(to: &writer)
        case .allocateProducerIDs(let first, let count):
            writer.write(Kind.allocateProducerIDs.rawValue)
            writer.write(first)
            writer.write(count)
        }
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote; anything else is refused.
    init(decoding bytes: [UInt8]) throws(BinaryCodingError) {
        var reader = BinaryReader(bytes)
        let version = try reader.readInteger(UInt8.self)
        guard version == Self.version else { throw .unknownVersion(version) }
        let code = try reader.readInteger(UInt8.self)
        guard let kind = Kind(rawValue: code) else { throw .unknownKind(code) }
        switch kind {
        case .initialize: self = .initialize(clusterID: try reader.readText())
        case .createTopic: self = .createTopic(try TopicRecord(from: &reader))
        case .deleteTopic: self = .deleteTopic(try TopicID(from: &reader))
        case .addPartitions:
            self = .addPartitions(topic: try TopicID(from: &reader), try [PartitionRecord](from: &reader))
        case .setConfiguration:
            self = .setConfiguration(topic: try TopicID(from: &reader), try [String: String](from: &reader))
        case .allocateProducerIDs:
            self = .allocateProducerIDs(
                first: try reader.readInteger(Int64.self), count: try reader.readInteger(Int64.self))
        }
        try reader.finish()
    }
}

extension TopicRecord {
    func encode(to writer: inout BinaryWriter) {
        writer.write(name)
        id.encode(to: &writer)
        partitions.encode(to: &writer)
        configuration.encode(to: &writer)
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        name = try reader.readText()
        id = try TopicID(from: &reader)
        partitions = try [PartitionRecord](from: &reader)
        configuration = try [String: String](from: &reader)
    }
}

extension TopicID {
    func encode(to writer: inout BinaryWriter) {
        writer.write(high)
        writer.write(low)
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self.init(high: try reader.readInteger(UInt64.self), low: try reader.readInteger(UInt64.self))
    }
}

extension [PartitionRecord] {
    func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(count))
        for partition in self {
            writer.write(partition.group.rawValue)
            writer.write(UInt32(partition.replicas.count))
            for node in partition.replicas { writer.write(node.rawValue) }
        }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self = []
        for _ in 0..<(try reader.readCount()) {
            let group = GroupID(rawValue: try reader.readInteger(UInt64.self))
            var replicas: [NodeID] = []
            for _ in 0..<(try reader.readCount()) {
                replicas.append(NodeID(rawValue: try reader.readInteger(Int32.self)))
            }
            append(PartitionRecord(group: group, replicas: replicas))
        }
    }
}

extension [String: String] {
    func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(count))
        for (key, value) in sorted(by: { $0.key < $1.key }) {
            writer.write(key)
            writer.write(value)
        }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self = [:]
        for _ in 0..<(try reader.readCount()) {
            let key = try reader.readText()
            self[key] = try reader.readText()
        }
    }
}
