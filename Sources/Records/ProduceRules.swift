// SPDX-License-Identifier: Apache-2.0
//
// ProduceRules.swift
// What a topic and a request's version demand of a produced batch, and what validation found out about it.

public import Model

/// How far validation looks.
public enum ValidationDepth: Int, Comparable, Sendable, CaseIterable {
    /// Length, version, checksum and the rules of the header.
    case header
    /// Also every record of an uncompressed batch; compressed ones are stored untouched.
    case framing
    /// Also every record of a compressed batch, by decompressing it.
    case deep

    /// Orders depths from shallow to deep.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The times that records may carry.
public struct TimestampBounds: Equatable, Sendable {
    /// The earliest time that is accepted.
    public let earliest: Int64
    /// The latest time that is accepted.
    public let latest: Int64

    /// Bounds around `now`, from `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`.
    public init(now: WallTime, beforeMaxMilliseconds: Int64, afterMaxMilliseconds: Int64) {
        let (earliest, under) = now.milliseconds.subtractingReportingOverflow(max(0, beforeMaxMilliseconds))
        let (latest, over) = now.milliseconds.addingReportingOverflow(max(0, afterMaxMilliseconds))
        self.earliest = under ? .min : earliest
        self.latest = over ? .max : latest
    }

    /// What is wrong with `timestamp`; nil when it is fine.
    ///
    /// "No timestamp" (-1) is always fine.
    @inlinable func fault(of timestamp: Int64) -> RecordError.TimestampFault? {
        if timestamp >= earliest, timestamp <= latest { return nil }
        if timestamp == -1 { return nil }
        return timestamp > latest
            ? .tooFarAhead(timestamp: timestamp, latest: latest)
            : .tooFarBehind(timestamp: timestamp, earliest: earliest)
    }
}

/// The demands on a produced batch.
///
/// The defaults are those of a topic that was created without configuration.
public struct ProduceRules: Sendable {
    /// How far to look.
    public var depth: ValidationDepth = .framing
    /// The topic's `max.message.bytes`; the whole batch counts.
    public var batchBytesMax = 1_048_588
    /// Bounds the work and memory of looking into a compressed batch.
    public var decompressedBytesMax = RecordBatch.decompressedBytesMax
    /// False for Produce requests before version 7.
    public var allowsZstd = true
    /// True on compacted topics; compressed batches are then decompressed at every depth.
    public var requiresKeys = false
    /// Nil when times are not checked: LogAppendTime topics, whose broker overwrites them.
    public var timestampBounds: TimestampBounds?

    /// The default rules.
    public init() {}
}

/// What is known about a batch after validation.
public struct RecordBatchSummary: Equatable, Sendable {
    /// How many records the batch has.
    public var recordCount: Int
    /// The largest timestamp: the records' own when they were looked at, else the header's claim.
    public var maxTimestamp: Int64
    /// The offset delta of the first record that has `maxTimestamp`; the last record's when not looked at.
    public var maxTimestampOffsetDelta: Int32
    /// Whether the records were looked at, so that the two fields above are facts.
    public var checkedRecords: Bool
    /// The size of the decompressed records; of the stored ones when not looked at.
    public var recordBytes: Int
    /// Whether the header claims another maximum than the records have.
    ///
    /// Kafka corrects that: see ``RecordBatch/setMaxTimestamp(_:in:at:)``.
    public var needsMaxTimestampCorrection: Bool
}
