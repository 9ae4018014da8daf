// SPDX-License-Identifier: Apache-2.0
//
// Instance+Election.swift
// Pre-votes, votes, and the leader's check that a quorum still hears it.

public import Model

extension Raft {
    /// Why and how a replica asks for votes.
    enum Campaign {
        /// Ask whether it would win.
        case preVote
        /// A quorum would vote for it.
        case election
        /// The leader asked for it.
        case transfer
    }
}

extension Raft.Instance {
    /// Begins to ask the voters.
    ///
    /// A candidate asks, and counts its own vote, once its hard state is durable.
    mutating func poll(_ campaign: Raft.Campaign, into directives: inout Directives) {
        precondition(role != .leader && mayLead, "node \(id) may not campaign as \(role), \(standing)")
        let isPreVote = campaign == .preVote
        if isPreVote {
            if leader != nil { directives.append(.becameFollower(hardState.term, leader: nil)) }
            role = .preCandidate
        } else {
            hardState = Raft.HardState(term: hardState.term.next, votedFor: id)
            held.removeAll()
            issueHardState(into: &directives)
            role = .candidate
            directives.append(.becameCandidate(hardState.term))
        }
        leader = nil
        if !mutates(.votesKept) { votes.removeAll() }
        resetElectionTimer()
        isTransferCampaign = campaign == .transfer
        if isPreVote {
            requestVotes(into: &directives)
            recordVote(of: id, isGranted: true, into: &directives)
        } else if mutates(.ownVoteUndurable) {
            recordVote(of: id, isGranted: true, into: &directives)
        }
    }

    /// Asks every other voter for what the role needs: votes, or pre-votes for the term to come.
    ///
    /// A candidate does so when its own vote is durable. Then nothing is held back, so that no request can fall victim
    /// to the limit on held messages: without all of them there might never be a leader.
    mutating func requestVotes(into directives: inout Directives) {
        let isPreVote = role == .preCandidate
        let request = Raft.VoteRequest(isPreVote: isPreVote, last: log.lastPosition, isTransfer: isTransferCampaign)
        let candidacy = isPreVote ? hardState.term.next : hardState.term
        for voter in configuration.members where voter != id && configuration.isVoter(voter) {
            send(.voteRequest(request), to: voter, term: candidacy, into: &directives)
        }
    }

    /// Whether a message asks for votes while this replica has reason to believe in its leader.
    func isUnwelcomeCampaign(_ message: Raft.Message<Payload>) -> Bool {
        guard case .voteRequest(let request) = message.body, !request.isTransfer, leader != nil else { return false }
        return role == .leader || electionElapsed < settings.electionTicks
    }

    /// The connection to `node` was lost: when that is the leader, the wait for it ends early, and when leadership was to
    /// be handed over to it, this replica goes on leading.
    ///
    /// A process that dies loses its connections at once, long before an election timeout. Nobody is deposed for it: the
    /// replica no longer holds the leader's word against candidates, and asks for pre-votes unless the leader speaks
    /// again within a few ticks. The voters take turns, so that they do not campaign together; whose is the first
    /// depends on the group, so that all other brokers share what a broker led.
    ///
    /// - Cost: linear in members.
    public mutating func disconnected(from node: NodeID, into directives: inout Directives) {
        if transfer?.target == node { endTransfer(.abandoned, into: &directives) }
        if role == .follower, leader == node { shortenWait(for: node) }
        settle(into: &directives)
    }

    private mutating func shortenWait(for node: NodeID) {
        let heirs = configuration.members.filter { $0 != node && configuration.isVoter($0) }
        guard let place = heirs.firstIndex(of: id) else { return }
        let first = Int(group.rawValue % UInt64(heirs.count))
        let turn = (place + heirs.count - first) % heirs.count
        // The first waits, too: the others must have lost the leader when they are asked.
        let wait = min(2 + 3 * turn + Int.random(in: 0...1, using: &random), settings.electionTicks - 1)
        guard electionTimeout - electionElapsed > wait else { return }
        electionElapsed = settings.electionTicks
        electionTimeout = settings.electionTicks + wait
    }

    /// Whether a follower has reason to doubt that its leader lives, so that every tick may matter.
    public var doubtsLeader: Bool { role == .follower && electionElapsed >= settings.electionTicks }

    /// Answers a request for a vote or a pre-vote in `term`, which is not below ours.
    mutating func answer(
        _ request: Raft.VoteRequest, of candidate: NodeID, term: Term, into directives: inout Directives
    ) {
        // An amnesiac may have voted before: its silence is the only safe answer.
        guard standing != .amnesiac || mutates(.amnesiacVotes) else { return }
        // One that never was a member may be one that was wiped and has voted before, and nobody needs its vote.
        let isMember = (!configuration.voters.isEmpty || mutates(.strangerVotes)) && !isBehindFloor
        let isFree = hardState.votedFor == nil && leader == nil
        let isFuture = request.isPreVote && term > hardState.term
        let mayVote = hardState.votedFor == candidate || isFree || isFuture
        let isCurrent = request.last.isAtLeastAsUpToDate(as: log.lastPosition) || mutates(.voteWithoutLog)
        let isGranted = isMember && mayVote && isCurrent
        if isGranted && !request.isPreVote && !mutates(.forgetVote) {
            hardState.votedFor = candidate
            resetElectionTimer()
        }
        let response = Raft.VoteResponse(isPreVote: request.isPreVote, isGranted: isGranted)
        send(.voteResponse(response), to: candidate, term: isGranted ? term : nil, into: &directives)
    }

    /// Takes an answer to our request.
    mutating func receive(
        _ response: Raft.VoteResponse, from voter: NodeID, term: Term, into directives: inout Directives
    ) {
        switch role {
        case .preCandidate:
            guard response.isPreVote, !response.isGranted || term == hardState.term.next else { return }
        case .candidate: guard !response.isPreVote, term == hardState.term else { return }
        case .follower, .leader: return
        }
        recordVote(of: voter, isGranted: response.isGranted, into: &directives)
    }

    /// Counts one answer; the first of each voter stands.
    mutating func recordVote(of voter: NodeID, isGranted: Bool, into directives: inout Directives) {
        if !votes.contains(where: { $0.node == voter }) { votes.append((voter, isGranted)) }
        let result = deciding.poll { node in votes.first { $0.node == node }?.isGranted }
        switch (result, role) {
        case (.won, .preCandidate): poll(.election, into: &directives)
        case (.won, .candidate): becomeLeader(into: &directives)
        case (.lost, _): becomeFollower(hardState.term, leader: nil, into: &directives)
        default: break
        }
    }

    /// Leads the term: begins it with a no-op, because only an entry of its own term lets a leader commit older ones.
    private mutating func becomeLeader(into directives: inout Directives) {
        precondition(role == .candidate && hardState.votedFor == id && persistedHardState == hardState, "\(role)")
        role = .leader
        leader = id
        votes.removeAll()
        electionElapsed = 0
        heartbeatElapsed = 0
        termStart = log.last.next
        directives.append(.becameLeader(hardState.term))
        reconcilePeers(into: &directives)
        if !mutates(.noEmptyEntry) { appendAsLeader([(.noop, 0)], into: &directives) }
    }

    /// Gives up what only a leader has.
    ///
    /// `isSuperseded` tells a newer term from stepping down.
    mutating func leaveLeadership(isSuperseded: Bool, into directives: inout Directives) {
        if let transfer {
            let isDone = isSuperseded && transfer.phase == .triggered
            directives.append(.transferEnded(to: transfer.target, isDone ? .handedOver : .abandoned))
        }
        transfer = nil
        let unanswered = reads.removeAll()
        if !unanswered.isEmpty { directives.append(.readFailed(unanswered)) }
        peers.removeAll()
    }

    /// A leader's tick: heartbeats, the quorum check once per election timeout, transfers and snapshot offers.
    mutating func tickLeader(into directives: inout Directives) {
        if electionElapsed >= settings.electionTicks {
            electionElapsed = 0
            let result = configuration.poll { node in
                node == id ? true : peers.first { $0.id == node }.map { $0.isRecentlyActive && $0.isTrusted }
            }
            for index in peers.indices { peers[index].isRecentlyActive = false }
            if result != .won && !mutates(.noCheckQuorum) {
                becomeFollower(hardState.term, leader: nil, into: &directives)
                return
            }
        }
        tickTransfer(into: &directives)
        tickSnapshots(into: &directives)
        heartbeatElapsed += 1
        if heartbeatElapsed >= settings.heartbeatTicks {
            heartbeatElapsed = 0
            broadcastHeartbeat(into: &directives)
        }
    }

    /// Gives up leadership of the term, for instance before the process stops.
    ///
    /// Asks the most advanced voter to take over.
    public mutating func resign(into directives: inout Directives) {
        if role == .leader {
            nudgeSuccessor(into: &directives)
            becomeFollower(hardState.term, leader: nil, into: &directives)
            electionTimeout = 2 * settings.electionTicks
        }
        settle(into: &directives)
    }

    /// Tells the trusted voter with the longest flushed log to campaign.
    mutating func nudgeSuccessor(into directives: inout Directives) {
        let candidates = peers.filter { $0.isTrusted && $0.isRecentlyActive && configuration.voters.contains($0.id) }
        guard let best = candidates.max(by: { $0.match < $1.match }) else { return }
        send(.campaignNow, to: best.id, into: &directives)
    }
}
