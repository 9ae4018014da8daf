// SPDX-License-Identifier: Apache-2.0
//
// RequestDecoder.swift
// The bytes of a request to its value, by the registry's versions.

public import NIOCore

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
        // Bytes after the last field are ignored, as Kafka does: librdkafka 2.16 sends one with Metadata v9.
        return try decode(key, from: &reader, version: header.version)
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
        case .addPartitionsToTxn: .addPartitionsToTxn(try AddPartitionsToTxnRequest(from: &reader, version: version))
        case .addOffsetsToTxn: .addOffsetsToTxn(try AddOffsetsToTxnRequest(from: &reader, version: version))
        case .endTxn: .endTxn(try EndTxnRequest(from: &reader, version: version))
        case .writeTxnMarkers: .writeTxnMarkers(try WriteTxnMarkersRequest(from: &reader, version: version))
        case .txnOffsetCommit: .txnOffsetCommit(try TxnOffsetCommitRequest(from: &reader, version: version))
        case .describeConfigs: .describeConfigs(try DescribeConfigsRequest(from: &reader, version: version))
        case .alterConfigs: .alterConfigs(try AlterConfigsRequest(from: &reader, version: version))
        case .describeLogDirs: .describeLogDirs(try DescribeLogDirsRequest(from: &reader, version: version))
        case .createPartitions: .createPartitions(try CreatePartitionsRequest(from: &reader, version: version))
        case .deleteGroups: .deleteGroups(try DeleteGroupsRequest(from: &reader, version: version))
        case .electLeaders: .electLeaders(try ElectLeadersRequest(from: &reader, version: version))
        case .incrementalAlterConfigs:
            .incrementalAlterConfigs(try IncrementalAlterConfigsRequest(from: &reader, version: version))
        case .alterPartitionReassignments:
            .alterPartitionReassignments(try AlterPartitionReassignmentsRequest(from: &reader, version: version))
        case .listPartitionReassignments:
            .listPartitionReassignments(try ListPartitionReassignmentsRequest(from: &reader, version: version))
        case .offsetDelete: .offsetDelete(try OffsetDeleteRequest(from: &reader, version: version))
        case .describeQuorum: .describeQuorum(try DescribeQuorumRequest(from: &reader, version: version))
        case .describeCluster: .describeCluster(try DescribeClusterRequest(from: &reader, version: version))
        case .describeProducers: .describeProducers(try DescribeProducersRequest(from: &reader, version: version))
        case .describeTransactions:
            .describeTransactions(try DescribeTransactionsRequest(from: &reader, version: version))
        case .listTransactions: .listTransactions(try ListTransactionsRequest(from: &reader, version: version))
        case .consumerGroupHeartbeat:
            .consumerGroupHeartbeat(try ConsumerGroupHeartbeatRequest(from: &reader, version: version))
        case .consumerGroupDescribe:
            .consumerGroupDescribe(try ConsumerGroupDescribeRequest(from: &reader, version: version))
        case .getTelemetrySubscriptions:
            .getTelemetrySubscriptions(try GetTelemetrySubscriptionsRequest(from: &reader, version: version))
        case .pushTelemetry: .pushTelemetry(try PushTelemetryRequest(from: &reader, version: version))
        case .listConfigResources: .listConfigResources(try ListConfigResourcesRequest(from: &reader, version: version))
        case .describeTopicPartitions:
            .describeTopicPartitions(try DescribeTopicPartitionsRequest(from: &reader, version: version))
        case .shareGroupHeartbeat: .shareGroupHeartbeat(try ShareGroupHeartbeatRequest(from: &reader, version: version))
        case .shareGroupDescribe: .shareGroupDescribe(try ShareGroupDescribeRequest(from: &reader, version: version))
        case .shareFetch: .shareFetch(try ShareFetchRequest(from: &reader, version: version))
        case .shareAcknowledge: .shareAcknowledge(try ShareAcknowledgeRequest(from: &reader, version: version))
        case .describeShareGroupOffsets:
            .describeShareGroupOffsets(try DescribeShareGroupOffsetsRequest(from: &reader, version: version))
        case .alterShareGroupOffsets:
            .alterShareGroupOffsets(try AlterShareGroupOffsetsRequest(from: &reader, version: version))
        case .deleteShareGroupOffsets:
            .deleteShareGroupOffsets(try DeleteShareGroupOffsetsRequest(from: &reader, version: version))
        }
    }
}
