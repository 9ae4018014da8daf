// SPDX-License-Identifier: Apache-2.0
//
// DescribeClusterRequest.swift
// DescribeCluster (key 60) request, versions 0 to 2; flexible from version 0.

/// Asks for the cluster and its brokers.
public struct DescribeClusterRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeCluster
    /// What answers this request.
    public typealias Response = DescribeClusterResponse

    /// Whether to tell what the client may do with the cluster.
    public var includeClusterAuthorizedOperations: Bool
    /// Whether brokers (1) or controllers (2) are asked about, see ``EndpointType``; from version 1 on.
    public var endpointType: Int8
    /// Whether brokers that are fenced are listed, too; from version 2 on.
    public var includeFencedBrokers: Bool

    /// Creates the message; what is not named is at its default.
    public init(
        includeClusterAuthorizedOperations: Bool = false, endpointType: Int8 = 1, includeFencedBrokers: Bool = false
    ) {
        self.includeClusterAuthorizedOperations = includeClusterAuthorizedOperations
        self.endpointType = endpointType
        self.includeFencedBrokers = includeFencedBrokers
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeCluster, version: version)
        includeClusterAuthorizedOperations = try reader.bool()
        endpointType = try version >= 1 ? reader.int8() : 1
        includeFencedBrokers = try version >= 2 ? reader.bool() : false
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeCluster, version: version)
        writer.bool(includeClusterAuthorizedOperations)
        if version >= 1 { writer.int8(endpointType) }
        if version >= 2 { writer.bool(includeFencedBrokers) }
        writer.taggedFields()
    }
}
