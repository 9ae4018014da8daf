// SPDX-License-Identifier: Apache-2.0
//
// TopicPartitionIndexes.swift
// How messages name partitions of which they say nothing more.

/// A topic and the numbers of some of its partitions.
public struct TopicPartitionIndexes: WireCoded {
    /// The topic's name.
    public var name: String
    /// The partitions.
    public var partitionIndexes: [Int32]

    /// Creates a value; what is not named is at its default.
    public init(name: String, partitionIndexes: [Int32] = []) {
        self.name = name
        self.partitionIndexes = partitionIndexes
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        name = try reader.string()
        partitionIndexes = try reader.int32Array()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.string(name)
        writer.int32Array(partitionIndexes)
        writer.taggedFields()
    }
}
