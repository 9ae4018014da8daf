// SPDX-License-Identifier: Apache-2.0
//
// DescribeProducersResponse.swift
// DescribeProducers (key 61) response, version 0; flexible from version 0.

/// Who produces to partitions.
public struct DescribeProducersResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeProducers

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
        try reader.begin(.describeProducers, version: version)
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeProducers, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension DescribeProducersResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// A sentence about what went wrong.
        public var errorMessage: String?
        /// The producers that are remembered.
        public var producers: [Producer]

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil, producers: [Producer] = []
        ) {
            self.index = index
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.producers = producers
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            producers = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.array(producers, version: version)
            writer.taggedFields()
        }
    }

    /// One producer.
    public struct Producer: WireCoded {
        /// The producer's id.
        public var producerID: Int64
        /// The producer's epoch.
        public var producerEpoch: Int32
        /// The sequence of its last record, -1 when none is remembered.
        public var lastSequence: Int32
        /// When it wrote last, -1 when that is not known.
        public var lastTimestamp: Int64
        /// The term of the coordinator that ended its last transaction, -1 when there was none.
        public var coordinatorEpoch: Int32
        /// Where its open transaction begins, -1 when it has none.
        public var currentTransactionStartOffset: Int64

        /// Creates a value; what is not named is at its default.
        public init(
            producerID: Int64, producerEpoch: Int32, lastSequence: Int32 = -1, lastTimestamp: Int64 = -1,
            coordinatorEpoch: Int32, currentTransactionStartOffset: Int64 = -1
        ) {
            self.producerID = producerID
            self.producerEpoch = producerEpoch
            self.lastSequence = lastSequence
            self.lastTimestamp = lastTimestamp
            self.coordinatorEpoch = coordinatorEpoch
            self.currentTransactionStartOffset = currentTransactionStartOffset
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            producerID = try reader.int64()
            producerEpoch = try reader.int32()
            lastSequence = try reader.int32()
            lastTimestamp = try reader.int64()
            coordinatorEpoch = try reader.int32()
            currentTransactionStartOffset = try reader.int64()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int64(producerID)
            writer.int32(producerEpoch)
            writer.int32(lastSequence)
            writer.int64(lastTimestamp)
            writer.int32(coordinatorEpoch)
            writer.int64(currentTransactionStartOffset)
            writer.taggedFields()
        }
    }
}
