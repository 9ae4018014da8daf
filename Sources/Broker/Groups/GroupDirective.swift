// SPDX-License-Identifier: Apache-2.0
//
// GroupDirective.swift
// What a group wants done. Directives are carried out in the order they stand in the array.

/// One thing the shell does on behalf of a group.
enum GroupDirective: Hashable, Sendable {
    /// Answers a join: at once, or after it was parked.
    case completeJoin(WaiterID, JoinResult)
    /// Answers a sync: at once, or after it was parked.
    case completeSync(WaiterID, SyncResult)
    /// Replicates the group's snapshot, then reports `persisted` or `persistFailed` with the same sequence.
    case persistGroup(group: String, sequence: UInt64, snapshot: GroupSnapshot)
    /// For the log and the metrics only.
    case memberRemoved(group: String, memberID: String, instanceID: String?, reason: RemovalReason)
    /// For the log and the metrics only: the group entered another state.
    case stateChanged(group: String, state: GroupState, generation: Int32)
}

/// Why a member is no longer part of its group.
enum RemovalReason: String, Hashable, Sendable {
    /// It was silent for its session timeout, or its first join was parked for too long.
    case sessionExpired
    /// It did not rejoin before the rebalance deadline.
    case didNotRejoin
    /// It did not ask for its assignment in time.
    case didNotSync
    /// It said so, or an operator did.
    case left
    /// Its connection went before it learned its member id.
    case disconnected
    /// It did not give up in time what others are to have.
    case didNotRevoke
    /// Another process took over its instance id.
    case replaced
    /// The group filled up with others during the rebalance.
    case groupFull

    /// What a parked request of the member is answered with.
    var error: GroupError {
        switch self {
        case .replaced: .fencedInstanceID
        case .groupFull: .groupMaxSizeReached
        case .sessionExpired, .didNotRejoin, .didNotSync, .didNotRevoke, .left, .disconnected: .unknownMemberID
        }
    }
}

/// The answer to a join.
struct JoinResult: Hashable, Sendable {
    /// One member in the leader's list.
    struct Member: Hashable, Sendable {
        /// The member's id.
        var id: String
        /// Its static name.
        var instanceID: String?
        /// Its bytes for the chosen protocol.
        var metadata: [UInt8]
    }

    /// Nil when the member is in.
    var error: GroupError?
    /// The generation; -1 with an error.
    var generation: Int32
    /// The kind of group; nil with an error.
    var protocolType: String?
    /// The chosen protocol; nil with an error.
    var protocolName: String?
    /// The leader; empty with an error.
    var leaderID: String
    /// The id of the member that asked.
    var memberID: String
    /// Version 9: the leader must not compute an assignment, the present one stands.
    var skipAssignment: Bool
    /// Everyone, for the leader; empty for the others.
    var members: [Member]

    /// A refusal.
    static func failure(_ error: GroupError, memberID: String) -> JoinResult {
        JoinResult(
            error: error, generation: -1, protocolType: nil, protocolName: nil, leaderID: "", memberID: memberID,
            skipAssignment: false, members: [])
    }
}

/// The answer to a sync.
struct SyncResult: Hashable, Sendable {
    /// Nil when the assignment is valid.
    var error: GroupError?
    /// The kind of group; nil with an error.
    var protocolType: String?
    /// The chosen protocol; nil with an error.
    var protocolName: String?
    /// The member's share; empty when the leader gave it none.
    var assignment: [UInt8]

    /// A refusal.
    static func failure(_ error: GroupError) -> SyncResult {
        SyncResult(error: error, protocolType: nil, protocolName: nil, assignment: [])
    }
}

/// The state of a group; the raw value is the name that clients see.
enum GroupState: String, Hashable, Sendable, CaseIterable {
    /// No members; there may be offsets.
    case empty = "Empty"
    /// Waiting for members to join.
    case preparingRebalance = "PreparingRebalance"
    /// Waiting for the leader's assignment.
    case completingRebalance = "CompletingRebalance"
    /// Every member has, or can ask for, its assignment.
    case stable = "Stable"
    /// Being deleted, or unknown.
    case dead = "Dead"
}

/// A group as DescribeGroups shows it.
struct GroupDescription: Hashable, Sendable {
    /// One member.
    struct Member: Hashable, Sendable {
        /// The member's id.
        var id: String
        /// Its static name.
        var instanceID: String?
        /// Its client id.
        var clientID: String
        /// Where it joined from.
        var clientHost: String
        /// Its bytes for the chosen protocol; empty unless the group is stable.
        var metadata: [UInt8]
        /// Its share; empty unless the group is stable.
        var assignment: [UInt8]
    }

    /// The group's id.
    var id: String
    /// The state.
    var state: GroupState
    /// The kind of group; empty when unknown.
    var protocolType: String
    /// The chosen protocol; empty unless the group is stable.
    var protocolName: String
    /// Everyone, in the order they joined.
    var members: [Member]

    /// How an unknown group is described.
    static func dead(_ id: String) -> GroupDescription {
        GroupDescription(id: id, state: .dead, protocolType: "", protocolName: "", members: [])
    }
}

/// A group as ListGroups shows it.
struct GroupListing: Hashable, Sendable {
    /// The group's id.
    var id: String
    /// The kind of group; empty for a simple consumer.
    var protocolType: String
    /// The state.
    var state: GroupState
}
