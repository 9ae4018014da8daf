// SPDX-License-Identifier: Apache-2.0
//
// Node.swift
// One simulated process: its storage, which outlives it, and the replicas it runs.

internal import Model
internal import Raft

/// An operation that a client waits for.
struct WaitingOperation {
    let index: LogIndex
    let term: Term
    let operation: UInt64
}

/// One replica as its shell sees it.
struct Replica {
    /// Nil while the process is down.
    var core: Core?
    /// How far the shell was told that the log is committed.
    var committed = LogIndex.zero
    /// The configuration in effect, as the directives say.
    var configuration: Raft.Configuration = .empty
    var standing = Raft.Standing.sound
    /// Operations proposed here, in order.
    var waiting: [WaitingOperation] = []
    /// Reads under way, with what clients knew when they began.
    var reads: [(read: Raft.ReadID, known: LogIndex)] = []
    /// A snapshot that has arrived.
    var fetched: Installed?
    /// Whether this replica is marked damaged in the atlas because of its entries.
    var isDamaged: Bool { if case .corrupt = standing { true } else { false } }
}

/// What is wrong with a node's disk, for the atlas.
enum DiskHealth {
    case good
    /// Some entries are damaged; peers have them.
    case damaged
    /// Promises are lost; the node's replicas must leave their groups.
    case lost
}

/// One simulated process.
final class Node {
    let number: Int
    let id: NodeID
    let store: SimulatedStore
    var replicas: [Replica]
    /// Counts starts and deaths: events of an earlier life are void.
    var life = 0
    var isUp = false
    var pausedUntil = 0
    /// The length of a tick by this process's clock.
    var tick: Int
    var health = DiskHealth.good
    /// Whether the next flush fails.
    var failsNextFlush = false
    var isDiskFull = false
    /// The last entry of each group that this node may have confirmed before its disk was damaged.
    var confirmedBeforeDamage: [LogIndex]
    /// When the last reports of each kind arrive: those of one kind stay in order.
    var lastHardStateReport = 0
    var lastAppendReport = 0
    /// Whether an application of flushed blocks is scheduled.
    var isApplying = false

    init(number: Int, store: SimulatedStore, groups: Int, tick: Int) {
        self.number = number
        id = NodeID(rawValue: Int32(number + 1))
        self.store = store
        self.tick = tick
        replicas = Array(repeating: Replica(), count: groups)
        confirmedBeforeDamage = Array(repeating: .zero, count: groups)
    }
}
