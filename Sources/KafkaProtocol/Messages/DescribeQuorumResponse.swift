// SPDX-License-Identifier: Apache-2.0
//
// DescribeQuorumResponse.swift
// DescribeQuorum (key 55) response, versions 0 to 2; flexible from version 0.

public import Model

/// The state of the controller's group.
public struct DescribeQuorumResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeQuorum

    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence; from version 2 on.
    public var errorMessage: String?
    /// The answer for each topic.
    public var topics: [Topic]
    /// How the replicas reach each other, from version 2 on.
    public var nodes: [Node]

    /// Creates the message; what is not named is at its default.
    public init(
        errorCode: KafkaErrorCode = .none, errorMessage: String? = nil, topics: [Topic] = [], nodes: [Node] = []
    ) {
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.topics = topics
        self.nodes = nodes
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeQuorum, version: version)
        errorCode = try reader.errorCode()
        errorMessage = try version >= 2 ? reader.nullableString() : nil
        topics = try reader.array(version: version)
        nodes = try version >= 2 ? reader.array(version: version) : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeQuorum, version: version)
        writer.errorCode(errorCode)
        if version >= 2 { writer.nullableString(errorMessage) }
        writer.array(topics, version: version)
        if version >= 2 { writer.array(nodes, version: version) }
        writer.taggedFields()
    }
}

extension DescribeQuorumResponse {
    /// The answer for one topic.
    public typealias Topic = TopicPartitions<Partition>

    /// The answer for one partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence; from version 2 on.
        public var errorMessage: String?
        /// The leader, -1 when there is none.
        public var leaderID: Int32
        /// The leader epoch, -1 when unknown.
        public var leaderEpoch: Int32
        /// The offset past the last committed entry.
        public var highWatermark: Int64
        /// The replicas that vote.
        public var currentVoters: [Replica]
        /// The replicas that only follow.
        public var observers: [Replica]

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil, leaderID: Int32 = -1,
            leaderEpoch: Int32 = -1, highWatermark: Int64 = -1, currentVoters: [Replica] = [],
            observers: [Replica] = []
        ) {
            self.index = index
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.leaderID = leaderID
            self.leaderEpoch = leaderEpoch
            self.highWatermark = highWatermark
            self.currentVoters = currentVoters
            self.observers = observers
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            errorCode = try reader.errorCode()
            errorMessage = try version >= 2 ? reader.nullableString() : nil
            leaderID = try reader.int32()
            leaderEpoch = try reader.int32()
            highWatermark = try reader.int64()
            currentVoters = try reader.array(version: version)
            observers = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.errorCode(errorCode)
            if version >= 2 { writer.nullableString(errorMessage) }
            writer.int32(leaderID)
            writer.int32(leaderEpoch)
            writer.int64(highWatermark)
            writer.array(currentVoters, version: version)
            writer.array(observers, version: version)
            writer.taggedFields()
        }
    }

    /// One replica and how far it is.
    public struct Replica: WireCoded {
        /// The broker.
        public var replicaID: Int32
        /// Its data directory, from version 2 on; zero when unknown.
        public var replicaDirectoryID: UniqueID
        /// Where its log ends, as far as the leader knows; -1 when it does not.
        public var logEndOffset: Int64
        /// When it was last heard from; -1 when unknown.
        public var lastFetchTimestamp: Int64
        /// When it last had everything; -1 when unknown.
        public var lastCaughtUpTimestamp: Int64

        /// Creates a value; what is not named is at its default.
        public init(
            replicaID: Int32, replicaDirectoryID: UniqueID = .zero, logEndOffset: Int64 = -1,
            lastFetchTimestamp: Int64 = -1, lastCaughtUpTimestamp: Int64 = -1
        ) {
            self.replicaID = replicaID
            self.replicaDirectoryID = replicaDirectoryID
            self.logEndOffset = logEndOffset
            self.lastFetchTimestamp = lastFetchTimestamp
            self.lastCaughtUpTimestamp = lastCaughtUpTimestamp
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            replicaID = try reader.int32()
            replicaDirectoryID = try version >= 2 ? reader.uniqueID() : .zero
            logEndOffset = try reader.int64()
            lastFetchTimestamp = try version >= 1 ? reader.int64() : -1
            lastCaughtUpTimestamp = try version >= 1 ? reader.int64() : -1
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(replicaID)
            if version >= 2 { writer.uniqueID(replicaDirectoryID) }
            writer.int64(logEndOffset)
            if version >= 1 {
                writer.int64(lastFetchTimestamp)
                writer.int64(lastCaughtUpTimestamp)
            }
            writer.taggedFields()
        }
    }
    /// A broker of the group and where the others reach it.
    public struct Node: WireCoded {
        /// The broker.
        public var nodeID: Int32
        /// Its addresses.
        public var listeners: [Listener]

        /// Creates a value; what is not named is at its default.
        public init(nodeID: Int32, listeners: [Listener] = []) {
            self.nodeID = nodeID
            self.listeners = listeners
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            nodeID = try reader.int32()
            listeners = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(nodeID)
            writer.array(listeners, version: version)
            writer.taggedFields()
        }
    }

    /// An address of a broker.
    public struct Listener: WireCoded {
        /// The listener's name.
        public var name: String
        /// The host.
        public var host: String
        /// The port.
        public var port: UInt16

        /// Creates a value.
        public init(name: String, host: String, port: UInt16) {
            self.name = name
            self.host = host
            self.port = port
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            host = try reader.string()
            port = UInt16(bitPattern: try reader.int16())
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.string(host)
            writer.int16(Int16(bitPattern: port))
            writer.taggedFields()
        }
    }
}
