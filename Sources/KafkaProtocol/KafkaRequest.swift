// SPDX-License-Identifier: Apache-2.0
//
// KafkaRequest.swift
// Any request that we serve, as one closed set.

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
    case addPartitionsToTxn(AddPartitionsToTxnRequest)
    case addOffsetsToTxn(AddOffsetsToTxnRequest)
    case endTxn(EndTxnRequest)
    case writeTxnMarkers(WriteTxnMarkersRequest)
    case txnOffsetCommit(TxnOffsetCommitRequest)
    case describeConfigs(DescribeConfigsRequest)
    case alterConfigs(AlterConfigsRequest)
    case describeLogDirs(DescribeLogDirsRequest)
    case createPartitions(CreatePartitionsRequest)
    case deleteGroups(DeleteGroupsRequest)
    case electLeaders(ElectLeadersRequest)
    case incrementalAlterConfigs(IncrementalAlterConfigsRequest)
    case alterPartitionReassignments(AlterPartitionReassignmentsRequest)
    case listPartitionReassignments(ListPartitionReassignmentsRequest)
    case offsetDelete(OffsetDeleteRequest)
    case describeQuorum(DescribeQuorumRequest)
    case describeCluster(DescribeClusterRequest)
    case describeProducers(DescribeProducersRequest)
    case describeTransactions(DescribeTransactionsRequest)
    case listTransactions(ListTransactionsRequest)
    case consumerGroupHeartbeat(ConsumerGroupHeartbeatRequest)
    case consumerGroupDescribe(ConsumerGroupDescribeRequest)
    case getTelemetrySubscriptions(GetTelemetrySubscriptionsRequest)
    case pushTelemetry(PushTelemetryRequest)
    case listConfigResources(ListConfigResourcesRequest)
    case describeTopicPartitions(DescribeTopicPartitionsRequest)
    case shareGroupHeartbeat(ShareGroupHeartbeatRequest)
    case shareGroupDescribe(ShareGroupDescribeRequest)
    case shareFetch(ShareFetchRequest)
    case shareAcknowledge(ShareAcknowledgeRequest)
    case describeShareGroupOffsets(DescribeShareGroupOffsetsRequest)
    case alterShareGroupOffsets(AlterShareGroupOffsetsRequest)
    case deleteShareGroupOffsets(DeleteShareGroupOffsetsRequest)

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
        case .addPartitionsToTxn: .addPartitionsToTxn
        case .addOffsetsToTxn: .addOffsetsToTxn
        case .endTxn: .endTxn
        case .writeTxnMarkers: .writeTxnMarkers
        case .txnOffsetCommit: .txnOffsetCommit
        case .describeConfigs: .describeConfigs
        case .alterConfigs: .alterConfigs
        case .describeLogDirs: .describeLogDirs
        case .createPartitions: .createPartitions
        case .deleteGroups: .deleteGroups
        case .electLeaders: .electLeaders
        case .incrementalAlterConfigs: .incrementalAlterConfigs
        case .alterPartitionReassignments: .alterPartitionReassignments
        case .listPartitionReassignments: .listPartitionReassignments
        case .offsetDelete: .offsetDelete
        case .describeQuorum: .describeQuorum
        case .describeCluster: .describeCluster
        case .describeProducers: .describeProducers
        case .describeTransactions: .describeTransactions
        case .listTransactions: .listTransactions
        case .consumerGroupHeartbeat: .consumerGroupHeartbeat
        case .consumerGroupDescribe: .consumerGroupDescribe
        case .getTelemetrySubscriptions: .getTelemetrySubscriptions
        case .pushTelemetry: .pushTelemetry
        case .listConfigResources: .listConfigResources
        case .describeTopicPartitions: .describeTopicPartitions
        case .shareGroupHeartbeat: .shareGroupHeartbeat
        case .shareGroupDescribe: .shareGroupDescribe
        case .shareFetch: .shareFetch
        case .shareAcknowledge: .shareAcknowledge
        case .describeShareGroupOffsets: .describeShareGroupOffsets
        case .alterShareGroupOffsets: .alterShareGroupOffsets
        case .deleteShareGroupOffsets: .deleteShareGroupOffsets
        }
    }
}
