// SPDX-License-Identifier: Apache-2.0
//
// ShareAcknowledgeResponse.swift
// ShareAcknowledge (key 79) response, versions 1 and 2; flexible from version 0.

/// Whether the acknowledgements hold.
public struct ShareAcknowledgeResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.shareAcknowledge

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// How long renewed records are locked for the member, from version 2 on.
    public var acquisitionLockTimeoutMilliseconds: Int32
    /// The answer for each topic.
    public var topics: [Topic]
    /// How to reach the leaders that partitions name (KIP-951).
    public var nodeEndpoints: [NodeEndpoint]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
        acquisitionLockTimeoutMilliseconds: Int32 = 0, topics: [Topic] = [], nodeEndpoints: [NodeEndpoint] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.acquisitionLockTimeoutMilliseconds = acquisitionLockTimeoutMilliseconds
        self.topics = topics
        self.nodeEndpoints = nodeEndpoints
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.shareAcknowledge, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        acquisitionLockTimeoutMilliseconds = try version >= 2 ? reader.int32() : 0
        topics = try reader.array(version: version)
        nodeEndpoints = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.shareAcknowledge, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        if version >= 2 { writer.int32(acquisitionLockTimeoutMilliseconds) }
        writer.array(topics, version: version)
        writer.array(nodeEndpoints, version: version)
        writer.taggedFields()
    }
}

extension ShareAcknowledgeResponse {
    /// One topic and its partitions.
    public typealias Topic = IdentifiedTopic<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?
        /// The leader, when the request was sent to another broker.
        public var currentLeader: LeaderAndEpoch

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
            currentLeader: LeaderAndEpoch = LeaderAndEpoch()
        ) {
            self.index = index
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.currentLeader = currentLeader
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            currentLeader = try LeaderAndEpoch(from: &reader, version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            currentLeader.encode(to: &writer, version: version)
            writer.taggedFields()
        }
    }
}
