// SPDX-License-Identifier: Apache-2.0
//
// TopicConfigurationCatalogue+Entries.swift
// The topic configurations: those that have an effect here, and those that are only kept.

extension TopicConfigurationCatalogue {
    private typealias Definition = TopicConfigurationDefinition

    /// Those that change what the broker does.
    static let effective: [TopicConfigurationDefinition] = [
        long(
            "retention.ms", -1, \.retentionMilliseconds, "log.retention.ms",
            "How long records are kept, in milliseconds; -1 for ever."),
        long(
            "retention.bytes", -1, \.retentionBytes, "log.retention.bytes",
            "How much of each partition is kept; -1 everything."),
        int(
            "segment.bytes", 1 << 20...Int64(Int32.max), \.segmentBytes, "log.segment.bytes",
            "The size at which a segment file is closed. Only closed segments are deleted."),
        long(
            "segment.ms", 1, \.segmentMilliseconds, "log.roll.ms",
            "The age at which a segment file is closed even when it is small."),
        int(
            "max.message.bytes", 0...64 << 20, \.maxMessageBytes, "message.max.bytes",
            "The largest batch of records a producer may send."),
        word(
            "compression.type", \.compression, "compression.type",
            "The codec of batches as clients see them; producer leaves them as they came."),
        word(
            "message.timestamp.type", \.timestampType, "log.message.timestamp.type",
            "Whether records keep the producer's time or get the broker's."),
        long(
            "message.timestamp.before.max.ms", 0, \.timestampBeforeMaxMilliseconds,
            "log.message.timestamp.before.max.ms", "How far a record's time may lie in the past."),
        long(
            "message.timestamp.after.max.ms", 0, \.timestampAfterMaxMilliseconds,
            "log.message.timestamp.after.max.ms", "How far a record's time may lie in the future."),
        int(
            "min.insync.replicas", 1...Int64(Int32.max), \.minInsyncReplicas, "min.insync.replicas",
            "Replicas that must have a record before acks=all is answered; a majority is always required."),
        Definition(
            name: "cleanup.policy", type: .list, defaultText: "",
            doc: "How old records go: delete drops whole segments, compact keeps the newest record of each key.",
            brokerName: "log.cleanup.policy", rule: .words(CleanupPolicy.allCases.map(\.rawValue)), allowedOnly: nil,
            apply: { if let policy = CleanupPolicy(rawValue: $1) { $0.cleanup = policy } },
            current: { $0.cleanup.rawValue }),
        Definition(
            name: "min.cleanable.dirty.ratio", type: .double, defaultText: "",
            doc: "The share of a compacted log that is new before it is compacted again.",
            brokerName: "log.cleaner.min.cleanable.ratio", rule: .number(0...1), allowedOnly: nil,
            apply: { if let ratio = Double($1) { $0.compaction.dirtyRatioMin = ratio } },
            current: { "\($0.compaction.dirtyRatioMin)" }),
        long(
            "min.compaction.lag.ms", 0, \.compaction.lagMillisecondsMin, "log.cleaner.min.compaction.lag.ms",
            "How long a record is left alone by compaction."),
        long(
            "max.compaction.lag.ms", 1, \.compaction.lagMillisecondsMax, "log.cleaner.max.compaction.lag.ms",
            "How long a record may wait for compaction, however little is new."),
        long(
            "delete.retention.ms", 0, \.compaction.deleteRetentionMilliseconds, "log.cleaner.delete.retention.ms",
            "How long a record without value stays once compaction has seen it, so that readers learn of the deletion."),
        only(
            "unclean.leader.election.enable", .boolean, "false", ["true", "false"], "unclean.leader.election.enable",
            "Always false: only a replica that has all acknowledged records can lead."),
    ]

    /// Those that Kafka has and tools set; kept and returned, without effect.
    static let stored: [TopicConfigurationDefinition] = [
        stored("compression.gzip.level", .int, "-1", .integer(-1...9), "Level of gzip."),
        stored("compression.lz4.level", .int, "9", .integer(1...17), "Level of LZ4."),
        stored("compression.zstd.level", .int, "3", .integer(-131_072...22), "Level of Zstandard."),
        stored("file.delete.delay.ms", .long, "60000", atLeast(0), "How long a deleted file stays."),
        stored("flush.messages", .long, never, atLeast(1), "Every acknowledged record is on disk already."),
        stored("flush.ms", .long, never, atLeast(0), "Every acknowledged record is on disk already."),
        stored("follower.replication.throttled.replicas", .list, "", .anything, "Replicas with a bound on their rate."),
        stored("index.interval.bytes", .int, "4096", .integer(0...Int64(Int32.max)), "Distance of index entries."),
        stored("leader.replication.throttled.replicas", .list, "", .anything, "Replicas with a bound on their rate."),
        stored("local.retention.bytes", .long, "-2", atLeast(-2), "Share of a tiered log that stays local."),
        stored("local.retention.ms", .long, "-2", atLeast(-2), "Age of a tiered log that stays local."),
        stored("message.downconversion.enable", .boolean, "true", .boolean, "Old formats are never produced."),
        stored("message.format.version", .string, "3.0-IV1", .anything, "There is only one format."),
        stored("preallocate", .boolean, "false", .boolean, "Segments are recycled; see storage.recycle_bytes."),
        stored("remote.log.copy.disable", .boolean, "false", .boolean, "Tiered storage."),
        stored("remote.log.delete.on.disable", .boolean, "false", .boolean, "Tiered storage."),
        only("remote.storage.enable", .boolean, "false", ["true", "false"], nil, "Tiered storage is not served."),
        stored("segment.index.bytes", .int, "10485760", .integer(4...Int64(Int32.max)), "Size of an index file."),
        stored("segment.jitter.ms", .long, "0", atLeast(0), "Spread of segment ages."),
    ]

    private static let never = "9223372036854775807"

    private static func atLeast(_ bound: Int64) -> Definition.Rule { .integer(bound...Int64.max) }

    private static func long(
        _ name: String, _ minimum: Int64, _ path: any WritableKeyPath<TopicConfiguration, Int64> & Sendable,
        _ brokerName: String, _ doc: String
    ) -> Definition {
        Definition(
            name: name, type: .long, defaultText: "", doc: doc, brokerName: brokerName, rule: atLeast(minimum),
            allowedOnly: nil, apply: { if let value = Int64($1) { $0[keyPath: path] = value } },
            current: { "\($0[keyPath: path])" })
    }

    private static func int(
        _ name: String, _ range: ClosedRange<Int64>, _ path: any WritableKeyPath<TopicConfiguration, Int> & Sendable,
        _ brokerName: String, _ doc: String
    ) -> Definition {
        Definition(
            name: name, type: .int, defaultText: "", doc: doc, brokerName: brokerName, rule: .integer(range),
            allowedOnly: nil, apply: { if let value = Int($1) { $0[keyPath: path] = value } },
            current: { "\($0[keyPath: path])" })
    }

    private static func word<Word: RawRepresentable<String> & CaseIterable & SendableMetatype>(
        _ name: String, _ path: any WritableKeyPath<TopicConfiguration, Word> & Sendable, _ brokerName: String,
        _ doc: String
    ) -> Definition {
        Definition(
            name: name, type: .string, defaultText: "", doc: doc, brokerName: brokerName,
            rule: .words(Word.allCases.map(\.rawValue)), allowedOnly: nil,
            apply: { if let value = Word(rawValue: $1) { $0[keyPath: path] = value } },
            current: { $0[keyPath: path].rawValue })
    }

    private static func only(
        _ name: String, _ type: KafkaConfigurationType, _ value: String, _ words: [String], _ brokerName: String?,
        _ doc: String
    ) -> Definition {
        Definition(
            name: name, type: type, defaultText: value, doc: doc, brokerName: brokerName,
            rule: type == .boolean ? .boolean : .words(words), allowedOnly: value, apply: nil, current: nil)
    }

    private static func stored(
        _ name: String, _ type: KafkaConfigurationType, _ value: String, _ rule: Definition.Rule, _ doc: String
    ) -> Definition {
        Definition(
            name: name, type: type, defaultText: value, doc: doc, brokerName: nil, rule: rule, allowedOnly: nil,
            apply: nil, current: nil)
    }
}
