// SPDX-License-Identifier: Apache-2.0
//
// Catalogue+Topics.swift
// Keys of the sections topics, groups and producers. Names and defaults of topics are Kafka's.

import Model

extension Catalogue {
    // MARK: topics

    static let topicsAutoCreate = SettingKey<Bool>(
        "topics.auto_create", .boolean, default: "true", .high, reload: .live,
        "Whether a topic is created when a client asks for one that does not exist.")
    static let topicsNumPartitions = SettingKey<Int>(
        "topics.num_partitions", .integer(1...100_000), default: "1", .high, reload: .live,
        "Partitions of a topic that is created without saying how many.")
    static let topicsReplicationFactor = SettingKey<Int>(
        "topics.default_replication_factor", .integer(1...9), default: "1", .high, reload: .live,
        "Replicas of each partition of a topic that is created without saying how many.")
    static let topicsDeleteEnable = SettingKey<Bool>(
        "topics.delete_enable", .boolean, default: "true", .medium, reload: .live, "Whether clients may delete topics.")
    static let topicsRetentionMilliseconds = SettingKey<Int>(
        "topics.retention_ms", .milliseconds(-1...Int.max), default: "604800000", .high, reload: .live,
        "How long records are kept; -1 for ever.")
    static let topicsRetentionBytes = SettingKey<Int>(
        "topics.retention_bytes", .limitBytes(-1...Int.max), default: "-1", .high, reload: .live,
        "How much of each partition is kept; -1 all.")
    static let topicsSegmentBytes = SettingKey<Int>(
        "topics.segment_bytes", .limitBytes(1 << 20...Int(Int32.max)), default: "1073741824", .low, reload: .live,
        "The size at which a segment file is closed and a new one begun. Only closed segments are deleted.")
    static let topicsSegmentMilliseconds = SettingKey<Int>(
        "topics.segment_ms", .milliseconds(1...Int.max), default: "604800000", .low, reload: .live,
        "The age at which a segment file is closed even when it is small.")
    static let topicsMaxMessageBytes = SettingKey<Int>(
        "topics.max_message_bytes", .limitBytes(0...64 << 20), default: "1048588", .medium, reload: .live,
        "The largest batch of records a producer may send.")
    static let topicsMinInsyncReplicas = SettingKey<Int>(
        "topics.min_insync_replicas", .integer(1...9), default: "1", .medium, reload: .live,
        "Replicas that must have a record before `acks=all` is answered; a majority is always required.")
    static let topicsCompressionType = SettingKey<TopicCompression>(
        "topics.compression_type", default: .producer, .low, reload: .live,
        "The codec of batches as clients see them; `producer` leaves them as they came.")
    static let topicsTimestampType = SettingKey<TimestampType>(
        "topics.message_timestamp_type", default: .createTime, .low, reload: .live,
        "Whether records keep the producer's time or get the broker's.")
    static let topicsTimestampBeforeMax = SettingKey<Int>(
        "topics.message_timestamp_before_max_ms", .milliseconds(0...Int.max), default: "9223372036854775807", .low,
        reload: .live, "How far a record's time may lie in the past.")
    static let topicsTimestampAfterMax = SettingKey<Int>(
        "topics.message_timestamp_after_max_ms", .milliseconds(0...Int.max), default: "3600000", .low, reload: .live,
        "How far a record's time may lie in the future.")
    static let topics = [
        topicsAutoCreate.definition, topicsNumPartitions.definition, topicsReplicationFactor.definition,
        topicsDeleteEnable.definition, topicsRetentionMilliseconds.definition, topicsRetentionBytes.definition,
        topicsSegmentBytes.definition, topicsSegmentMilliseconds.definition, topicsMaxMessageBytes.definition,
        topicsMinInsyncReplicas.definition, topicsCompressionType.definition, topicsTimestampType.definition,
        topicsTimestampBeforeMax.definition, topicsTimestampAfterMax.definition,
    ]

    // MARK: groups

    static let groupsInitialRebalanceDelay = SettingKey<Duration>(
        "groups.initial_rebalance_delay", .duration(0...seconds(600)), default: "3s", .medium, reload: .live,
        "How long a new group waits for more members before the first assignment.")
    static let groupsMinSessionTimeout = SettingKey<Duration>(
        "groups.min_session_timeout", .duration(milliseconds(1)...days(1)), default: "6s", .medium, reload: .live,
        "The shortest session timeout a member may ask for.")
    static let groupsMaxSessionTimeout = SettingKey<Duration>(
        "groups.max_session_timeout", .duration(milliseconds(1)...days(7)), default: "30m", .medium, reload: .live,
        "The longest session timeout a member may ask for.")
    static let groupsNewMemberTimeout = SettingKey<Duration>(
        "groups.new_member_join_timeout", .duration(seconds(1)...days(1)), default: "5m", .low, reload: .live,
        "How long a member that has not completed its first join is kept.")
    static let groupsOffsetsRetention = SettingKey<Duration>(
        "groups.offsets_retention", .duration(seconds(1)...days(36_500)), default: "7d", .high, reload: .live,
        "How long the offsets of a group without members are kept.")
    static let groupsOffsetMetadataMaxBytes = SettingKey<ByteCount>(
        "groups.offset_metadata_max_bytes", .bytes(0...1 << 20), default: "4 KiB", .low, reload: .live,
        "The longest note a consumer may store beside an offset.")
    static let groupsMaxSize = SettingKey<Int>(
        "groups.max_size", .integer(1...1_000_000), default: "10000", .low, reload: .live,
        "Members of one group; further ones are refused.")
    static let groupsMaxGroups = SettingKey<Int>(
        "groups.max_groups", .integer(1...10_000_000), default: "100000", .low, reload: .live,
        "Groups that may exist; further ones are refused.")
    static let groupsMaxConfigurations = SettingKey<Int>(
        "groups.max_configurations", .integer(0...1_000_000), default: "10000", .low, reload: .live,
        "Groups with configurations of their own; setting one on a further group is refused.")
    static let groupsConsumerSessionTimeout = SettingKey<Duration>(
        "groups.consumer_session_timeout", .duration(milliseconds(100)...days(1)), default: "45s", .medium,
        reload: .live, "How long a member under the consumer protocol may be silent before it is removed.")
    static let groupsConsumerHeartbeatInterval = SettingKey<Duration>(
        "groups.consumer_heartbeat_interval", .duration(milliseconds(10)...days(1)), default: "5s", .medium,
        reload: .live, "How often members under the consumer protocol are told to be heard.")
    static let groupsConsumerMaxSize = SettingKey<Int>(
        "groups.consumer_max_size", .integer(1...100_000), default: "1000", .low, reload: .live,
        "Members of one group under the consumer protocol; further ones are refused.")
    static let groupsConsumerAssignors = SettingKey<ConsumerAssignors>(
        "groups.consumer_assignors", default: .uniformAndRange, .low, reload: .live,
        "Assignors that members under the consumer protocol may ask for; the first is for those that do not ask.")
    static let groups = [
        groupsInitialRebalanceDelay.definition, groupsMinSessionTimeout.definition,
        groupsMaxSessionTimeout.definition, groupsNewMemberTimeout.definition, groupsOffsetsRetention.definition,
        groupsOffsetMetadataMaxBytes.definition, groupsMaxSize.definition, groupsMaxGroups.definition,
        groupsMaxConfigurations.definition, groupsConsumerSessionTimeout.definition,
        groupsConsumerHeartbeatInterval.definition, groupsConsumerMaxSize.definition,
        groupsConsumerAssignors.definition,
    ]

    // MARK: producers

    static let producersIDExpiration = SettingKey<Duration>(
        "producers.id_expiration", .duration(seconds(1)...days(3650)), default: "1d", .low,
        "How long a partition remembers an idempotent producer that sends nothing.")
    static let producersMaxPerPartition = SettingKey<Int>(
        "producers.max_per_partition", .integer(1...10_000_000), default: "10000", .low,
        "Idempotent producers one partition remembers; the one that was silent longest is forgotten first.")
    static let producers = [producersIDExpiration.definition, producersMaxPerPartition.definition]
}

/// The assignors that are offered to groups under the consumer protocol; the names stand in the order of preference.
public enum ConsumerAssignors: String, CaseIterable, Sendable, SettingConvertible {
    /// Both, the one that shares equally first.
    case uniformAndRange = "uniform,range"
    /// Both, the one that gives neighbours first.
    case rangeAndUniform = "range,uniform"
    /// Only the one that shares equally.
    case uniform
    /// Only the one that gives neighbours.
    case range

    /// The names one by one.
    public var names: [String] { rawValue.split(separator: ",").map(String.init) }
}
