// SPDX-License-Identifier: Apache-2.0
//
// Instance+Leader.swift
// Proposals, feeding the peers, and the commit rule.

public import Model

extension Raft {
    /// A payload that is to become an entry.
    public struct Proposal<Payload: Sendable>: Sendable {
        /// The payload, never looked at.
        public let payload: Payload
        /// Its size, for the limits.
        public let byteCount: Int

        /// Makes a proposal.
        public init(_ payload: Payload, byteCount: Int) {
            precondition(byteCount >= 0, "\(byteCount) bytes")
            self.payload = payload
            self.byteCount = byteCount
        }
    }
}

extension Raft.Instance {
    /// Appends payloads to the log of the leader and sends them to the peers.
    ///
    /// Returns their indexes.
    ///
    /// The entries get the current ``term``. They are committed when ``Raft/Directive/commit(upTo:)`` covers them while
    /// this replica still leads that term; after a change of leader, compare ``term(at:)``.
    ///
    /// - Throws: nothing of the batch was appended.
    public mutating func propose(
        _ proposals: [Raft.Proposal<Payload>], into directives: inout Directives
    ) throws(Raft.Refusal) -> ClosedRange<LogIndex> {
        precondition(!proposals.isEmpty, "an empty proposal")
        try checkAcceptsProposals()
        let bytes = proposals.reduce(0) { $0 + $1.byteCount }
        let waiting = log.uncommittedBytes
        if waiting > 0 && waiting + bytes > settings.uncommittedBytesMax {
            throw .uncommittedBytes(waiting: waiting, limit: settings.uncommittedBytesMax)
        }
        let first = log.last.next
        appendAsLeader(proposals.map { (.data($0.payload), $0.byteCount) }, into: &directives)
        settle(into: &directives)
        return first...log.last
    }

    /// Appends one payload; see ``propose(_:into:)``.
    public mutating func propose(
        _ payload: Payload, byteCount: Int, into directives: inout Directives
    ) throws(Raft.Refusal) -> LogIndex {
        try propose([Raft.Proposal(payload, byteCount: byteCount)], into: &directives).lowerBound
    }

    /// Passes entries that the shell loaded for a peer.
    ///
    /// They begin where the request did and are consecutive.
    public mutating func entriesLoaded(
        _ request: Raft.EntriesRequest, entries: [Raft.Entry<Payload>], into directives: inout Directives
    ) {
        if let index = openLoad(request) {
            if log.term(at: peers[index].next.previous) == nil {
                // Compacted while they were loaded.
                requestSnapshot(index, into: &directives)
            } else if peers[index].next == request.from {
                var expected = request.from
                for entry in entries {
                    precondition(
                        entry.index == expected && entry.term == log.term(at: expected), "loaded \(entry.index)")
                    expected = expected.next
                }
                precondition(
                    !entries.isEmpty && expected.previous <= request.through, "loaded \(entries.count) entries")
                sendEntries(entries, bytes: entries.reduce(0) { $0 + $1.byteCount }, to: index, into: &directives)
            }
            feed(index, into: &directives)
        }
        settle(into: &directives)
    }

    /// Reports that a load failed.
    ///
    /// Entries that were compacted meanwhile lead to a snapshot, others are asked for again later.
    public mutating func entriesUnavailable(_ request: Raft.EntriesRequest, into directives: inout Directives) {
        if !mutates(.loadOnce), let index = openLoad(request) {
            let next = peers[index].next
            if log.term(at: next.previous) == nil {
                requestSnapshot(index, into: &directives)
            } else {
                peers[index].becomeProbe(next: next)
                peers[index].isProbeSent = true
            }
        }
        settle(into: &directives)
    }

    /// Closes a load that is still wanted and returns the peer's place.
    private mutating func openLoad(_ request: Raft.EntriesRequest) -> Int? {
        guard let index = peers.firstIndex(where: { $0.id == request.peer && $0.loadTicket == request.ticket })
        else { return nil }
        peers[index].loadTicket = nil
        return index
    }

    func checkAcceptsProposals() throws(Raft.Refusal) {
        guard role == .leader else { throw .notLeader(leader: leader) }
        if let transfer, transfer.phase != .preparing { throw .transferInProgress(to: transfer.target) }
    }

    // MARK: - Feeding

    /// Appends entries of the leader's term and offers them to the peers.
    mutating func appendAsLeader(
        _ bodies: [(Raft.Entry<Payload>.Body, Int)], into directives: inout Directives
    ) {
        precondition(role == .leader, "\(role) appends")
        var entries: [Raft.Entry<Payload>] = []
        entries.reserveCapacity(bodies.count)
        for (body, byteCount) in bodies {
            let entry = Raft.Entry(index: log.last.next, term: hardState.term, byteCount: byteCount, body: body)
            log.append(entry)
            entries.append(entry)
        }
        directives.append(.append(entries))
        for entry in entries {
            if case .configuration(let configuration) = entry.body {
                adopt(configuration, at: entry.index, into: &directives)
            }
        }
        for index in peers.indices { feed(index, into: &directives) }
    }

    /// Sends a peer what it lacks, as far as its window allows, and the commit index if that can move it.
    mutating func feed(_ index: Int, into directives: inout Directives) {
        while !peers[index].isPaused && peers[index].next <= log.last {
            let next = peers[index].next
            guard log.term(at: next.previous) != nil else {
                requestSnapshot(index, into: &directives)
                return
            }
            let (entries, bytes) = log.bodies(from: next, bytesMax: settings.messageBytesMax)
            if entries.isEmpty {
                requestEntries(index, into: &directives)
                return
            }
            sendEntries(entries, bytes: bytes, to: index, into: &directives)
        }
        let peer = peers[index]
        guard peer.state == .replicate, peer.loadTicket == nil else { return }
        if peer.commitSent < min(log.committed, peer.next.previous) {
            sendEmptyAppend(index, into: &directives)
        }
    }

    private mutating func sendEntries(
        _ entries: [Raft.Entry<Payload>], bytes: Int, to index: Int, into directives: inout Directives
    ) {
        peers[index].sent(through: LogIndex(entries[0].index.rawValue + UInt64(entries.count - 1)), bytes: bytes)
        sendAppend(entries, after: entries[0].index.previous, to: index, into: &directives)
    }

    /// Sends an append without entries: finds out whether the logs agree before `next`, and carries the commit index.
    private mutating func sendEmptyAppend(_ index: Int, into directives: inout Directives) {
        sendAppend([], after: peers[index].next.previous, to: index, into: &directives)
    }

    private mutating func sendAppend(
        _ entries: [Raft.Entry<Payload>], after previous: LogIndex, to index: Int, into directives: inout Directives
    ) {
        guard let term = log.term(at: previous) else { return }
        let last = previous + entries.count
        peers[index].commitSent = max(peers[index].commitSent, min(log.committed, last))
        let append = Raft.Append(
            previous: Raft.Position(index: previous, term: term), entries: entries, committed: log.committed,
            session: peers[index].session)
        send(.append(append), to: peers[index].id, into: &directives)
    }

    private mutating func requestEntries(_ index: Int, into directives: inout Directives) {
        let from = peers[index].next
        precondition(from <= log.flushed, "entry \(from) is neither in memory nor flushed (\(log.flushed))")
        nextTicket += 1
        peers[index].loadTicket = nextTicket
        directives.append(
            .needEntries(
                Raft.EntriesRequest(
                    peer: peers[index].id, from: from, through: log.flushed, bytesMax: settings.messageBytesMax,
                    ticket: nextTicket)))
    }

    /// Tells every peer that the leader is alive.
    mutating func broadcastHeartbeat(into directives: inout Directives) {
        for peer in peers {
            let heartbeat = Raft.Heartbeat(
                committed: min(peer.match, log.committed), round: heartbeatRound, session: peer.session)
            send(.heartbeat(heartbeat), to: peer.id, into: &directives)
        }
    }

    // MARK: - Answers

    /// The place of a peer that answered in its present session; nil for answers of an earlier membership, which may
    /// speak of a disk that has been replaced since.
    private func peer(_ id: NodeID, session: UInt64) -> Int? {
        guard role == .leader else { return nil }
        return peers.firstIndex { $0.id == id && ($0.session == session || mutates(.sessionIgnored)) }
    }

    /// Takes a peer's report of its log.
    mutating func receive(_ response: Raft.AppendResponse, from id: NodeID, into directives: inout Directives) {
        guard let index = peer(id, session: response.session) else { return }
        peers[index].isRecentlyActive = true
        peers[index].setTrusted(response.isTrusted || mutates(.amnesiacCounts))
        if let rejection = response.rejection {
            reconsider(index, after: rejection)
        } else {
            guard response.appended <= log.last else { return }
            let moved = peers[index].confirm(
                appended: response.appended, flushed: response.flushed, freesWindow: !mutates(.windowLeak))
            leaveDoubt(index)
            if moved { advanceLeaderCommit(into: &directives) }
        }
        // The commit may have ended this leadership, or changed the peers.
        guard role == .leader, let index = peers.firstIndex(where: { $0.id == id }) else { return }
        feed(index, into: &directives)
        advanceTransfer(into: &directives)
    }

    /// After an append did not fit: goes back to where the logs may agree.
    private mutating func reconsider(_ index: Int, after rejection: Raft.AppendResponse.Rejection) {
        let peer = peers[index]
        switch peer.state {
        case .snapshot: return
        case .probe:
            guard peer.next.previous == rejection.previous else { return }
        case .replicate:
            guard rejection.previous > peer.match else { return }
        }
        let agreement = log.latestIndex(atOrBefore: rejection.hint.index, termAtMost: rejection.hint.term)
        // The peer lacks what it has confirmed: nothing that it lost counts any more, and it is fed from where it is.
        if agreement < peer.match && !mutates(.matchKept) { peers[index].forget() }
        let next = min(agreement, rejection.previous.rawValue > 0 ? rejection.previous.previous : .zero).next
        peers[index].becomeProbe(next: next)
    }

    /// After a confirmation: the logs agree up to `appended`, so probing ends, and so does waiting for a snapshot.
    private mutating func leaveDoubt(_ index: Int) {
        switch peers[index].state {
        case .replicate: break
        case .probe: if log.term(at: peers[index].appended) != nil { peers[index].becomeReplicate() }
        case .snapshot: if log.term(at: peers[index].appended) != nil { peers[index].becomeReplicate() }
        }
    }

    /// Takes a peer's answer to a heartbeat: it lives, so whatever was lost is sent again.
    mutating func receive(_ response: Raft.HeartbeatResponse, from id: NodeID, into directives: inout Directives) {
        guard let index = peer(id, session: response.session) else { return }
        peers[index].isRecentlyActive = true
        peers[index].setTrusted(response.isTrusted || mutates(.amnesiacCounts))
        peers[index].heartbeatRound = max(peers[index].heartbeatRound, min(response.round, heartbeatRound))
        switch peers[index].state {
        case .probe:
            if mutates(.probeOnce) { break }
            peers[index].isProbeSent = peers[index].next > log.last
            if peers[index].isProbeSent { sendEmptyAppend(index, into: &directives) }
        case .replicate:
            // All was sent or the window is full, and something is unconfirmed: ask whether it arrived.
            let peer = peers[index]
            guard peer.match < log.last, peer.next > log.last || peer.inflights.isFull else { break }
            if log.term(at: peer.next.previous) != nil {
                sendEmptyAppend(index, into: &directives)
            } else {
                // What was sent is compacted by now: nothing is left to ask about.
                peers[index].becomeProbe(next: peer.match.next)
            }
        case .snapshot: break
        }
        feed(index, into: &directives)
        releaseReads(into: &directives)
    }

    // MARK: - Commit

    /// Commits what a quorum has flushed, if it ends in an entry of this term (paper 3.6.2), and spreads the news.
    mutating func advanceLeaderCommit(into directives: inout Directives) {
        let reached = deciding.reached { node in
            if node == id { return mutates(.countOwnUnflushed) ? log.last : log.flushed }
            guard let peer = peers.first(where: { $0.id == node }), peer.isTrusted else { return .zero }
            return mutates(.countAppended) ? peer.appended : peer.match
        }
        if let reached, reached > log.committed,
            log.term(at: reached) == hardState.term || mutates(.commitOldTerm)
        {
            let wasConfirmed = isTermConfirmed
            advanceCommit(to: reached, into: &directives)
            if !wasConfirmed { startReads(into: &directives) }
            advanceMembership(into: &directives)
            for index in peers.indices { feed(index, into: &directives) }
            stepDownIfRemoved(into: &directives)
        }
        advanceTransfer(into: &directives)
    }
}
