// SPDX-License-Identifier: Apache-2.0
//
// DeleteTopicsRequest.swift
// DeleteTopics (key 20) request, versions 1 to 4; flexible from version 4.

/// Deletes topics.
public struct DeleteTopicsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.deleteTopics
    /// What answers this request.
    public typealias Response = DeleteTopicsResponse

    /// The topics to delete.
    public var topicNames: [String]
    /// How long the broker may take.
    public var timeoutMilliseconds: Int32

    /// Creates the message; what is not named is at its default.
    public init(topicNames: [String] = [], timeoutMilliseconds: Int32) {
        self.topicNames = topicNames
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.deleteTopics, version: version)
        topicNames = try reader.stringArray()
        timeoutMilliseconds = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.deleteTopics, version: version)
        writer.stringArray(topicNames)
        writer.int32(timeoutMilliseconds)
        writer.taggedFields()
    }
}
