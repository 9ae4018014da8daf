// SPDX-License-Identifier: Apache-2.0
//
// MetadataResponse.swift
// Metadata (key 3) response, versions 0 to 13; flexible from version 9.

public import Model

/// The brokers, and the topics with their leaders and replicas.
public struct MetadataResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.metadata

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The brokers that clients can connect to.
    public var brokers: [Broker]
    /// The cluster's id.
    public var clusterID: String?
    /// The broker to send administrative requests to.
    public var controllerID: Int32
    /// The answer for each topic.
    public var topics: [Topic]
    /// What the client may do with the cluster, a bit for each operation; in versions 8 to 10.
    public var clusterAuthorizedOperations: Int32
    /// What went wrong with all of it, if anything; from version 13 on.
    public var errorCode: KafkaErrorCode

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, brokers: [Broker] = [], clusterID: String? = nil, controllerID: Int32 = -1,
        topics: [Topic] = [], clusterAuthorizedOperations: Int32 = authorizedOperationsOmitted,
        errorCode: KafkaErrorCode = .none
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.brokers = brokers
        self.clusterID = clusterID
        self.controllerID = controllerID
        self.topics = topics
        self.clusterAuthorizedOperations = clusterAuthorizedOperations
        self.errorCode = errorCode
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.metadata, version: version)
        throttleTimeMilliseconds = try version >= 3 ? reader.int32() : 0
        brokers = try reader.array(version: version)
        clusterID = try version >= 2 ? reader.nullableString() : nil
        controllerID = try version >= 1 ? reader.int32() : -1
        topics = try reader.array(version: version)
        clusterAuthorizedOperations =
            try (8...10).contains(version) ? reader.int32() : authorizedOperationsOmitted
        errorCode = try version >= 13 ? reader.errorCode() : .none
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.metadata, version: version)
        if version >= 3 { writer.int32(throttleTimeMilliseconds) }
        writer.array(brokers, version: version)
        if version >= 2 { writer.nullableString(clusterID) }
        if version >= 1 { writer.int32(controllerID) }
        writer.array(topics, version: version)
        if (8...10).contains(version) { writer.int32(clusterAuthorizedOperations) }
        if version >= 13 { writer.errorCode(errorCode) }
        writer.taggedFields()
    }
}

extension MetadataResponse {
    /// A broker and how to reach it.
    public struct Broker: WireCoded {
        /// The broker.
        public var nodeID: Int32
        /// The host to connect to.
        public var host: String
        /// The port to connect to.
        public var port: Int32
        /// The rack, when known.
        public var rack: String?

        /// Creates a value; what is not named is at its default.
        public init(nodeID: Int32, host: String, port: Int32, rack: String? = nil) {
            self.nodeID = nodeID
            self.host = host
            self.port = port
            self.rack = rack
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            nodeID = try reader.int32()
            host = try reader.string()
            port = try reader.int32()
            rack = try version >= 1 ? reader.nullableString() : nil
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(nodeID)
            writer.string(host)
            writer.int32(port)
            if version >= 1 { writer.nullableString(rack) }
            writer.taggedFields()
        }
    }

    /// One topic and its partitions.
    public struct Topic: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The topic's name; null, from version 12 on, when there is no topic with the id that was asked about.
        public var name: String?
        /// The topic's id, from version 10 on.
        public var topicID: TopicID
        /// Whether the topic holds the cluster's own state.
        public var isInternal: Bool
        /// The partitions of the topic.
        public var partitions: [Partition]
        /// What the client may do with the topic, a bit for each operation.
        public var topicAuthorizedOperations: Int32

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, name: String?, topicID: TopicID = .zero, isInternal: Bool = false,
            partitions: [Partition] = [], topicAuthorizedOperations: Int32 = authorizedOperationsOmitted
        ) {
            self.errorCode = errorCode
            self.name = name
            self.topicID = topicID
            self.isInternal = isInternal
            self.partitions = partitions
            self.topicAuthorizedOperations = topicAuthorizedOperations
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            name = try version >= 12 ? reader.nullableString() : reader.string()
            topicID = try version >= 10 ? reader.topicID() : .zero
            isInternal = try version >= 1 ? reader.bool() : false
            partitions = try reader.array(version: version)
            topicAuthorizedOperations = try version >= 8 ? reader.int32() : authorizedOperationsOmitted
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            if version >= 12 { writer.nullableString(name) } else { writer.string(name ?? "") }
            if version >= 10 { writer.topicID(topicID) }
            if version >= 1 { writer.bool(isInternal) }
            writer.array(partitions, version: version)
            if version >= 8 { writer.int32(topicAuthorizedOperations) }
            writer.taggedFields()
        }
    }

    /// One partition.
    public struct Partition: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// The partition.
        public var index: Int32
        /// The leader, -1 when there is none.
        public var leaderID: Int32
        /// The leader epoch, -1 when unknown.
        public var leaderEpoch: Int32
        /// All replicas.
        public var replicaNodes: [Int32]
        /// The replicas in sync.
        public var isrNodes: [Int32]
        /// The replicas that are not available.
        public var offlineReplicas: [Int32]

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, index: Int32, leaderID: Int32, leaderEpoch: Int32 = -1,
            replicaNodes: [Int32] = [], isrNodes: [Int32] = [], offlineReplicas: [Int32] = []
        ) {
            self.errorCode = errorCode
            self.index = index
            self.leaderID = leaderID
            self.leaderEpoch = leaderEpoch
            self.replicaNodes = replicaNodes
            self.isrNodes = isrNodes
            self.offlineReplicas = offlineReplicas
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            index = try reader.int32()
            leaderID = try reader.int32()
            leaderEpoch = try version >= 7 ? reader.int32() : -1
            replicaNodes = try reader.int32Array()
            isrNodes = try reader.int32Array()
            offlineReplicas = try version >= 5 ? reader.int32Array() : []
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.int32(index)
            writer.int32(leaderID)
            if version >= 7 { writer.int32(leaderEpoch) }
            writer.int32Array(replicaNodes)
            writer.int32Array(isrNodes)
            if version >= 5 { writer.int32Array(offlineReplicas) }
            writer.taggedFields()
        }
    }
}
