// SPDX-License-Identifier: Apache-2.0
//
// DescribeClusterResponse.swift
// DescribeCluster (key 60) response, versions 0 to 2; flexible from version 0.

/// The cluster and its brokers.
public struct DescribeClusterResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeCluster

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// Whether brokers (1) or controllers (2) are listed; from version 1 on.
    public var endpointType: Int8
    /// The cluster's id.
    public var clusterID: String
    /// The broker to send administrative requests to.
    public var controllerID: Int32
    /// The live brokers.
    public var brokers: [Broker]
    /// What the client may do with the cluster, a bit for each operation.
    public var clusterAuthorizedOperations: Int32

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
        endpointType: Int8 = 1, clusterID: String, controllerID: Int32 = -1, brokers: [Broker] = [],
        clusterAuthorizedOperations: Int32 = authorizedOperationsOmitted
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.endpointType = endpointType
        self.clusterID = clusterID
        self.controllerID = controllerID
        self.brokers = brokers
        self.clusterAuthorizedOperations = clusterAuthorizedOperations
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeCluster, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        endpointType = try version >= 1 ? reader.int8() : 1
        clusterID = try reader.string()
        controllerID = try reader.int32()
        brokers = try reader.array(version: version)
        clusterAuthorizedOperations = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeCluster, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        if version >= 1 { writer.int8(endpointType) }
        writer.string(clusterID)
        writer.int32(controllerID)
        writer.array(brokers, version: version)
        writer.int32(clusterAuthorizedOperations)
        writer.taggedFields()
    }
}

extension DescribeClusterResponse {
    /// A broker and how to reach it.
    public struct Broker: WireCoded {
        /// The broker.
        public var brokerID: Int32
        /// The host to connect to.
        public var host: String
        /// The port to connect to.
        public var port: Int32
        /// The rack, when known.
        public var rack: String?
        /// Whether the broker is fenced; from version 2 on.
        public var isFenced: Bool

        /// Creates a value; what is not named is at its default.
        public init(brokerID: Int32, host: String, port: Int32, rack: String? = nil, isFenced: Bool = false) {
            self.brokerID = brokerID
            self.host = host
            self.port = port
            self.rack = rack
            self.isFenced = isFenced
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            brokerID = try reader.int32()
            host = try reader.string()
            port = try reader.int32()
            rack = try reader.nullableString()
            isFenced = try version >= 2 ? reader.bool() : false
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(brokerID)
            writer.string(host)
            writer.int32(port)
            writer.nullableString(rack)
            if version >= 2 { writer.bool(isFenced) }
            writer.taggedFields()
        }
    }
}
