// SPDX-License-Identifier: Apache-2.0
//
// BrokerConfigurationNames.swift
// The broker's settings under the names Kafka's tools ask for.

import Model

/// One broker configuration as DescribeConfigs returns it.
public struct BrokerConfigurationEntry: Sendable, Equatable {
    /// Kafka's name.
    public let name: String
    /// The value as Kafka writes it.
    public let value: String
    /// Its type on the wire.
    public let type: KafkaConfigurationType
    /// Whether nobody set it; otherwise it comes from the file, the environment or the command line.
    public let isDefault: Bool
    /// Where it stands in our configuration; nil for what cannot be set.
    public let setting: String?
    /// What it does.
    public let doc: String
}

/// Kafka's broker configurations.
public enum BrokerConfigurationNames {
    /// Every broker configuration that has a meaning here, by name, with its value in `settings`.
    public static func entries(of settings: ResolvedSettings) -> [BrokerConfigurationEntry] {
        let typed = settings.typed()
        let mapped = names.compactMap { entry -> BrokerConfigurationEntry? in
            guard let definition = Catalogue.definition(entry.setting),
                let resolved = settings.entry(entry.setting)
            else { preconditionFailure("\(entry.setting) is not in the catalogue") }
            return BrokerConfigurationEntry(
                name: entry.name, value: entry.value?(typed) ?? text(resolved.value), type: entry.type,
                isDefault: resolved.origin == .default, setting: entry.setting, doc: definition.doc)
        }
        let fixed = constants.map {
            BrokerConfigurationEntry(
                name: $0.name, value: $0.value, type: $0.type, isDefault: true, setting: nil, doc: $0.doc)
        }
        return (mapped + fixed).sorted { $0.name < $1.name }
    }

    private struct Name: Sendable {
        let name: String
        let setting: String
        let type: KafkaConfigurationType
        var value: (@Sendable (BrokerSettings) -> String)?
    }

    private static let names: [Name] = [
        .init(name: "broker.id", setting: "node.id", type: .int),
        .init(name: "node.id", setting: "node.id", type: .int),
        .init(name: "broker.rack", setting: "node.rack", type: .string),
        .init(name: "listeners", setting: "listeners.kafka", type: .list) { "PLAINTEXT://\($0.listeners.kafka)" },
        .init(name: "advertised.listeners", setting: "listeners.advertised", type: .list) {
            "PLAINTEXT://\($0.listeners.advertised)"
        },
        .init(name: "log.dirs", setting: "storage.directory", type: .list),
        .init(name: "max.connections", setting: "listeners.max_connections", type: .int),
        .init(name: "max.connections.per.ip", setting: "listeners.max_connections_per_ip", type: .int),
        .init(name: "connections.max.idle.ms", setting: "listeners.idle_timeout", type: .long),
        .init(name: "socket.request.max.bytes", setting: "listeners.max_request_bytes", type: .int),
        .init(name: "auto.create.topics.enable", setting: "topics.auto_create", type: .boolean),
        .init(name: "delete.topic.enable", setting: "topics.delete_enable", type: .boolean),
        .init(name: "num.partitions", setting: "topics.num_partitions", type: .int),
        .init(name: "default.replication.factor", setting: "topics.default_replication_factor", type: .int),
        .init(name: "log.retention.ms", setting: "topics.retention_ms", type: .long),
        .init(name: "log.retention.bytes", setting: "topics.retention_bytes", type: .long),
        .init(name: "log.segment.bytes", setting: "topics.segment_bytes", type: .int),
        .init(name: "log.roll.ms", setting: "topics.segment_ms", type: .long),
        .init(name: "message.max.bytes", setting: "topics.max_message_bytes", type: .int),
        .init(name: "min.insync.replicas", setting: "topics.min_insync_replicas", type: .int),
        .init(name: "compression.type", setting: "topics.compression_type", type: .string),
        .init(name: "log.message.timestamp.type", setting: "topics.message_timestamp_type", type: .string),
        .init(
            name: "log.message.timestamp.before.max.ms", setting: "topics.message_timestamp_before_max_ms", type: .long),
        .init(
            name: "log.message.timestamp.after.max.ms", setting: "topics.message_timestamp_after_max_ms", type: .long),
        .init(name: "group.initial.rebalance.delay.ms", setting: "groups.initial_rebalance_delay", type: .int),
        .init(name: "group.min.session.timeout.ms", setting: "groups.min_session_timeout", type: .int),
        .init(name: "group.max.session.timeout.ms", setting: "groups.max_session_timeout", type: .int),
        .init(name: "group.max.size", setting: "groups.max_size", type: .int),
        .init(
            name: "group.consumer.session.timeout.ms", setting: "groups.consumer_session_timeout", type: .int),
        .init(
            name: "group.consumer.heartbeat.interval.ms", setting: "groups.consumer_heartbeat_interval", type: .int),
        .init(name: "group.consumer.max.size", setting: "groups.consumer_max_size", type: .int),
        .init(name: "group.consumer.assignors", setting: "groups.consumer_assignors", type: .list),
        .init(name: "group.share.session.timeout.ms", setting: "share_groups.session_timeout", type: .int),
        .init(name: "group.share.heartbeat.interval.ms", setting: "share_groups.heartbeat_interval", type: .int),
        .init(name: "group.share.max.size", setting: "share_groups.max_size", type: .int),
        .init(
            name: "group.share.record.lock.duration.ms", setting: "share_groups.record_lock_duration", type: .int),
        .init(name: "group.share.delivery.count.limit", setting: "share_groups.delivery_count_limit", type: .int),
        .init(
            name: "group.share.partition.max.record.locks", setting: "share_groups.max_record_locks", type: .int),
        .init(name: "group.share.max.share.sessions", setting: "share_groups.max_sessions", type: .int),
        .init(name: "offset.metadata.max.bytes", setting: "groups.offset_metadata_max_bytes", type: .int),
        .init(name: "offsets.retention.minutes", setting: "groups.offsets_retention", type: .int) {
            "\($0.groups.offsetsRetention.wholeMilliseconds / 60_000)"
        },
        .init(name: "producer.id.expiration.ms", setting: "producers.id_expiration", type: .int),
        .init(name: "fetch.max.bytes", setting: "limits.max_fetch_bytes", type: .int),
        .init(
            name: "max.incremental.fetch.session.cache.slots", setting: "limits.max_fetch_sessions", type: .int),
    ]

    private static let constants: [(name: String, value: String, type: KafkaConfigurationType, doc: String)] = [
        ("log.cleanup.policy", "delete", .list, "How old records go away."),
        ("log.cleaner.min.cleanable.ratio", "0.5", .double, "The share that is new before a log is compacted."),
        ("log.cleaner.min.compaction.lag.ms", "0", .long, "How long compaction leaves a record alone."),
        ("log.cleaner.max.compaction.lag.ms", "9223372036854775807", .long, "When compaction must be."),
        ("log.cleaner.delete.retention.ms", "86400000", .long, "How long deletions stay."),
        ("unclean.leader.election.enable", "false", .boolean, "Only a replica with all acknowledged records leads."),
    ]

    /// A value as Kafka writes it: sizes in bytes, times in milliseconds.
    private static func text(_ value: SettingValue) -> String {
        switch value {
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .bytes(let value): "\(value.bytes)"
        case .duration(let nanoseconds): "\(nanoseconds / 1_000_000)"
        case .text(let value): value
        case .address(let value): "\(value)"
        case .list(let values): values.joined(separator: ",")
        case .absent: ""
        }
    }
}
