// SPDX-License-Identifier: Apache-2.0
//
// Catalogue+ShareGroups.swift
// The keys of the section `share_groups`.

import Model

extension Catalogue {
    static let shareSessionTimeout = SettingKey<Duration>(
        "share_groups.session_timeout", .duration(milliseconds(100)...days(1)), default: "45s", .medium,
        reload: .live, "How long a member of a share group may be silent before it is removed.")
    static let shareHeartbeatInterval = SettingKey<Duration>(
        "share_groups.heartbeat_interval", .duration(milliseconds(10)...days(1)), default: "5s", .medium,
        reload: .live, "How often members of share groups are told to be heard.")
    static let shareMaxSize = SettingKey<Int>(
        "share_groups.max_size", .integer(1...1_000), default: "200", .low, reload: .live,
        "Members of one share group; further ones are refused.")
    static let shareRecordLock = SettingKey<Duration>(
        "share_groups.record_lock_duration", .duration(milliseconds(100)...seconds(3_600)), default: "30s", .medium,
        reload: .live, "How long a member of a share group has for a record before others may get it.")
    static let shareDeliveryCountLimit = SettingKey<Int>(
        "share_groups.delivery_count_limit", .integer(2...100), default: "5", .medium, reload: .live,
        "How often a record is delivered to a share group before it is archived.")
    static let shareMaxRecordLocks = SettingKey<Int>(
        "share_groups.max_record_locks", .integer(100...10_000), default: "2000", .low, reload: .live,
        "Records of one partition that a share group may have in flight; no further ones are delivered then.")
    static let shareMaxSessions = SettingKey<Int>(
        "share_groups.max_sessions", .integer(1...100_000), default: "2000", .low, reload: .live,
        "Share sessions on this broker; further ones are refused.")
    static let shareMaxPartitions = SettingKey<Int>(
        "share_groups.max_partitions", .integer(1...1_000_000), default: "10000", .low, reload: .live,
        "Partitions whose records this broker hands out to share groups, counted once for each group.")
    static let shareOffsetReset = SettingKey<ShareOffsetReset>(
        "share_groups.auto_offset_reset", default: .latest, .medium, reload: .live,
        "Where a share group begins in a partition that it has not read.")
    static let shareOffsetResetDuration = SettingKey<Duration>(
        "share_groups.auto_offset_reset_duration", .duration(0...days(36_500)), default: "1h", .low, reload: .live,
        "How old the first record is with `auto_offset_reset: by_duration`.")
    static let shareIsolation = SettingKey<ShareIsolation>(
        "share_groups.isolation_level", default: .readUncommitted, .low, reload: .live,
        "Whether share groups get records of transactions that are open or were aborted.")
    static let shareGroups = [
        shareSessionTimeout.definition, shareHeartbeatInterval.definition, shareMaxSize.definition,
        shareRecordLock.definition, shareDeliveryCountLimit.definition, shareMaxRecordLocks.definition,
        shareMaxSessions.definition, shareMaxPartitions.definition, shareOffsetReset.definition,
        shareOffsetResetDuration.definition, shareIsolation.definition,
    ]
}

/// Which records of transactions share groups get.
public enum ShareIsolation: String, CaseIterable, Sendable, SettingConvertible {
    /// All.
    case readUncommitted = "read_uncommitted"
    /// Those of transactions that were committed.
    case readCommitted = "read_committed"
}

/// Where a share group begins in a partition of which it has no state.
public enum ShareOffsetReset: String, CaseIterable, Sendable, SettingConvertible {
    /// Behind what is committed.
    case latest
    /// At the start of the log.
    case earliest
    /// At the first record that is no older than a duration.
    case byDuration = "by_duration"
}
