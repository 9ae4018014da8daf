// SPDX-License-Identifier: Apache-2.0
//
// Directive.swift
// What the core tells its shell to do.

public import Model

extension Raft {
    /// One thing a shell must do.
    ///
    /// **Ordering contract.** The entry points append directives to one buffer; carry them out in that order.
    ///
    /// 1. ``persistHardState(_:)``, ``truncate(from:)``, ``append(_:)`` and ``installSnapshot(_:)`` are writes. Hand
    ///    them to storage in the order given; none may become durable without those before it. Do not wait: report
    ///    completion with ``Instance/hardStatePersisted(_:into:)``, ``Instance/persisted(_:term:into:)`` and
    ///    ``Instance/snapshotInstalled(_:into:)``: reports of one kind in the order of the writes, those of different
    ///    kinds in any order. A report may cover several appends by naming the last entry of the last one, as long as
    ///    nothing was cut between them.
    /// 2. ``send(_:)`` needs no waiting: a message that would reveal what is not durable is not in the buffer yet.
    /// 3. ``commit(upTo:)`` may name entries that this replica has appended but not flushed (a quorum has). Entries may
    ///    be applied in memory then; what must survive a crash waits for the local flush.
    /// 4. Never call an entry point of the same instance while carrying out a buffer it filled: queue the call. Reports
    ///    may come at any later time.
    /// 5. A write that fails is final: stop using the instance (`resign` first, when it leads).
    public enum Directive<Payload: Sendable>: Sendable {
        // MARK: Storage

        /// Make term and vote durable, then report ``Instance/hardStatePersisted(_:into:)`` with the same value.
        case persistHardState(HardState)
        /// Remove the entries from this index on.
        ///
        /// Never at or below the commit index. Needs no report.
        case truncate(from: LogIndex)
        /// Write consecutive entries after the last one, then report ``Instance/persisted(_:term:into:)`` with the
        /// index and the term of the last one.
        case append([Entry<Payload>])

        // MARK: Network

        /// Send a message; losing it is allowed.
        case send(Message<Payload>)
        /// Load stored entries and pass them to ``Instance/entriesLoaded(_:entries:into:)``, or report
        /// ``Instance/entriesUnavailable(_:into:)``.
        ///
        /// At most one request per peer is open.
        case needEntries(EntriesRequest)

        // MARK: Progress

        /// Entries up to here are committed.
        ///
        /// Strictly rising.
        case commit(upTo: LogIndex)
        /// This replica leads in the term.
        ///
        /// Its first entry, a no-op, follows in the same buffer. Nothing may be promised to readers before
        /// ``termConfirmed(_:)``.
        case becameLeader(Term)
        /// An entry of the leader's own term is committed: its commit index is now the group's.
        ///
        /// Stands before the ``commit(upTo:)`` that confirmed it.
        case termConfirmed(Term)
        /// This replica follows: a new term, another leader, or a leader that stepped down.
        case becameFollower(Term, leader: NodeID?)
        /// This replica asks for votes (not for pre-votes) in the term.
        case becameCandidate(Term)

        // MARK: Answers

        /// Reads may be served from a state that has applied this index.
        case readReady([ReadID], at: LogIndex)
        /// These reads cannot be served here any more.
        case readFailed([ReadID])
        /// A transfer of leadership ended.
        case transferEnded(to: NodeID, TransferOutcome)

        // MARK: Membership

        /// This configuration is in effect, because its entry was appended (or a later one was cut).
        ///
        /// Connect to its members.
        case configurationChanged(Configuration, at: LogIndex)
        /// A configuration that is not joint is committed: a change is complete.
        case configurationCommitted(Configuration, at: LogIndex)

        // MARK: Snapshots

        /// A peer needs a snapshot: pass a description to ``Instance/snapshotProvided(_:to:into:)`` when one is ready.
        case provideSnapshot(to: NodeID)
        /// Pull the snapshot from that node into a staging place; then ``Instance/snapshotFetched(_:into:)``, or
        /// ``Instance/snapshotAbandoned(_:)``.
        ///
        /// Never more than one at a time.
        case fetchSnapshot(SnapshotInfo, from: NodeID)
        /// Replace log and state by the fetched snapshot, atomically; then ``Instance/snapshotInstalled(_:into:)``.
        ///
        /// Commit index and log begin at its position from now on, without a ``commit(upTo:)``.
        case installSnapshot(SnapshotInfo)
    }

    /// A number that a shell gives to a read; answered in ``Directive/readReady(_:at:)``.
    public struct ReadID: RawRepresentable, Hashable, Sendable {
        /// The number.
        public let rawValue: UInt64
        /// Makes a number.
        public init(rawValue: UInt64) { self.rawValue = rawValue }
    }

    /// Stored entries that a peer needs.
    public struct EntriesRequest: Hashable, Sendable {
        /// The peer.
        public let peer: NodeID
        /// The first entry.
        public let from: LogIndex
        /// The last entry that is on stable storage; more must not be loaded, less may.
        public let through: LogIndex
        /// Load at least one entry, and no more once this many bytes are reached.
        public let bytesMax: Int
        /// Identifies the request; an answer to an outdated one is ignored.
        public let ticket: UInt64
    }

    /// How a transfer of leadership ended.
    public enum TransferOutcome: Hashable, Sendable {
        /// Another replica took over, or at least began a newer term.
        case handedOver
        /// The target did not catch up or did not take over in time; this replica goes on leading.
        case timedOut
        /// The target is no voter any more or was lost, or this replica lost leadership otherwise.
        case abandoned
    }
}
