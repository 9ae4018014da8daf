// SPDX-License-Identifier: Apache-2.0
//
// CompactionBounds.swift
// What a partition tells the store before its log is compacted: how, how far, and what must not go.

public import Model

/// How a topic wants its log compacted.
public struct CompactionSettings: Sendable, Hashable {
    /// The share of the log that must be new before its keys are compared again (`min.cleanable.dirty.ratio`).
    public var dirtyRatioMin: Double
    /// How long a record is left alone (`min.compaction.lag.ms`).
    public var lagMillisecondsMin: Int64
    /// How long a record may stay uncompared (`max.compaction.lag.ms`).
    public var lagMillisecondsMax: Int64
    /// How long tombstones and markers stay once a cleaning has seen them (`delete.retention.ms`).
    public var deleteRetentionMilliseconds: Int64

    /// Kafka's defaults.
    public init(
        dirtyRatioMin: Double = 0.5, lagMillisecondsMin: Int64 = 0, lagMillisecondsMax: Int64 = .max,
        deleteRetentionMilliseconds: Int64 = 86_400_000
    ) {
        self.dirtyRatioMin = dirtyRatioMin
        self.lagMillisecondsMin = lagMillisecondsMin
        self.lagMillisecondsMax = lagMillisecondsMax
        self.deleteRetentionMilliseconds = deleteRetentionMilliseconds
    }
}

/// The records of an aborted transaction in one partition.
public struct AbortedRange: Sendable, Hashable {
    /// Whose transaction it was.
    public var producer: ProducerID
    /// The first record that may be of it.
    public var first: Offset
    /// The marker that ended it.
    public var marker: Offset

    /// A range.
    public init(producer: ProducerID, first: Offset, marker: Offset) {
        self.producer = producer
        self.first = first
        self.marker = marker
    }
}

/// How far a log may be compacted, and what has to stay whatever its keys say.
public struct CompactionBounds: Sendable {
    /// Nothing at or behind this offset is touched: it is committed before, outside of open transactions, and reflected in the
    /// stored state of producers.
    public var end: Offset
    /// The last committed entry.
    public var committed: LogIndex
    /// The aborted transactions that begin before ``end``, in any order; their markers may stand behind it, where another
    /// transaction that is open began in between.
    public var aborted: [AbortedRange]
    /// Where the last batch before ``end`` of each living producer ends: its last offset.
    public var lastBatches: [ProducerID: Offset]

    /// Bounds.
    public init(
        end: Offset, committed: LogIndex, aborted: [AbortedRange] = [], lastBatches: [ProducerID: Offset] = [:]
    ) {
        self.end = end
        self.committed = committed
        self.aborted = aborted
        self.lastBatches = lastBatches
    }
}

/// The marker of a transaction that compaction takes away, with everything of the transaction gone before.
public struct RemovedMarker: Sendable, Hashable {
    /// Whose transaction it ended.
    public var producer: ProducerID
    /// Where the marker stood.
    public var offset: Offset
    /// Whether it ended an aborted transaction.
    public var isAbort: Bool
}

/// What a pass has done so far.
public struct CompactionStatistics: Sendable, Hashable {
    /// Bytes of the segments that were read to be rewritten.
    public var bytesRead = 0
    /// Bytes of the segments that took their place.
    public var bytesWritten = 0
    /// Records that went.
    public var recordsRemoved = 0
    /// Segments that were replaced.
    public var segments = 0
    /// Keys that were compared.
    public var keys = 0
}
