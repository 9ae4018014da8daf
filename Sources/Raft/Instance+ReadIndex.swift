// SPDX-License-Identifier: Apache-2.0
//
// Instance+ReadIndex.swift
// Linearizable reads without log entries: one round of heartbeats confirms a batch of them (paper 6.4).

internal import Model

extension Raft {
    /// Reads that wait for proof that this replica still leads.
    ///
    /// At most one batch is being confirmed; what arrives meanwhile forms the next.
    struct ReadQueue: Sendable {
        /// Not yet part of a round.
        var waiting: [ReadID] = []
        /// Being confirmed.
        var batch: Batch?

        /// Reads that one round of heartbeats confirms.
        struct Batch: Sendable {
            /// The round that was begun for them.
            let round: UInt64
            /// The commit index when it began: not below that at any of the requests.
            let index: LogIndex
            /// The reads.
            let reads: [ReadID]
        }

        /// Reads held.
        var count: Int { waiting.count + (batch?.reads.count ?? 0) }

        /// Empties the queue and returns what was in it.
        mutating func removeAll() -> [ReadID] {
            let all = (batch?.reads ?? []) + waiting
            waiting.removeAll()
            batch = nil
            return all
        }
    }
}

extension Raft.Instance {
    /// Asks for an index to read at: everything committed before the call is covered by it.
    ///
    /// Answered by ``Raft/Directive/readReady(_:at:)``, or ``Raft/Directive/readFailed(_:)`` when leadership ends
    /// first. On a new leader it waits for the first commit of its term.
    ///
    /// - Throws: the read is not queued.
    public mutating func requestRead(_ read: Raft.ReadID, into directives: inout Directives) throws(Raft.Refusal) {
        guard role == .leader else { throw .notLeader(leader: leader) }
        guard reads.count < settings.pendingReadsMax else { throw .tooManyReads(limit: settings.pendingReadsMax) }
        reads.waiting.append(read)
        startReads(into: &directives)
        settle(into: &directives)
    }

    /// Begins a round of heartbeats for the waiting reads, unless one is under way.
    mutating func startReads(into directives: inout Directives) {
        guard isTermConfirmed || mutates(.readUnconfirmed), reads.batch == nil, !reads.waiting.isEmpty else { return }
        heartbeatRound += 1
        reads.batch = Raft.ReadQueue.Batch(round: heartbeatRound, index: log.committed, reads: reads.waiting)
        reads.waiting.removeAll()
        heartbeatElapsed = 0
        broadcastHeartbeat(into: &directives)
        releaseReads(into: &directives)
    }

    /// Answers the batch when a quorum has answered its round, and begins the next.
    mutating func releaseReads(into directives: inout Directives) {
        guard let batch = reads.batch else { return }
        let confirmed = configuration.reached { node in
            if node == id { return heartbeatRound }
            return peers.first { $0.id == node }.map { $0.isTrusted ? $0.heartbeatRound : 0 } ?? 0
        }
        guard let confirmed, confirmed >= batch.round || mutates(.readWithoutRound) else { return }
        reads.batch = nil
        directives.append(.readReady(batch.reads, at: batch.index))
        startReads(into: &directives)
    }
}
