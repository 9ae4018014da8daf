// SPDX-License-Identifier: Apache-2.0
//
// TxnOffsetCommitRequest.swift
// TxnOffsetCommit (key 28) request, versions 0 to 5; flexible from version 3.

/// Stores a group's positions, which hold once the transaction commits.
public struct TxnOffsetCommitRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.txnOffsetCommit
    /// What answers this request.
    public typealias Response = TxnOffsetCommitResponse

    /// The transactional id.
    public var transactionalID: String
    /// The group.
    public var groupID: String
    /// The producer id that belongs to the transactional id.
    public var producerID: Int64
    /// The producer's epoch.
    public var producerEpoch: Int16
    /// The member's generation, -1 for none.
    public var generationID: Int32
    /// The member, empty for none.
    public var memberID: String
    /// The member's name across restarts; null for a dynamic member.
    public var groupInstanceID: String?
    /// The topics to commit offsets of.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(
        transactionalID: String, groupID: String, producerID: Int64, producerEpoch: Int16, generationID: Int32 = -1,
        memberID: String = "", groupInstanceID: String? = nil, topics: [Topic] = []
    ) {
        self.transactionalID = transactionalID
        self.groupID = groupID
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.generationID = generationID
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.txnOffsetCommit, version: version)
        transactionalID = try reader.string()
        groupID = try reader.string()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        generationID = try version >= 3 ? reader.int32() : -1
        memberID = try version >= 3 ? reader.string() : ""
        groupInstanceID = try version >= 3 ? reader.nullableString() : nil
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.txnOffsetCommit, version: version)
        writer.string(transactionalID)
        writer.string(groupID)
        writer.int64(producerID)
        writer.int16(producerEpoch)
        if version >= 3 { writer.int32(generationID) }
        if version >= 3 { writer.string(memberID) }
        if version >= 3 { writer.nullableString(groupInstanceID) }
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension TxnOffsetCommitRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The offset of the next record to consume.
        public var committedOffset: Int64
        /// The leader epoch of the last consumed record, -1 when unknown.
        public var committedLeaderEpoch: Int32
        /// A text kept with the offset.
        public var committedMetadata: String?

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, committedOffset: Int64, committedLeaderEpoch: Int32 = -1, committedMetadata: String? = nil
        ) {
            self.index = index
            self.committedOffset = committedOffset
            self.committedLeaderEpoch = committedLeaderEpoch
            self.committedMetadata = committedMetadata
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            committedOffset = try reader.int64()
            committedLeaderEpoch = try version >= 2 ? reader.int32() : -1
            committedMetadata = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(committedOffset)
            if version >= 2 { writer.int32(committedLeaderEpoch) }
            writer.nullableString(committedMetadata)
            writer.taggedFields()
        }
    }
}
