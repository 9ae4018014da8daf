// SPDX-License-Identifier: Apache-2.0
//
// MetadataResponse.swift
// Metadata (key 3) response, versions 0 to 9; flexible from version 9.

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
    /// What the client may do with the cluster, a bit for each operation.
    public var clusterAuthorizedOperations: Int32

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, brokers: [Broker] = [], clusterID: String? = nil, controllerID: Int32 = -1,
        topics: [Topic] = [], clusterAuthorizedOperations: Int32 = authorizedOperationsOmitted
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.brokers = brokers
        self.clusterID = clusterID
        self.controllerID = controllerID
        self.topics = topics
        self.clusterAuthorizedOperations = clusterAuthorizedOperations
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.metadata, version: version)
        throttleTimeMilliseconds = try version >= 3 ? reader.int32() : 0
        brokers = try reader.array(version: version)
        clusterID = try version >= 2 ? reader.nullableString() : nil
        controllerID = try version >= 1 ? reader.int32() : -1
        topics = try reader.array(version: version)
        clusterAuthorizedOperations = try version >= 8 ? reader.int32() : authorizedOperationsOmitted
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
        if version >= 8 { writer.int32(clusterAuthorizedOperations) }
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
        /// The topic's name.
        public var name: String
        /// Whether the topic holds the cluster's own state.
        public var isInternal: Bool
        /// The partitions of the topic.
        public var partitions: [Partition]
        /// What the client may do with the topic, a bit for each operation.
        public var topicAuthorizedOperations: Int32

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, name: String, isInternal: Bool = false, partitions: [Partition] = [],
            topicAuthorizedOperations: Int32 = authorizedOperationsOmitted
        ) {
            self.errorCode = errorCode
            self.name = name
            self.isInternal = isInternal
            self.partitions = partitions
            self.topicAuthorizedOperations = topicAuthorizedOperations
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            name = try reader.string()
            isInternal = try version >= 1 ? reader.bool() : false
            partitions = try reader.array(version: version)
            topicAuthorizedOperations = try version >= 8 ? reader.int32() : authorizedOperationsOmitted
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.string(name)
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
