// SPDX-License-Identifier: Apache-2.0
//
// DeleteShareGroupOffsetsResponse.swift
// DeleteShareGroupOffsets (key 92) response, version 0; flexible from version 0.

public import Model

/// Whether the state of each topic was forgotten.
public struct DeleteShareGroupOffsetsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteShareGroupOffsets

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
        topics: [Topic] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.deleteShareGroupOffsets, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteShareGroupOffsets, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension DeleteShareGroupOffsetsResponse {
    /// One topic.
    public struct Topic: WireCoded {
        /// The topic's name.
        public var name: String
        /// The topic's id.
        public var topicID: TopicID
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?

        /// Creates a value; what is not named is at its default.
        public init(
            name: String, topicID: TopicID = .zero, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil
        ) {
            self.name = name
            self.topicID = topicID
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            topicID = try reader.topicID()
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.topicID(topicID)
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.taggedFields()
        }
    }
}
