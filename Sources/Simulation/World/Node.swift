// SPDX-License-Identifier: Apache-2.0
//
// Node.swift
// One simulated process: its storage, which outlives it, and the replicas it runs.

internal import LogStore
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
    /// As a leader, the state of each peer's progress when it was looked at last.
    var progress: [NodeID: String] = [:]
    /// The leader it followed last, and in which term.
    var followed: (term: Term, node: NodeID)?
    /// Operations proposed here, in order.
    var waiting: [WaitingOperation] = []
    /// Reads under way, with what clients knew when they began.
    var reads: [(read: Raft.ReadID, known: LogIndex)] = []
    /// Messages that wait for the stored form of their entries.
    var held: [Message] = []
    /// A snapshot that has arrived.
    var fetched: Installed?
    /// With the production store, the snapshot on offer, and the one on its way here.
    var offer: SnapshotOffer?
    var isMakingOffer = false
    var isInstalling = false
    var pull: SnapshotPull?
    /// Whether this replica is marked damaged in the atlas because of its entries.
    var isDamaged: Bool { if case .corrupt = standing { true } else { false } }
}

/// How a replica that was deleted comes back.
struct Return {
    let floor: Raft.Position?
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
    /// The model of the store; where the production store runs, the oracles for it.
    let store: SimulatedStore
    /// The production store, when it is what runs.
    let production: ProductionStore?
    /// With the production store, the workers that have been given a time, and whether the loop has.
    var scheduled: Set<StoreSteps.Worker> = []
    var isTurning = false
    /// Set when the process cannot go on; it ends with the event.
    var isDoomed = false
    /// Replicas that are being deleted, to come back at a floor: begun again after a crash.
    var returns: [Int: Return] = [:]
    /// Groups whose log a snapshot has taken the place of.
    var behindSnapshot: Set<Int> = []
    /// Groups whose compacted log has changed and was not looked at since.
    var unchecked: Set<Int> = []
    /// Groups that an old index forgot things of: their logs must say so at each start.
    var forgetful: Set<Int> = []
    /// The configuration each replica begins with when its log holds none.
    var initial: [Raft.Configuration]
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

    init(
        number: Int, store: SimulatedStore, production: ProductionStore?, initial: [Raft.Configuration], tick: Int
    ) {
        let groups = initial.count
        self.production = production
        self.initial = initial
        self.number = number
        id = NodeID(rawValue: Int32(number + 1))
        self.store = store
        self.tick = tick
        replicas = Array(repeating: Replica(), count: groups)
        confirmedBeforeDamage = Array(repeating: .zero, count: groups)
    }
}
