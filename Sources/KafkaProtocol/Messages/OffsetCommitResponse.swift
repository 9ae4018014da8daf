// SPDX-License-Identifier: Apache-2.0
//
// OffsetCommitResponse.swift
// OffsetCommit (key 8) response, versions 2 to 8; flexible from version 8.

/// Whether each position was stored.
public struct OffsetCommitResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.offsetCommit

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.offsetCommit, version: version)
        throttleTimeMilliseconds = try version >= 3 ? reader.int32() : 0
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.offsetCommit, version: version)
        if version >= 3 { writer.int32(throttleTimeMilliseconds) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension OffsetCommitResponse {
    /// One topic and its partitions.
    public struct Topic: WireCoded {
        /// The topic's name.
        public var name: String
        /// The partitions of the topic.
        public var partitions: [Partition]

        /// Creates a value; what is not named is at its default.
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

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode

        /// Creates a value; what is not named is at its default.
        public init(index: Int32, errorCode: KafkaErrorCode = .none) {
            self.index = index
            self.errorCode = errorCode
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            writer.taggedFields()
        }
    }
}
