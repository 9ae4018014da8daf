// SPDX-License-Identifier: Apache-2.0
//
// CleanupPolicy.swift
// How old records of a topic go away, and the numbers of its compaction.

/// `cleanup.policy`.
public enum CleanupPolicy: String, CaseIterable, Sendable {
    /// Whole segments go, by age and size.
    case delete
    /// Older records of a key go.
    case compact
    /// Both.
    case compactDelete = "compact,delete"
    /// Both.
    case deleteCompact = "delete,compact"

    /// Whether records go by age and size.
    public var deletes: Bool { self != .compact }
    /// Whether older records of a key go; then every record must have one.
    public var compacts: Bool { self != .delete }
}

/// What a topic says of its compaction.
public struct TopicCompaction: Sendable, Equatable {
    /// `min.cleanable.dirty.ratio`.
    public var dirtyRatioMin = 0.5
    /// `min.compaction.lag.ms`.
    public var lagMillisecondsMin: Int64 = 0
    /// `max.compaction.lag.ms`.
    public var lagMillisecondsMax = Int64.max
    /// `delete.retention.ms`.
    public var deleteRetentionMilliseconds: Int64 = 86_400_000

    /// Kafka's defaults.
    public init() {}
}
