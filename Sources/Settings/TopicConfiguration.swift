// SPDX-License-Identifier: Apache-2.0
//
// TopicConfiguration.swift
// What a topic's configuration says, typed: the values that have an effect here.

/// The effective configuration of one topic.
public struct TopicConfiguration: Sendable, Equatable {
    /// `retention.ms`; -1 keeps records for ever.
    public var retentionMilliseconds: Int64
    /// `retention.bytes`; -1 keeps everything.
    public var retentionBytes: Int64
    /// `segment.bytes`.
    public var segmentBytes: Int
    /// `segment.ms`.
    public var segmentMilliseconds: Int64
    /// `max.message.bytes`.
    public var maxMessageBytes: Int
    /// `compression.type`.
    public var compression: TopicCompression
    /// `message.timestamp.type`.
    public var timestampType: TimestampType
    /// `message.timestamp.before.max.ms`.
    public var timestampBeforeMaxMilliseconds: Int64
    /// `message.timestamp.after.max.ms`.
    public var timestampAfterMaxMilliseconds: Int64
    /// `min.insync.replicas`.
    public var minInsyncReplicas: Int
    /// `cleanup.policy`.
    public var cleanup = CleanupPolicy.delete
    /// The numbers of compaction.
    public var compaction = TopicCompaction()

    /// Puts `overrides`, by Kafka name, on `defaults`.
    ///
    /// The first that is wrong, in the order of names, is thrown.
    public init(overrides: [String: String], defaults: TopicConfiguration) throws(TopicConfigurationError) {
        self = defaults
        for (name, text) in overrides.sorted(by: { $0.key < $1.key }) {
            guard let definition = TopicConfigurationCatalogue.definition(name) else {
                throw .unknown(name: name, suggestion: TopicConfigurationCatalogue.suggestion(for: name))
            }
            let value = try definition.check(text)
            definition.apply?(&self, value)
        }
        guard compaction.lagMillisecondsMin <= compaction.lagMillisecondsMax else {
            throw .invalid(
                name: "min.compaction.lag.ms", value: "\(compaction.lagMillisecondsMin)",
                reason: "must not be larger than max.compaction.lag.ms, \(compaction.lagMillisecondsMax)")
        }
    }

    init(
        retentionMilliseconds: Int64, retentionBytes: Int64, segmentBytes: Int, segmentMilliseconds: Int64,
        maxMessageBytes: Int, compression: TopicCompression, timestampType: TimestampType,
        timestampBeforeMaxMilliseconds: Int64, timestampAfterMaxMilliseconds: Int64, minInsyncReplicas: Int
    ) {
        self.retentionMilliseconds = retentionMilliseconds
        self.retentionBytes = retentionBytes
        self.segmentBytes = segmentBytes
        self.segmentMilliseconds = segmentMilliseconds
        self.maxMessageBytes = maxMessageBytes
        self.compression = compression
        self.timestampType = timestampType
        self.timestampBeforeMaxMilliseconds = timestampBeforeMaxMilliseconds
        self.timestampAfterMaxMilliseconds = timestampAfterMaxMilliseconds
        self.minInsyncReplicas = minInsyncReplicas
    }

    /// What a topic has on a broker that is told nothing.
    public static let `default` = BrokerSettings.defaults.topicDefaults
}

/// `compression.type`: how clients see a topic's batches.
public enum TopicCompression: String, CaseIterable, Sendable, SettingConvertible {
    /// As the producer sent them.
    case producer
    /// Without compression.
    case uncompressed
    /// gzip.
    case gzip
    /// Snappy.
    case snappy
    /// LZ4.
    case lz4
    /// Zstandard.
    case zstd
}

/// `message.timestamp.type`.
public enum TimestampType: String, CaseIterable, Sendable, SettingConvertible {
    /// The producer's time.
    case createTime = "CreateTime"
    /// The broker's time.
    case logAppendTime = "LogAppendTime"
}

/// Why a topic's configuration is refused.
public enum TopicConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is no such configuration.
    case unknown(name: String, suggestion: String?)
    /// The value does not fit.
    case invalid(name: String, value: String, reason: String)
    /// The value is right in Kafka but not served here.
    case unsupported(name: String, value: String, reason: String)

    /// A sentence for the client.
    public var description: String {
        switch self {
        case .unknown(let name, let suggestion):
            "Unknown topic configuration \(name)" + (suggestion.map { "; did you mean \($0)?" } ?? "")
        case .invalid(let name, let value, let reason): "Invalid value \(value) for configuration \(name): it \(reason)"
        case .unsupported(let name, let value, let reason): "Value \(value) of \(name) is not supported: \(reason)"
        }
    }
}
