// SPDX-License-Identifier: Apache-2.0
//
// TopicIDPartitions.swift
// How messages of the consumer protocol name partitions.

public import Model

/// A topic by its id, and the numbers of some of its partitions.
public struct TopicIDPartitions: WireCoded {
    /// The topic's id.
    public var topicID: TopicID
    /// The partitions.
    public var partitions: [Int32]

    /// Creates a value; what is not named is at its default.
    public init(topicID: TopicID, partitions: [Int32] = []) {
        self.topicID = topicID
        self.partitions = partitions
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        topicID = try reader.topicID()
        partitions = try reader.int32Array()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.topicID(topicID)
        writer.int32Array(partitions)
        writer.taggedFields()
    }
}
