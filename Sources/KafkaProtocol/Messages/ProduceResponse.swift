// SPDX-License-Identifier: Apache-2.0
//
// ProduceResponse.swift
// Produce (key 0) response, versions 3 to 13; flexible from version 9.

/// Where each batch was stored, or why it was not.
public struct ProduceResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.produce

    /// The answer for each topic.
    public var topics: [Topic]
    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// How to reach the leaders that partitions name, from version 10 on (KIP-951).
    public var nodeEndpoints: [NodeEndpoint]

    /// Creates the message; what is not named is at its default.
    public init(
        topics: [Topic] = [], throttleTimeMilliseconds: Int32 = 0, nodeEndpoints: [NodeEndpoint] = []
    ) {
        self.topics = topics
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.nodeEndpoints = nodeEndpoints
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.produce, version: version)
        topics = try reader.array(version: version)
        throttleTimeMilliseconds = try reader.int32()
        nodeEndpoints = []
        try reader.taggedFields { (tag, reader) throws(WireError) in
            switch tag {
            case 0 where version >= 10: nodeEndpoints = try reader.array(version: version)
            default: return false
            }
            return true
        }
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.produce, version: version)
        writer.array(topics, version: version)
        writer.int32(throttleTimeMilliseconds)
        guard version >= 10, !nodeEndpoints.isEmpty else { return writer.taggedFields() }
        var tagged = TaggedFields()
        tagged.append(tag: 0) { $0.array(nodeEndpoints, version: version) }
        writer.taggedFields(tagged)
    }
}

extension ProduceResponse {
    /// One topic and its partitions.
    public typealias Topic = NamedOrIdentifiedTopic<Partition>

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
        /// The leader, when the request was sent to another broker; from version 10 on.
        public var currentLeader: LeaderAndEpoch?

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, baseOffset: Int64, logAppendTimeMilliseconds: Int64 = -1,
            logStartOffset: Int64 = -1, recordErrors: [RecordError] = [], errorMessage: String? = nil,
            currentLeader: LeaderAndEpoch? = nil
        ) {
            self.index = index
            self.errorCode = errorCode
            self.baseOffset = baseOffset
            self.logAppendTimeMilliseconds = logAppendTimeMilliseconds
            self.logStartOffset = logStartOffset
            self.recordErrors = recordErrors
            self.errorMessage = errorMessage
            self.currentLeader = currentLeader
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
            currentLeader = nil
            try reader.taggedFields { (tag, reader) throws(WireError) in
                switch tag {
                case 0 where version >= 10: currentLeader = try LeaderAndEpoch(from: &reader, version: version)
                default: return false
                }
                return true
            }
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
            guard version >= 10, let currentLeader else { return writer.taggedFields() }
            var tagged = TaggedFields()
            tagged.append(tag: 0) { currentLeader.encode(to: &$0, version: version) }
            writer.taggedFields(tagged)
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
