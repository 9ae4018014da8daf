// SPDX-License-Identifier: Apache-2.0
//
// MetadataRequest.swift
// Metadata (key 3) request, versions 0 to 9; flexible from version 9.

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
    /// Whether to tell what the client may do with the cluster.
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
        includeClusterAuthorizedOperations = try version >= 8 ? reader.bool() : false
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
        if version >= 8 {
            writer.bool(includeClusterAuthorizedOperations)
            writer.bool(includeTopicAuthorizedOperations)
        }
        writer.taggedFields()
    }
}

extension MetadataRequest {
    /// A topic by name.
    public struct Topic: WireCoded {
        /// The topic's name.
        public var name: String

        /// Creates a value.
        public init(name: String) {
            self.name = name
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.taggedFields()
        }
    }
}
