// SPDX-License-Identifier: Apache-2.0
//
// GroupMember.swift
// One member of a group: what it told us, what it was given, and which of its requests are parked.

import Model

/// A member of a group.
struct GroupMember: Sendable {
    /// The id the coordinator gave it.
    let id: String
    /// The static name (KIP-345); nil for a dynamic member.
    let instanceID: String?
    /// Members in the order they joined; makes every walk over them repeatable.
    let joinNumber: UInt64
    /// The client id of its last join.
    var clientID: String
    /// Where it joined from.
    var clientHost: String
    /// How long it may be silent.
    var sessionTimeoutMilliseconds: Int32
    /// How long a rebalance waits for it.
    var rebalanceTimeoutMilliseconds: Int32
    /// What it can do, best first; each name once.
    var protocols: [GroupProtocol]
    /// What the leader gave it in the current generation.
    var assignment: [UInt8] = []
    /// Its parked join.
    var joinWaiter: WaiterID?
    /// Its parked sync.
    var syncWaiter: WaiterID?
    /// True until its first join is answered.
    var isNew = true
    /// False while the id has not reached the client: if the connection goes, nobody can use the member again.
    var clientKnowsID: Bool
    /// When it counts as dead; nil while a parked request proves it alive.
    var sessionDeadline: Instant?

    /// A new member from its first join.
    init(id: String, request: GroupJoin, joinNumber: UInt64, clientKnowsID: Bool) {
        self.id = id
        self.instanceID = request.instanceID
        self.joinNumber = joinNumber
        self.clientID = request.clientID
        self.clientHost = request.clientHost
        self.sessionTimeoutMilliseconds = request.sessionTimeoutMilliseconds
        self.rebalanceTimeoutMilliseconds = Self.rebalanceTimeout(of: request)
        self.protocols = Self.distinct(request.protocols)
        self.clientKnowsID = clientKnowsID
    }

    /// A member as it was stored.
    init(restoring stored: GroupSnapshot.Member, joinNumber: UInt64) {
        self.id = stored.id
        self.instanceID = stored.instanceID
        self.joinNumber = joinNumber
        self.clientID = stored.clientID
        self.clientHost = stored.clientHost
        self.sessionTimeoutMilliseconds = stored.sessionTimeoutMilliseconds
        self.rebalanceTimeoutMilliseconds = stored.rebalanceTimeoutMilliseconds
        self.protocols = stored.protocols
        self.assignment = stored.assignment
        self.isNew = false
        self.clientKnowsID = true
    }

    /// True when a parked request proves the member alive.
    var isParked: Bool { joinWaiter != nil || syncWaiter != nil }

    /// Takes over what a later join says.
    mutating func update(from request: GroupJoin) {
        clientID = request.clientID
        clientHost = request.clientHost
        sessionTimeoutMilliseconds = request.sessionTimeoutMilliseconds
        rebalanceTimeoutMilliseconds = Self.rebalanceTimeout(of: request)
        protocols = Self.distinct(request.protocols)
    }

    /// True when `others` are this member's protocols, in order and byte for byte.
    func matches(_ others: [GroupProtocol]) -> Bool { protocols == Self.distinct(others) }

    /// True when the member can use the protocol.
    func supports(_ name: String) -> Bool { protocols.contains { $0.name == name } }

    /// The member's bytes for a protocol; empty when it does not know it.
    func metadata(for name: String?) -> [UInt8] { protocols.first { $0.name == name }?.metadata ?? [] }

    /// The time a rebalance waits for the sender of `request`.
    private static func rebalanceTimeout(of request: GroupJoin) -> Int32 {
        request.rebalanceTimeoutMilliseconds > 0
            ? request.rebalanceTimeoutMilliseconds : request.sessionTimeoutMilliseconds
    }

    /// `protocols` without later entries of a name, which would count as several votes.
    private static func distinct(_ protocols: [GroupProtocol]) -> [GroupProtocol] {
        var seen: Set<String> = []
        return protocols.filter { seen.insert($0.name).inserted }
    }
}
