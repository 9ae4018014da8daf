// SPDX-License-Identifier: Apache-2.0
//
// GroupEvents.swift
// What the shell tells a group: requests in the coordinator's own words, and the time they arrived.

import Model

/// One reading of both clocks: deadlines use the instant, what is stored uses the civil time.
struct Moment: Hashable, Sendable {
    /// The monotonic clock.
    var instant: Instant
    /// The civil clock.
    var wallTime: WallTime
}

/// Names a parked request; the shell keeps the reply that belongs to it.
///
/// Never used twice.
struct WaiterID: RawRepresentable, Hashable, Comparable, Sendable {
    /// The shell's number.
    let rawValue: UInt64
    /// The earlier request is the lesser.
    static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// 128 random bits from which a member id is made.
struct MemberIDEntropy: Hashable, Sendable {
    /// The first half.
    var high: UInt64
    /// The second half.
    var low: UInt64

    /// The bits as a version 4 UUID in its usual form.
    var uuidText: String {
        let a = high & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let b = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return [hex(a >> 32, 8), hex(a >> 16, 4), hex(a, 4), hex(b >> 48, 4), hex(b, 12)].joined(separator: "-")
    }

    /// The lowest `digits` hexadecimal digits of `value`, with leading zeros.
    private func hex(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value & (1 << UInt64(digits * 4) - 1), radix: 16)
        return String(repeating: "0", count: digits - text.count) + text
    }
}

/// An assignment protocol a member can use, with the bytes it gives to the leader; they are opaque here.
struct GroupProtocol: Hashable, Sendable {
    /// The protocol's name, such as `range`.
    var name: String
    /// The member's subscription in that protocol.
    var metadata: [UInt8]
}

/// A JoinGroup request.
struct GroupJoin: Sendable {
    /// Empty for a member that does not have an id yet.
    var memberID: String
    /// The static member's name (KIP-345).
    var instanceID: String?
    /// The client id of the request's header.
    var clientID: String
    /// Where the member connects from.
    var clientHost: String
    /// How long the member may be silent.
    var sessionTimeoutMilliseconds: Int32
    /// How long a rebalance waits for the member; zero or less (version 0) stands for the session timeout.
    var rebalanceTimeoutMilliseconds: Int32
    /// The kind of group, such as `consumer` or `connect`.
    var protocolType: String
    /// What the member can do, best first.
    var protocols: [GroupProtocol]
    /// Version 4 and later: a new dynamic member is given its id and joins a second time.
    var requiresKnownMemberID: Bool
    /// Version 9 and later: the answer can tell the leader not to compute an assignment.
    var supportsSkippingAssignment: Bool = false
    /// Fresh random bits for a member id.
    var entropy: MemberIDEntropy
}

/// A SyncGroup request.
struct GroupSync: Sendable {
    /// The member that asks.
    var memberID: String
    /// Its static name, from version 3.
    var instanceID: String?
    /// The generation it was told in the join.
    var generation: Int32
    /// The kind of group, from version 5; nil is not checked.
    var protocolType: String?
    /// The chosen protocol, from version 5; nil is not checked.
    var protocolName: String?
    /// The leader's assignment for each member; empty from everyone else.
    var assignments: [MemberAssignment] = []
}

/// What the leader gives to one member; the bytes are opaque here.
struct MemberAssignment: Hashable, Sendable {
    /// The member.
    var memberID: String
    /// Its share.
    var assignment: [UInt8]
}

/// Who sends a heartbeat or commits offsets.
struct MemberClaim: Hashable, Sendable {
    /// Empty for a consumer outside any group.
    var memberID: String
    /// The static name.
    var instanceID: String?
    /// The member's generation; -1 for a consumer outside any group.
    var generation: Int32
}

/// One entry of a LeaveGroup request.
struct LeavingMember: Hashable, Sendable {
    /// May be empty when the instance id names the member.
    var memberID: String
    /// The static name.
    var instanceID: String?
}
