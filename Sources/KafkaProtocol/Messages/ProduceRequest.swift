// SPDX-License-Identifier: Apache-2.0
//
// ProduceRequest.swift
// Produce (key 0) request, versions 3 to 13; flexible from version 9.

public import NIOCore

/// Appends record batches to partitions.
public struct ProduceRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.produce
    /// What answers this request.
    public typealias Response = ProduceResponse

    /// The transactional id; null for none.
    public var transactionalID: String?
    /// What must have happened before the answer: -1 all in-sync replicas have it, 1 the leader has it, 0 no answer.
    public var acks: Int16
    /// How long the broker may take.
    public var timeoutMilliseconds: Int32
    /// The topics to write to.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(transactionalID: String? = nil, acks: Int16, timeoutMilliseconds: Int32, topics: [Topic] = []) {
        self.transactionalID = transactionalID
        self.acks = acks
        self.timeoutMilliseconds = timeoutMilliseconds
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.produce, version: version)
        transactionalID = try reader.nullableString()
        acks = try reader.int16()
        timeoutMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.produce, version: version)
        writer.nullableString(transactionalID)
        writer.int16(acks)
        writer.int32(timeoutMilliseconds)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension ProduceRequest {
    /// One topic and its partitions.
    public typealias Topic = NamedOrIdentifiedTopic<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The record batches, a slice of the request.
        public var records: ByteBuffer?

        /// Creates a value; what is not named is at its default.
        public init(index: Int32, records: ByteBuffer? = nil) {
            self.index = index
            self.records = records
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            records = try reader.nullableRecords()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.nullableRecords(records)
            writer.taggedFields()
        }
    }
}
