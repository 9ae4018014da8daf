// SPDX-License-Identifier: Apache-2.0
//
// MetadataRequest.swift
// Metadata (key 3) request, versions 0 to 13; flexible from version 9.

public import Model

/// Asks for the brokers and for the topics with their leaders.
public struct MetadataRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.metadata
    /// What answers this request.
    public typealias Response = MetadataResponse

    /// The topics asked about; null means all, which version 0 writes as an empty array.
    public var topics: [Topic]?
    /// Whether a named topic that does not exist may be created.
    public var allowAutoTopicCreation: Bool
    /// Whether to tell what the client may do with the cluster; in versions 8 to 10.
    public var includeClusterAuthorizedOperations: Bool
    /// Whether to tell what the client may do with the topics.
    public var includeTopicAuthorizedOperations: Bool

    /// Creates the message; what is not named is at its default.
    public init(
        topics: [Topic]? = nil, allowAutoTopicCreation: Bool = true, includeClusterAuthorizedOperations: Bool = false,
        includeTopicAuthorizedOperations: Bool = false
    ) {
        self.topics = topics
        self.allowAutoTopicCreation = allowAutoTopicCreation
        self.includeClusterAuthorizedOperations = includeClusterAuthorizedOperations
        self.includeTopicAuthorizedOperations = includeTopicAuthorizedOperations
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.metadata, version: version)
        if version == 0 {
            let named: [Topic] = try reader.array(version: version)
            topics = named.isEmpty ? nil : named
        } else {
            topics = try reader.nullableArray(version: version)
        }
        allowAutoTopicCreation = try version >= 4 ? reader.bool() : true
        includeClusterAuthorizedOperations = try (8...10).contains(version) ? reader.bool() : false
        includeTopicAuthorizedOperations = try version >= 8 ? reader.bool() : false
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.metadata, version: version)
        if version >= 1 {
            writer.nullableArray(topics, version: version)
        } else {
            writer.array(topics ?? [], version: version)
        }
        if version >= 4 { writer.bool(allowAutoTopicCreation) }
        if (8...10).contains(version) { writer.bool(includeClusterAuthorizedOperations) }
        if version >= 8 { writer.bool(includeTopicAuthorizedOperations) }
        writer.taggedFields()
    }
}

extension MetadataRequest {
    /// A topic by name, or by id.
    public struct Topic: WireCoded {
        /// The topic's name; null, from version 10 on, when the topic is named by its id.
        public var name: String?
        /// The topic's id, from version 10 on; zero when the topic is named by its name.
        public var topicID: TopicID

        /// Creates a value; what is not named is at its default.
        public init(name: String? = nil, topicID: TopicID = .zero) {
            self.name = name
            self.topicID = topicID
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            topicID = try version >= 10 ? reader.topicID() : .zero
            name = try version >= 10 ? reader.nullableString() : reader.string()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            if version >= 10 {
                writer.topicID(topicID)
                writer.nullableString(name)
            } else {
                writer.string(name ?? "")
            }
            writer.taggedFields()
        }
    }
}
