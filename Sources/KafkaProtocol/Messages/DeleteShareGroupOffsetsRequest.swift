// SPDX-License-Identifier: Apache-2.0
//
// DeleteShareGroupOffsetsRequest.swift
// DeleteShareGroupOffsets (key 92) request, version 0; flexible from version 0.

/// Forgets the state that an empty share group has of topics (KIP-932).
public struct DeleteShareGroupOffsetsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteShareGroupOffsets
    /// What answers this request.
    public typealias Response = DeleteShareGroupOffsetsResponse

    /// The group.
    public var groupID: String
    /// The topics.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(groupID: String, topics: [Topic] = []) {
        self.groupID = groupID
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.deleteShareGroupOffsets, version: version)
        groupID = try reader.string()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteShareGroupOffsets, version: version)
        writer.string(groupID)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension DeleteShareGroupOffsetsRequest {
    /// One topic.
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
