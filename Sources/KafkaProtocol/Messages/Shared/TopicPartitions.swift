// SPDX-License-Identifier: Apache-2.0
//
// TopicPartitions.swift
// How most messages name partitions: by topic, with an item for each partition.

/// A topic and an item for each of its partitions that the message speaks of.
public struct TopicPartitions<Partition: WireCoded>: WireCoded {
    /// The topic's name.
    public var name: String
    /// An item for each partition.
    public var partitions: [Partition]

    /// Creates a value; what is not named is at its default.
    @inlinable
    public init(name: String, partitions: [Partition] = []) {
        self.name = name
        self.partitions = partitions
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        name = try reader.string()
        partitions = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.string(name)
        writer.array(partitions, version: version)
        writer.taggedFields()
    }
}
