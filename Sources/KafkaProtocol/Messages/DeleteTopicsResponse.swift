// SPDX-License-Identifier: Apache-2.0
//
// DeleteTopicsResponse.swift
// DeleteTopics (key 20) response, versions 1 to 6; flexible from version 4.

public import Model

/// Whether each topic was deleted.
public struct DeleteTopicsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteTopics

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
        try reader.begin(.deleteTopics, version: version)
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteTopics, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension DeleteTopicsResponse {
    /// The answer for one topic.
    public struct Topic: WireCoded {
        /// The topic's name; null, from version 6 on, when there is no topic with the id.
        public var name: String?
        /// The topic's id, from version 6 on; zero when it is not known.
        public var topicID: TopicID
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence; from version 5 on.
        public var errorMessage: String?

        /// Creates a value; what is not named is at its default.
        public init(
            name: String?, topicID: TopicID = .zero, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil
        ) {
            self.name = name
            self.topicID = topicID
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try version >= 6 ? reader.nullableString() : reader.string()
            topicID = try version >= 6 ? reader.topicID() : .zero
            errorCode = try reader.errorCode()
            errorMessage = try version >= 5 ? reader.nullableString() : nil
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            if version >= 6 {
                writer.nullableString(name)
                writer.topicID(topicID)
            } else {
                writer.string(name ?? "")
            }
            writer.errorCode(errorCode)
            if version >= 5 { writer.nullableString(errorMessage) }
            writer.taggedFields()
        }
    }
}
