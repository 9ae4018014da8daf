// SPDX-License-Identifier: Apache-2.0
//
// CommittedTopic.swift
// How OffsetCommit and OffsetFetch name topics: by name up to version 9, by id from version 10 on.

public import Model

/// A topic and an item for each of its partitions that the message speaks of.
public struct CommittedTopic<Partition: WireCoded>: WireCoded {
    /// The topic's name, up to version 9; empty from then on.
    public var name: String
    /// The topic's id, from version 10 on; zero before.
    public var topicID: TopicID
    /// An item for each partition.
    public var partitions: [Partition]

    /// Creates a value; what is not named is at its default.
    @inlinable
    public init(name: String = "", topicID: TopicID = .zero, partitions: [Partition] = []) {
        self.name = name
        self.topicID = topicID
        self.partitions = partitions
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        name = try version <= 9 ? reader.string() : ""
        topicID = try version >= 10 ? reader.topicID() : .zero
        partitions = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        if version <= 9 { writer.string(name) }
        if version >= 10 { writer.topicID(topicID) }
        writer.array(partitions, version: version)
        writer.taggedFields()
    }
}

/// A topic and the numbers of some of its partitions.
public struct CommittedTopicIndexes: WireCoded {
    /// The topic's name, up to version 9; empty from then on.
    public var name: String
    /// The topic's id, from version 10 on; zero before.
    public var topicID: TopicID
    /// The partitions.
    public var partitionIndexes: [Int32]

    /// Creates a value; what is not named is at its default.
    public init(name: String = "", topicID: TopicID = .zero, partitionIndexes: [Int32] = []) {
        self.name = name
        self.topicID = topicID
        self.partitionIndexes = partitionIndexes
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        name = try version <= 9 ? reader.string() : ""
        topicID = try version >= 10 ? reader.topicID() : .zero
        partitionIndexes = try reader.int32Array()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        if version <= 9 { writer.string(name) }
        if version >= 10 { writer.topicID(topicID) }
        writer.int32Array(partitionIndexes)
        writer.taggedFields()
    }
}
