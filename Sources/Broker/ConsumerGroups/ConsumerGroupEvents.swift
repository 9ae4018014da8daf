// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupEvents.swift
// What the shell tells a group under the consumer protocol, and what the group wants done.

import Model

/// A ConsumerGroupHeartbeat request; nil means "as before".
struct ConsumerHeartbeat: Sendable {
    /// The member; chosen by the client from version 1 on.
    var memberID: String
    /// The epoch it knows; 0 joins, -1 leaves, -2 leaves for a while.
    var epoch: Int32
    /// The static name.
    var instanceID: String?
    /// Where it runs.
    var rackID: String?
    /// How long it may take to give partitions up; -1 for as before.
    var rebalanceTimeoutMilliseconds: Int32 = -1
    /// The topics it names.
    var topicNames: [String]?
    /// Its expression over topic names; empty for none.
    var pattern: String?
    /// The assignor it prefers.
    var assignor: String?
    /// What it owns.
    var owned: PartitionSet?
    /// The client id of the request's header.
    var clientID: String
    /// Where the member connects from.
    var clientHost: String
    /// Version 0: an empty member id asks for one.
    var wantsMemberID = false
    /// Fresh random bits for a member id.
    var entropy: MemberIDEntropy

    /// Joins a group, or enters it anew.
    static let joinEpoch: Int32 = 0
    /// Leaves the group.
    static let leaveEpoch: Int32 = -1

    /// Whether every field that describes the member is there, so that it wants to hear everything.
    var isFull: Bool {
        rebalanceTimeoutMilliseconds != -1 && (topicNames != nil || pattern != nil) && owned != nil
    }
}

/// The answer to a heartbeat.
struct ConsumerHeartbeatAnswer: Hashable, Sendable {
    /// The member's id.
    var memberID: String
    /// Its epoch.
    var epoch: Int32
    /// How often it is to be heard.
    var intervalMilliseconds: Int32
    /// What it may read; nil when that is as before.
    var assignment: PartitionSet?
}

/// Why a heartbeat is refused.
struct ConsumerGroupRefusal: Error, Hashable, Sendable {
    /// The code.
    var error: GroupError
    /// For people.
    var message: String?

    init(_ error: GroupError, _ message: String? = nil) {
        self.error = error
        self.message = message
    }
}

/// A heartbeat's outcome.
typealias ConsumerHeartbeatResult = Result<ConsumerHeartbeatAnswer, ConsumerGroupRefusal>

/// One thing the shell does on behalf of a group under the consumer protocol.
enum ConsumerGroupDirective: Hashable, Sendable {
    /// Answers a heartbeat.
    case answer(WaiterID, ConsumerHeartbeatResult)
    /// Replicates a change, then reports `applied` or `failed` with its revision.
    case propose(ConsumerGroupChange)
    /// For the log and the metrics only.
    case memberRemoved(group: String, memberID: String, reason: RemovalReason)
    /// For the log and the metrics only: the target assignment was computed anew.
    case reassigned(group: String, epoch: Int32, members: Int)
}

/// The state of a group as clients see it.
enum ConsumerGroupPhase: String, Hashable, Sendable {
    /// No members; there may be offsets.
    case empty = "Empty"
    /// Some member does not have its target yet.
    case reconciling = "Reconciling"
    /// Every member has its target.
    case stable = "Stable"
}
