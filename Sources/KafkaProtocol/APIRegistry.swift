// SPDX-License-Identifier: Apache-2.0
//
// APIRegistry.swift
// The one table of the APIs: dispatch, the ApiVersions answer, metric labels, reference pages and tests all read it.

/// What we know about one API.
public struct APIDescription: Sendable {
    /// The API.
    public let key: APIKey
    /// The name, as Kafka's documentation spells it.
    public let name: String
    /// The versions that are decoded and answered.
    public let served: ClosedRange<Int16>
    /// The versions that ApiVersions names.
    public let advertised: ClosedRange<Int16>
    /// The first version with compact forms and tagged fields; nil when there is none.
    public let flexibleFrom: Int16?
    /// What the API is for, in one line.
    public let summary: String

    init(
        _ key: APIKey, _ name: String, _ served: ClosedRange<Int16>, advertised: ClosedRange<Int16>? = nil,
        flexibleFrom: Int16?, _ summary: String
    ) {
        self.key = key
        self.name = name
        self.served = served
        self.advertised = advertised ?? served
        self.flexibleFrom = flexibleFrom
        self.summary = summary
    }

    /// Whether `version` has compact forms and tagged fields.
    public func isFlexible(_ version: Int16) -> Bool { flexibleFrom.map { version >= $0 } ?? false }
}

/// The table of the APIs.
public enum APIRegistry {
    /// Every API that we serve, by rising key.
    ///
    /// Produce is advertised from version 0 although 0 to 2 are refused: older librdkafka releases switch compression
    /// off when they see a higher minimum (KAFKA-18659).
    public static let served: [APIDescription] = [
        APIDescription(
            .produce, "Produce", 3...13, advertised: 0...13, flexibleFrom: 9, "Appends record batches to partitions."),
        APIDescription(
            .fetch, "Fetch", 4...18, flexibleFrom: 12, "Asks for the record batches of partitions from an offset on."),
        APIDescription(
            .listOffsets, "ListOffsets", 1...11, flexibleFrom: 6,
            "Asks for the offset that belongs to a time, or for an end of the log."),
        APIDescription(
            .metadata, "Metadata", 0...13, flexibleFrom: 9,
            "Asks for the brokers and for the topics with their leaders."),
        APIDescription(.offsetCommit, "OffsetCommit", 2...10, flexibleFrom: 8, "Stores a group's positions."),
        APIDescription(.offsetFetch, "OffsetFetch", 1...10, flexibleFrom: 6, "Asks for a group's positions."),
        APIDescription(
            .findCoordinator, "FindCoordinator", 0...6, flexibleFrom: 3,
            "Asks for the brokers that coordinate groups."),
        APIDescription(
            .joinGroup, "JoinGroup", 0...9, flexibleFrom: 6, "Enters a group, or enters its next generation."),
        APIDescription(.heartbeat, "Heartbeat", 0...4, flexibleFrom: 4, "Says that a member is alive."),
        APIDescription(.leaveGroup, "LeaveGroup", 0...5, flexibleFrom: 4, "Takes members out of a group."),
        APIDescription(
            .syncGroup, "SyncGroup", 0...5, flexibleFrom: 4,
            "Hands out the leader's assignments and asks for one's own."),
        APIDescription(
            .describeGroups, "DescribeGroups", 0...6, flexibleFrom: 5, "Asks for the state and the members of groups."),
        APIDescription(
            .listGroups, "ListGroups", 0...5, flexibleFrom: 3, "Asks for the groups that this broker coordinates."),
        APIDescription(
            .apiVersions, "ApiVersions", 0...4, flexibleFrom: 3,
            "Asks which versions of which APIs the broker serves."),
        APIDescription(.createTopics, "CreateTopics", 2...7, flexibleFrom: 5, "Creates topics."),
        APIDescription(.deleteTopics, "DeleteTopics", 1...6, flexibleFrom: 4, "Deletes topics."),
        APIDescription(.deleteRecords, "DeleteRecords", 0...2, flexibleFrom: 2, "Deletes the records below an offset."),
        APIDescription(.initProducerID, "InitProducerId", 0...6, flexibleFrom: 2, "Asks for a producer id."),
        APIDescription(
            .offsetForLeaderEpoch, "OffsetForLeaderEpoch", 2...4, flexibleFrom: 4, "Asks where leader epochs end."),
        APIDescription(
            .addPartitionsToTxn, "AddPartitionsToTxn", 0...5, flexibleFrom: 3,
            "Adds partitions to a transaction, or asks whether they are part of it."),
        APIDescription(
            .addOffsetsToTxn, "AddOffsetsToTxn", 0...4, flexibleFrom: 3, "Adds a group's offsets to a transaction."),
        APIDescription(.endTxn, "EndTxn", 0...5, flexibleFrom: 3, "Commits or aborts a transaction."),
        APIDescription(
            .writeTxnMarkers, "WriteTxnMarkers", 1...2, flexibleFrom: 1,
            "Ends transactions in partitions; for brokers only."),
        APIDescription(
            .txnOffsetCommit, "TxnOffsetCommit", 0...5, flexibleFrom: 3,
            "Stores a group's positions, which hold once the transaction commits."),
        APIDescription(.describeConfigs, "DescribeConfigs", 1...4, flexibleFrom: 4, "Asks for configuration values."),
        APIDescription(
            .alterConfigs, "AlterConfigs", 0...2, flexibleFrom: 2, "Replaces the whole configuration of resources."),
        APIDescription(
            .describeLogDirs, "DescribeLogDirs", 1...5, flexibleFrom: 2, "Asks how much room partitions take on disk."),
        APIDescription(.createPartitions, "CreatePartitions", 0...3, flexibleFrom: 2, "Adds partitions to topics."),
        APIDescription(.deleteGroups, "DeleteGroups", 0...2, flexibleFrom: 2, "Deletes groups without members."),
        APIDescription(
            .electLeaders, "ElectLeaders", 0...2, flexibleFrom: 2, "Gives partitions back to their preferred leaders."),
        APIDescription(
            .incrementalAlterConfigs, "IncrementalAlterConfigs", 0...1, flexibleFrom: 1,
            "Changes single configuration keys of resources."),
        APIDescription(
            .alterPartitionReassignments, "AlterPartitionReassignments", 0...1, flexibleFrom: 0,
            "Moves partitions to other replicas, or cancels a move."),
        APIDescription(
            .listPartitionReassignments, "ListPartitionReassignments", 0...0, flexibleFrom: 0,
            "Asks which partitions are moving."),
        APIDescription(.offsetDelete, "OffsetDelete", 0...0, flexibleFrom: nil, "Forgets a group's positions."),
        APIDescription(
            .describeQuorum, "DescribeQuorum", 0...2, flexibleFrom: 0, "Asks for the state of the controller's group."),
        APIDescription(
            .describeCluster, "DescribeCluster", 0...2, flexibleFrom: 0, "Asks for the cluster and its brokers."),
        APIDescription(
            .describeProducers, "DescribeProducers", 0...0, flexibleFrom: 0,
            "Asks for the producers that partitions remember."),
        APIDescription(
            .describeTransactions, "DescribeTransactions", 0...0, flexibleFrom: 0,
            "Asks for the state of transactional ids."),
        APIDescription(
            .listTransactions, "ListTransactions", 0...2, flexibleFrom: 0,
            "Asks for the transactional ids that this broker coordinates."),
        APIDescription(
            .consumerGroupHeartbeat, "ConsumerGroupHeartbeat", 0...1, flexibleFrom: 0,
            "Enters a group under the consumer protocol, lives in it, leaves it."),
        APIDescription(
            .consumerGroupDescribe, "ConsumerGroupDescribe", 0...1, flexibleFrom: 0,
            "Asks for groups under the consumer protocol and their members."),
        APIDescription(
            .getTelemetrySubscriptions, "GetTelemetrySubscriptions", 0...0, flexibleFrom: 0,
            "Asks which metrics the client is to push."),
        APIDescription(
            .pushTelemetry, "PushTelemetry", 0...0, flexibleFrom: 0, "Hands over the client's metrics."),
        APIDescription(
            .listConfigResources, "ListConfigResources", 0...1, flexibleFrom: 0,
            "Asks which resources have a configuration."),
        APIDescription(
            .describeTopicPartitions, "DescribeTopicPartitions", 0...0, flexibleFrom: 0,
            "Asks for the partitions of topics, page by page."),
        APIDescription(
            .shareGroupHeartbeat, "ShareGroupHeartbeat", 1...1, flexibleFrom: 0,
            "Enters a share group, lives in it, leaves it."),
        APIDescription(
            .shareGroupDescribe, "ShareGroupDescribe", 1...1, flexibleFrom: 0,
            "Asks for share groups and their members."),
        APIDescription(
            .shareFetch, "ShareFetch", 1...2, flexibleFrom: 0,
            "Acquires records for a member of a share group."),
        APIDescription(
            .shareAcknowledge, "ShareAcknowledge", 1...2, flexibleFrom: 0,
            "Says what became of acquired records."),
        APIDescription(
            .describeShareGroupOffsets, "DescribeShareGroupOffsets", 0...1, flexibleFrom: 0,
            "Asks where share groups start in their partitions."),
        APIDescription(
            .alterShareGroupOffsets, "AlterShareGroupOffsets", 0...0, flexibleFrom: 0,
            "Sets where a share group starts."),
        APIDescription(
            .deleteShareGroupOffsets, "DeleteShareGroupOffsets", 0...0, flexibleFrom: 0,
            "Forgets what a share group knows of topics."),
    ]

    /// Every API with codecs: those that are served, then those that are not yet.
    private static let known = served + prepared

    /// The place of each key's entry in `known`; keys without codecs have none.
    private static let places: [Int?] = {
        var places = [Int?](repeating: nil, count: Int(known.map(\.key.rawValue).max() ?? 0) + 1)
        for (place, api) in known.enumerated() { places[Int(api.key.rawValue)] = place }
        return places
    }()

    /// Whether `key` is served.
    static func isServed(_ key: APIKey) -> Bool { places[Int(key.rawValue)].map { $0 < served.count } ?? false }

    /// The entry of `key`.
    public static subscript(key: APIKey) -> APIDescription {
        guard let place = places[Int(key.rawValue)] else { preconditionFailure("key \(key.rawValue) has no entry") }
        return known[place]
    }
}
