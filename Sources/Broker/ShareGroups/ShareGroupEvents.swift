// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupEvents.swift
// What the shell tells a share group, and what the group wants done.

import Model

/// A ShareGroupHeartbeat request; nil means "as before".
struct ShareHeartbeat: Sendable {
    /// The member; chosen by the client.
    var memberID: String
    /// The epoch it knows; 0 joins, -1 leaves.
    var epoch: Int32
    /// Where it runs.
    var rackID: String?
    /// The topics it reads.
    var topicNames: [String]?
    /// The client id of the request's header.
    var clientID: String
    /// Where the member connects from.
    var clientHost: String

    /// Joins a group, or enters it anew.
    static let joinEpoch: Int32 = 0
    /// Leaves the group.
    static let leaveEpoch: Int32 = -1

    /// Refuses a request that makes no sense, whatever the group is like.
    func validate() throws(ConsumerGroupRefusal) {
        if memberID.isEmpty { throw Self.invalid("MemberId can't be empty.") }
        if memberID.utf8.count > ConsumerHeartbeat.nameBytesMax { throw Self.invalid("MemberId is too long.") }
        if rackID?.isEmpty == true { throw Self.invalid("RackId can't be empty.") }
        if epoch < Self.leaveEpoch { throw Self.invalid("MemberEpoch is invalid.") }
        if epoch == Self.joinEpoch, topicNames?.isEmpty != false {
            throw Self.invalid("SubscribedTopicNames must be set in first request.")
        }
    }

    private static func invalid(_ message: String) -> ConsumerGroupRefusal {
        ConsumerGroupRefusal(.invalidRequest, message)
    }
}

/// One thing the shell does on behalf of a share group.
enum ShareGroupDirective: Hashable, Sendable {
    /// Answers a heartbeat.
    case answer(WaiterID, ConsumerHeartbeatResult)
    /// Replicates a change, then reports `committed` or `failed` with its revision.
    case propose(ShareGroupChange)
    /// For the log and the metrics only.
    case memberRemoved(group: String, memberID: String, reason: RemovalReason)
    /// For the log and the metrics only: the assignment was computed anew.
    case reassigned(group: String, epoch: Int32, members: Int)
}

/// The state of a share group as clients see it.
enum ShareGroupPhase: String, Hashable, Sendable {
    /// No members.
    case empty = "Empty"
    /// Somebody reads.
    case stable = "Stable"
}
