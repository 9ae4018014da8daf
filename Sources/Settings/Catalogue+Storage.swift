// SPDX-License-Identifier: Apache-2.0
//
// Catalogue+Storage.swift
// Keys of the sections storage, performance, log and limits.

import Model

extension Catalogue {
    // MARK: storage

    static let storageDirectory = SettingKey<String>(
        "storage.directory", .text(bytesMax: 4096), default: "goulette-data", .high,
        "The data directory. It is created when it does not exist; only one broker can use it.")
    static let storageJournal = SettingKey<JournalMode>(
        "storage.journal", default: .auto, .medium,
        """
        Whether writes become durable in one shared journal first. `auto` decides each round by cost; `off` always \
        flushes segments; the promise to clients is the same.
        """)
    static let storageJournalFileBytes = SettingKey<ByteCount>(
        "storage.journal_file_bytes", .bytes(8 << 20...4 << 30), default: "64 MiB", .low,
        "The size of one journal file. It is filled with zeroes once and then used again and again.")
    static let storageJournalFiles = SettingKey<Int>(
        "storage.journal_files", .integer(2...64), default: "4", .low,
        "The number of journal files; when all wait for their segments, writes wait too.")
    static let storageRecycleBytes = SettingKey<ByteCount>(
        "storage.recycle_bytes", .bytes(0...1 << 40), default: "1 GiB", .low,
        "Space of deleted segments that is kept for new ones instead of being given back.")
    static let storageDiskReserve = SettingKey<ByteCount>(
        "storage.disk_reserve_bytes", .bytes(0...1 << 50), default: "1 GiB", .high,
        "Below so much free space produce requests are refused; reading, retention and replication go on.")
    static let storageReadCache = SettingKey<ByteCount>(
        "storage.read_cache_bytes", .bytes(0...1 << 40), default: "128 MiB", .medium,
        "Decompressed frames that were read from disk, kept for the next reader.")
    static let storageWriteBuffer = SettingKey<ByteCount>(
        "storage.write_buffer_bytes", .bytes(8 << 20...1 << 40), default: "256 MiB", .medium,
        "The newest frames of all partitions, at most; readers at the tail, and followers, are served from it. As much is kept as "
            + "lets them fall back to twice the distance they lately had, 8 MiB when nobody reads.")
    static let storageCompression = SettingKey<FrameCompression>(
        "storage.compression", default: .zstd, .medium,
        "How frames are compressed on disk. Clients always get exactly the bytes that producers sent.")
    static let storageCompressionLevel = SettingKey<Int>(
        "storage.compression_level", .integer(1...19), default: "1", .low,
        "The zstd level of frames; higher levels cost far more CPU than they save space.")
    static let storageCheckpointInterval = SettingKey<Duration>(
        "storage.checkpoint_interval", .duration(milliseconds(100)...seconds(3600)), default: "10s", .low,
        "How often the journal's progress is made permanent, so that recovery starts later in it.")
    static let storageRetentionCheckInterval = SettingKey<Duration>(
        "storage.retention_check_interval", .duration(milliseconds(50)...seconds(86_400)), default: "30s", .low,
        "How often partitions are checked for segments to roll or delete and for producers to forget.")
    static let storageCompactionMemory = SettingKey<ByteCount>(
        "storage.compaction_memory_bytes", .bytes(1 << 20...1 << 40), default: "128 MiB", .low,
        "The most memory for the keys of one pass of compaction, some 32 bytes each. A log with more new keys takes several "
            + "passes.")
    static let storageCompactionRate = SettingKey<ByteCount>(
        "storage.compaction_rate_bytes", .bytes(0...1 << 40), default: "128 MiB", .medium,
        "Bytes a second that compaction reads and writes at most; 0 is without a limit.")
    static let storage = [
        storageDirectory.definition, storageJournal.definition, storageJournalFileBytes.definition,
        storageJournalFiles.definition, storageRecycleBytes.definition, storageDiskReserve.definition,
        storageReadCache.definition, storageWriteBuffer.definition, storageCompression.definition,
        storageCompressionLevel.definition, storageCheckpointInterval.definition,
        storageRetentionCheckInterval.definition, storageCompactionMemory.definition,
        storageCompactionRate.definition,
    ]

    // MARK: performance

    static let performanceEventLoops = SettingKey<Int>(
        "performance.event_loops", .integer(0...256), default: "0", .medium,
        "Threads that serve connections and partitions. 0: half of the cores, at least one.")
    static let performanceValidationThreads = SettingKey<Int>(
        "performance.validation_threads", .integer(0...256), default: "0", .low,
        "Threads that unpack and check compressed batches. 0: half of the cores, at least one.")
    static let performanceMaxBatchBytes = SettingKey<ByteCount>(
        "performance.max_batch_bytes", .bytes(4096...7 << 20), default: "1 MiB", .medium,
        "Payload that is gathered into one frame at most. A larger request becomes a frame of its own.")
    static let performanceMaxBatchSize = SettingKey<Int>(
        "performance.max_batch_size", .integer(1...65_536), default: "4096", .low,
        "Producers' batches that are gathered into one frame at most.")
    static let performanceBatchTimeout = SettingKey<Duration>(
        "performance.batch_timeout", .duration(0...seconds(1)), default: "1ms", .medium,
        "How long a frame may wait for more batches. It waits at all only while that pays.")
    static let performance = [
        performanceEventLoops.definition, performanceValidationThreads.definition,
        performanceMaxBatchBytes.definition, performanceMaxBatchSize.definition, performanceBatchTimeout.definition,
    ]

    // MARK: log

    static let logLevel = SettingKey<LogLevelName>(
        "log.level", default: .info, .medium, reload: .live, "What is logged. `debug` logs every request.")
    static let logFormat = SettingKey<LogFormatName>(
        "log.format", default: .auto, .low, "`auto` is text on a terminal and JSON otherwise.")
    static let log = [logLevel.definition, logFormat.definition]

    // MARK: limits

    static let limitsMaxTopics = SettingKey<Int>(
        "limits.max_topics", .integer(1...1_000_000), default: "10000", .medium, reload: .live,
        "Topics that may exist; creating more is refused.")
    static let limitsMaxPartitions = SettingKey<Int>(
        "limits.max_partitions", .integer(1...1_000_000), default: "20000", .medium, reload: .live,
        "Partitions that may exist in the cluster; creating more is refused.")
    static let limitsMaxPartitionsPerTopic = SettingKey<Int>(
        "limits.max_partitions_per_topic", .integer(1...100_000), default: "10000", .medium, reload: .live,
        "Partitions of one topic.")
    static let limitsMaxFetchBytes = SettingKey<ByteCount>(
        "limits.max_fetch_bytes", .bytes(1024...1 << 30), default: "55 MiB", .low, reload: .live,
        "The most one fetch response carries, whatever the client asks for; the first batch always fits.")
    static let limitsMaxFetchSessions = SettingKey<Int>(
        "limits.max_fetch_sessions", .integer(0...100_000), default: "1000", .low, reload: .live,
        "Fetch sessions of the broker, of which clients that read many partitions have one each; 0 makes none.")
    static let limitsMetricSeries = SettingKey<Int>(
        "limits.max_metric_series", .integer(1...1_000_000), default: "2000", .low,
        "Topics and groups that get metrics of their own; the rest is counted together.")
    static let limits = [
        limitsMaxTopics.definition, limitsMaxPartitions.definition, limitsMaxPartitionsPerTopic.definition,
        limitsMaxFetchBytes.definition, limitsMaxFetchSessions.definition, limitsMetricSeries.definition,
    ]
}

/// See `storage.journal`.
public enum JournalMode: String, CaseIterable, Sendable, SettingConvertible {
    /// By cost, each round.
    case auto
    /// Always.
    case on
    /// Never.
    case off
}

/// See `storage.compression`.
public enum FrameCompression: String, CaseIterable, Sendable, SettingConvertible {
    /// zstd where it is worth it.
    case zstd
    /// Never.
    case none
}

/// See `log.level`; the names of swift-log's levels.
public enum LogLevelName: String, CaseIterable, Sendable, SettingConvertible {
    /// Every message.
    case trace
    /// Every request.
    case debug
    /// State transitions.
    case info
    /// Notable, not wrong.
    case notice
    /// Will become an error.
    case warning
    /// Someone must act.
    case error
    /// The broker stops.
    case critical
}

/// See `log.format`.
public enum LogFormatName: String, CaseIterable, Sendable, SettingConvertible {
    /// Text on a terminal, JSON otherwise.
    case auto
    /// For people.
    case text
    /// For machines.
    case json
}
