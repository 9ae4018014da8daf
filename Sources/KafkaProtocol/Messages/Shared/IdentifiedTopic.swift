// SPDX-License-Identifier: Apache-2.0
//
// IdentifiedTopic.swift
// How messages name topics by id only.

public import Model

/// A topic by its id and an item for each of its partitions that the message speaks of.
public struct IdentifiedTopic<Partition: WireCoded>: WireCoded {
    /// The topic's id.
    public var topicID: TopicID
    /// An item for each partition.
    public var partitions: [Partition]

    /// Creates a value; what is not named is at its default.
    @inlinable
    public init(topicID: TopicID, partitions: [Partition] = []) {
        self.topicID = topicID
        self.partitions = partitions
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        topicID = try reader.topicID()
        partitions = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.topicID(topicID)
        writer.array(partitions, version: version)
        writer.taggedFields()
    }
}
