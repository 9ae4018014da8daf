// SPDX-License-Identifier: Apache-2.0
//
// ProduceResponse.swift
// Produce (key 0) response, versions 3 to 9; flexible from version 9.

/// Where each batch was stored, or why it was not.
public struct ProduceResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.produce

    /// The answer for each topic.
    public var topics: [Topic]
    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32

    /// Creates the message; what is not named is at its default.
    public init(topics: [Topic] = [], throttleTimeMilliseconds: Int32 = 0) {
        self.topics = topics
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.produce, version: version)
        topics = try reader.array(version: version)
        throttleTimeMilliseconds = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.produce, version: version)
        writer.array(topics, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.taggedFields()
    }
}

extension ProduceResponse {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The offset of the first record.
        public var baseOffset: Int64
        /// When the broker stored the batch, -1 when the topic keeps the time of the client.
        public var logAppendTimeMilliseconds: Int64
        /// The first offset of the log, -1 when unknown.
        public var logStartOffset: Int64
        /// The records that caused the refusal.
        public var recordErrors: [RecordError]
        /// What went wrong, as a sentence.
        public var errorMessage: String?

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, baseOffset: Int64, logAppendTimeMilliseconds: Int64 = -1,
            logStartOffset: Int64 = -1, recordErrors: [RecordError] = [], errorMessage: String? = nil
        ) {
            self.index = index
            self.errorCode = errorCode
            self.baseOffset = baseOffset
            self.logAppendTimeMilliseconds = logAppendTimeMilliseconds
            self.logStartOffset = logStartOffset
            self.recordErrors = recordErrors
            self.errorMessage = errorMessage
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            baseOffset = try reader.int64()
            logAppendTimeMilliseconds = try reader.int64()
            logStartOffset = try version >= 5 ? reader.int64() : -1
            recordErrors = try version >= 8 ? reader.array(version: version) : []
            errorMessage = try version >= 8 ? reader.nullableString() : nil
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            writer.int64(baseOffset)
            writer.int64(logAppendTimeMilliseconds)
            if version >= 5 { writer.int64(logStartOffset) }
            if version >= 8 {
                writer.array(recordErrors, version: version)
                writer.nullableString(errorMessage)
            }
            writer.taggedFields()
        }
    }

    /// A record that was refused.
    public struct RecordError: WireCoded {
        /// The number of the record in its batch.
        public var batchIndex: Int32
        /// What is wrong with the record.
        public var message: String?

        /// Creates a value; what is not named is at its default.
        public init(batchIndex: Int32, message: String? = nil) {
            self.batchIndex = batchIndex
            self.message = message
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            batchIndex = try reader.int32()
            message = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(batchIndex)
            writer.nullableString(message)
            writer.taggedFields()
        }
    }
}
