// SPDX-License-Identifier: Apache-2.0
//
// DeleteTopicsRequest.swift
// DeleteTopics (key 20) request, versions 1 to 6; flexible from version 4.

public import Model

/// Deletes topics.
public struct DeleteTopicsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteTopics
    /// What answers this request.
    public typealias Response = DeleteTopicsResponse

    /// The topics to delete, by name or by id; from version 6 on.
    public var topics: [Topic]
    /// The topics to delete, up to version 5.
    public var topicNames: [String]
    /// How long the broker may take.
    public var timeoutMilliseconds: Int32

    /// Creates the message; what is not named is at its default.
    public init(topics: [Topic] = [], topicNames: [String] = [], timeoutMilliseconds: Int32) {
        self.topics = topics
        self.topicNames = topicNames
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.deleteTopics, version: version)
        topics = try version >= 6 ? reader.array(version: version) : []
        topicNames = try version <= 5 ? reader.stringArray() : []
        timeoutMilliseconds = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteTopics, version: version)
        if version >= 6 { writer.array(topics, version: version) } else { writer.stringArray(topicNames) }
        writer.int32(timeoutMilliseconds)
        writer.taggedFields()
    }
}

extension DeleteTopicsRequest {
    /// A topic by name, or by id.
    public struct Topic: WireCoded {
        /// The topic's name; null when the topic is named by its id.
        public var name: String?
        /// The topic's id; zero when the topic is named by its name.
        public var topicID: TopicID

        /// Creates a value; what is not named is at its default.
        public init(name: String? = nil, topicID: TopicID = .zero) {
            self.name = name
            self.topicID = topicID
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.nullableString()
            topicID = try reader.topicID()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.nullableString(name)
            writer.topicID(topicID)
            writer.taggedFields()
        }
    }
}
