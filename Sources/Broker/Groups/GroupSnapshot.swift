// SPDX-License-Identifier: Apache-2.0
//
// GroupSnapshot.swift
// What must survive of a group: its generation, its members and what they were given.

import Model

/// The durable part of a group, written when an assignment is stored, a static member is replaced or the group empties.
struct GroupSnapshot: Hashable, Sendable {
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
        /// How long it may be silent.
        var sessionTimeoutMilliseconds: Int32
        /// How long a rebalance waits for it.
        var rebalanceTimeoutMilliseconds: Int32
        /// All of its protocols, so that an unchanged rejoin after a failover is still unchanged.
        var protocols: [GroupProtocol]
        /// Its share.
        var assignment: [UInt8]
    }

    /// The kind of group; nil for a group that only simple consumers used.
    var protocolType: String?
    /// The generation.
    var generation: Int32
    /// The chosen protocol; nil while the group is empty.
    var protocolName: String?
    /// The leader; nil while the group is empty.
    var leaderID: String?
    /// When the group entered this state: with no members, when it emptied.
    var changedAt: WallTime
    /// Everyone, in the order they joined.
    var members: [Member]
}
