// SPDX-License-Identifier: Apache-2.0
//
// HeartbeatRoster.swift
// The heartbeats of the groups that rest, or the answers to them, as one object: the same object again says that nothing
// has changed, whatever the number of groups.

internal import Model
internal import Synchronization

/// What groups say again and again to one peer, told apart by identity.
///
/// To receive it is to receive each of its ``messages``; who has received the same object before need not look inside.
/// Immutable.
public final class HeartbeatRoster: Sendable {
    let kind: HeartbeatVector.Kind
    /// The same for each state of what one sender keeps saying: the receiver sees the slot of the connection.
    let name: UInt64
    /// Never empty.
    let rows: [HeartbeatRow]

    init(_ kind: HeartbeatVector.Kind, name: UInt64, rows: [HeartbeatRow]) {
        precondition(!rows.isEmpty, "a roster of nobody")
        self.kind = kind
        self.name = name
        self.rows = rows
    }

    /// Its rows as single messages; linear in their number.
    public var messages: [PeerMessage] { rows.map { $0.message(kind) } }
}

/// Names for what the hosts of a process keep saying.
struct RosterNames: Sendable {
    private static let hosts = Atomic<UInt64>(1)

    private let host = Self.hosts.wrappingAdd(1, ordering: .relaxed).oldValue

    /// The heartbeats to a peer; more than fit into one roster have several.
    func heartbeats(part: Int) -> UInt64 { host << 32 | UInt64(part) }

    /// The answers to what a peer calls `source`.
    func answers(to source: UInt64) -> UInt64 { host << 32 | 1 << 31 | source & 0x7fff_ffff }
}

/// Where a received roster belongs: a newer one of the same source takes its place.
struct RosterSource: Hashable, Sendable {
    let peer: NodeID
    let kind: HeartbeatVector.Kind
    let name: UInt64

    init(_ roster: HeartbeatRoster, of peer: NodeID) {
        self.peer = peer
        kind = roster.kind
        name = roster.name
    }
}
