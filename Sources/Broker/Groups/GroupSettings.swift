// SPDX-License-Identifier: Apache-2.0
//
// GroupSettings.swift
// The limits and delays of the group coordinator, with Kafka's defaults where Kafka has them.

import Settings

/// Limits and delays of consumer groups.
struct GroupSettings: Hashable, Sendable {
    /// How long the first rebalance of an empty group waits for more members (`group.initial.rebalance.delay.ms`).
    var initialRebalanceDelayMilliseconds: Int64 = 3_000
    /// The shortest session timeout a member may ask for (`group.min.session.timeout.ms`).
    var sessionTimeoutMinMilliseconds: Int32 = 6_000
    /// The longest session timeout a member may ask for (`group.max.session.timeout.ms`).
    var sessionTimeoutMaxMilliseconds: Int32 = 1_800_000
    /// How long the first join of a member may stay parked: such a member has no heartbeats that prove it alive.
    var newMemberJoinTimeoutMilliseconds: Int64 = 300_000
    /// Most members of a group (`group.max.size`).
    var membersMax: Int = 10_000
    /// How long a member may be silent under the consumer protocol (`group.consumer.session.timeout.ms`).
    var consumerSessionTimeoutMilliseconds: Int64 = 45_000
    /// How often such a member is to be heard (`group.consumer.heartbeat.interval.ms`).
    var consumerHeartbeatMilliseconds: Int32 = 5_000
    /// Most members of such a group (`group.consumer.max.size`).
    var consumerMembersMax: Int = 1_000
    /// The assignors that are offered, the one for those who do not care first (`group.consumer.assignors`).
    var consumerAssignors: [ServerAssignor] = [.uniform, .range]
    /// How long a member of a share group may be silent (`group.share.session.timeout.ms`).
    var shareSessionTimeoutMilliseconds: Int64 = 45_000
    /// How often such a member is to be heard (`group.share.heartbeat.interval.ms`).
    var shareHeartbeatMilliseconds: Int32 = 5_000
    /// Most members of a share group (`group.share.max.size`).
    var shareMembersMax: Int = 200
    /// Most member ids of a group that were handed out and not yet used.
    var pendingMembersMax: Int = 10_000
    /// Most groups of this coordinator.
    var groupsMax: Int = 100_000
    /// Most bytes of the metadata string of a committed offset (`offset.metadata.max.bytes`).
    var offsetMetadataMaxBytes: Int = 4_096
    /// How long offsets outlive their group's last member, or a simple consumer's commit (`offsets.retention.minutes`).
    var offsetsRetentionMilliseconds: Int64 = 7 * 24 * 3_600_000
}

extension GroupSettings {
    /// The settings as they are for a group with `configuration`.
    func adapted(to configuration: GroupConfiguration?) -> GroupSettings {
        guard let configuration else { return self }
        var adapted = self
        if let value = configuration.consumerSessionMilliseconds { adapted.consumerSessionTimeoutMilliseconds = value }
        if let value = configuration.consumerHeartbeatMilliseconds {
            adapted.consumerHeartbeatMilliseconds = Int32(clamping: value)
        }
        if let value = configuration.shareSessionMilliseconds { adapted.shareSessionTimeoutMilliseconds = value }
        if let value = configuration.shareHeartbeatMilliseconds {
            adapted.shareHeartbeatMilliseconds = Int32(clamping: value)
        }
        adapted.consumerHeartbeatMilliseconds = Int32(
            clamping: GroupConfiguration.heartbeat(
                Int64(adapted.consumerHeartbeatMilliseconds), session: adapted.consumerSessionTimeoutMilliseconds))
        adapted.shareHeartbeatMilliseconds = Int32(
            clamping: GroupConfiguration.heartbeat(
                Int64(adapted.shareHeartbeatMilliseconds), session: adapted.shareSessionTimeoutMilliseconds))
        return adapted
    }
}

/// The limits and delays of every group: what all share, except where a group has a configuration of its own.
struct SettingsByGroup: Sendable {
    /// What a group without a configuration has.
    var common: GroupSettings
    /// What groups have in place of it (GROUP resources), by group id.
    var configurations: [String: GroupConfiguration] = [:]

    /// What holds for `group`.
    subscript(group: String) -> GroupSettings { common.adapted(to: configurations[group]) }
}
