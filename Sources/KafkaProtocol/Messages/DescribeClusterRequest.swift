// SPDX-License-Identifier: Apache-2.0
//
// DescribeClusterRequest.swift
// DescribeCluster (key 60) request, version 0; flexible from version 0.

/// Asks for the cluster and its brokers.
public struct DescribeClusterRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeCluster
    /// What answers this request.
    public typealias Response = DescribeClusterResponse

    /// Whether to tell what the client may do with the cluster.
    public var includeClusterAuthorizedOperations: Bool

    /// Creates the message; what is not named is at its default.
    public init(includeClusterAuthorizedOperations: Bool = false) {
        self.includeClusterAuthorizedOperations = includeClusterAuthorizedOperations
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeCluster, version: version)
        includeClusterAuthorizedOperations = try reader.bool()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeCluster, version: version)
        writer.bool(includeClusterAuthorizedOperations)
        writer.taggedFields()
    }
}
