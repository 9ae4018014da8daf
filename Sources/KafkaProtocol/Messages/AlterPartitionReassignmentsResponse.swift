// SPDX-License-Identifier: Apache-2.0
//
// AlterPartitionReassignmentsResponse.swift
// AlterPartitionReassignments (key 45) response, versions 0 and 1; flexible from version 0.

/// Whether each move was begun or cancelled.
public struct AlterPartitionReassignmentsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.alterPartitionReassignments

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// Whether the number of replicas was allowed to change.
    public var allowReplicationFactorChange: Bool
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, allowReplicationFactorChange: Bool = true,
        errorCode: KafkaErrorCode = .none, errorMessage: String? = nil, topics: [Topic] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.allowReplicationFactorChange = allowReplicationFactorChange
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.alterPartitionReassignments, version: version)
        throttleTimeMilliseconds = try reader.int32()
        allowReplicationFactorChange = try version >= 1 ? reader.bool() : true
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.alterPartitionReassignments, version: version)
        writer.int32(throttleTimeMilliseconds)
        if version >= 1 { writer.bool(allowReplicationFactorChange) }
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension AlterPartitionReassignmentsResponse {
    /// The answer for one topic.
    public typealias Topic = TopicPartitions<Partition>

    /// The answer for one partition.
    public typealias Partition = PartitionExplainedError
}
