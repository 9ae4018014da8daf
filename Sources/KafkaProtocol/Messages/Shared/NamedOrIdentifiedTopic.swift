// SPDX-License-Identifier: Apache-2.0
//
// NamedOrIdentifiedTopic.swift
// How Produce and Fetch name topics: by name up to version 12, by id from version 13 on.

public import Model

/// A topic and an item for each of its partitions that the message speaks of.
public struct NamedOrIdentifiedTopic<Partition: WireCoded>: WireCoded {
    /// The topic's name, up to version 12; empty from then on.
    public var name: String
    /// The topic's id, from version 13 on; zero before.
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
        name = try version <= 12 ? reader.string() : ""
        topicID = try version >= 13 ? reader.topicID() : .zero
        partitions = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        if version <= 12 { writer.string(name) }
        if version >= 13 { writer.topicID(topicID) }
        writer.array(partitions, version: version)
        writer.taggedFields()
    }
}
