// SPDX-License-Identifier: Apache-2.0
//
// KafkaRequest.swift
// Any request that we serve, as one closed set, and the way from bytes to it.

public import NIOCore

/// A decoded request.
public enum KafkaRequest: Equatable, Sendable {
    case produce(ProduceRequest)
    case fetch(FetchRequest)
    case listOffsets(ListOffsetsRequest)
    case metadata(MetadataRequest)
    case offsetCommit(OffsetCommitRequest)
    case offsetFetch(OffsetFetchRequest)
    case findCoordinator(FindCoordinatorRequest)
    case joinGroup(JoinGroupRequest)
    case heartbeat(HeartbeatRequest)
    case leaveGroup(LeaveGroupRequest)
    case syncGroup(SyncGroupRequest)
    case describeGroups(DescribeGroupsRequest)
    case listGroups(ListGroupsRequest)
    case apiVersions(ApiVersionsRequest)
    case createTopics(CreateTopicsRequest)
    case deleteTopics(DeleteTopicsRequest)
    case deleteRecords(DeleteRecordsRequest)
    case initProducerID(InitProducerIDRequest)
    case offsetForLeaderEpoch(OffsetForLeaderEpochRequest)
    case describeConfigs(DescribeConfigsRequest)
    case alterConfigs(AlterConfigsRequest)
    case createPartitions(CreatePartitionsRequest)
    case deleteGroups(DeleteGroupsRequest)
    case incrementalAlterConfigs(IncrementalAlterConfigsRequest)
    case offsetDelete(OffsetDeleteRequest)
    case describeCluster(DescribeClusterRequest)

    /// The API that the request calls.
    public var key: APIKey {
        switch self {
        case .produce: .produce
        case .fetch: .fetch
        case .listOffsets: .listOffsets
        case .metadata: .metadata
        case .offsetCommit: .offsetCommit
        case .offsetFetch: .offsetFetch
        case .findCoordinator: .findCoordinator
        case .joinGroup: .joinGroup
        case .heartbeat: .heartbeat
        case .leaveGroup: .leaveGroup
        case .syncGroup: .syncGroup
        case .describeGroups: .describeGroups
        case .listGroups: .listGroups
        case .apiVersions: .apiVersions
        case .createTopics: .createTopics
        case .deleteTopics: .deleteTopics
        case .deleteRecords: .deleteRecords
        case .initProducerID: .initProducerID
        case .offsetForLeaderEpoch: .offsetForLeaderEpoch
        case .describeConfigs: .describeConfigs
        case .alterConfigs: .alterConfigs
        case .createPartitions: .createPartitions
        case .deleteGroups: .deleteGroups
        case .incrementalAlterConfigs: .incrementalAlterConfigs
        case .offsetDelete: .offsetDelete
        case .describeCluster: .describeCluster
        }
    }
}

/// Turns the body of a request into its value.
public enum RequestDecoder {
    /// Array elements that one request may hold in all: far more than a client sends, and few enough to hold in memory.
    public static let elementsMax = 1 << 20

    /// Decodes `body`, which follows `header` in its frame; records become slices of `body`.
    ///
    /// - Throws: ``WireError/unknownAPI(_:)`` and ``WireError/unsupportedVersion(_:_:)`` before a byte of the body is
    ///   read; anything else means that the body is malformed. An ApiVersions request of a version that is not served
    ///   is answered with ``ResponseEncoder/unsupportedApiVersions(correlationID:)``; in all other cases the connection
    ///   is to be closed.
    public static func decode(_ header: RequestHeader, body: ByteBuffer) throws(WireError) -> KafkaRequest {
        guard let key = header.key else { throw .unknownAPI(header.apiKey) }
        var reader = WireReader(body, elementsMax: elementsMax)
        let request = try decode(key, from: &reader, version: header.version)
        try reader.expectEnd()
        return request
    }

    private static func decode(
        _ key: APIKey, from reader: inout WireReader, version: Int16
    ) throws(WireError) -> KafkaRequest {
        switch key {
        case .produce: .produce(try ProduceRequest(from: &reader, version: version))
        case .fetch: .fetch(try FetchRequest(from: &reader, version: version))
        case .listOffsets: .listOffsets(try ListOffsetsRequest(from: &reader, version: version))
        case .metadata: .metadata(try MetadataRequest(from: &reader, version: version))
        case .offsetCommit: .offsetCommit(try OffsetCommitRequest(from: &reader, version: version))
        case .offsetFetch: .offsetFetch(try OffsetFetchRequest(from: &reader, version: version))
        case .findCoordinator: .findCoordinator(try FindCoordinatorRequest(from: &reader, version: version))
        case .joinGroup: .joinGroup(try JoinGroupRequest(from: &reader, version: version))
        case .heartbeat: .heartbeat(try HeartbeatRequest(from: &reader, version: version))
        case .leaveGroup: .leaveGroup(try LeaveGroupRequest(from: &reader, version: version))
        case .syncGroup: .syncGroup(try SyncGroupRequest(from: &reader, version: version))
        case .describeGroups: .describeGroups(try DescribeGroupsRequest(from: &reader, version: version))
        case .listGroups: .listGroups(try ListGroupsRequest(from: &reader, version: version))
        case .apiVersions: .apiVersions(try ApiVersionsRequest(from: &reader, version: version))
        case .createTopics: .createTopics(try CreateTopicsRequest(from: &reader, version: version))
        case .deleteTopics: .deleteTopics(try DeleteTopicsRequest(from: &reader, version: version))
        case .deleteRecords: .deleteRecords(try DeleteRecordsRequest(from: &reader, version: version))
        case .initProducerID: .initProducerID(try InitProducerIDRequest(from: &reader, version: version))
        case .offsetForLeaderEpoch:
            .offsetForLeaderEpoch(try OffsetForLeaderEpochRequest(from: &reader, version: version))
        case .describeConfigs: .describeConfigs(try DescribeConfigsRequest(from: &reader, version: version))
        case .alterConfigs: .alterConfigs(try AlterConfigsRequest(from: &reader, version: version))
        case .createPartitions: .createPartitions(try CreatePartitionsRequest(from: &reader, version: version))
        case .deleteGroups: .deleteGroups(try DeleteGroupsRequest(from: &reader, version: version))
        case .incrementalAlterConfigs:
            .incrementalAlterConfigs(try IncrementalAlterConfigsRequest(from: &reader, version: version))
        case .offsetDelete: .offsetDelete(try OffsetDeleteRequest(from: &reader, version: version))
        case .describeCluster: .describeCluster(try DescribeClusterRequest(from: &reader, version: version))
        }
    }
}
