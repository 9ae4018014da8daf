// SPDX-License-Identifier: Apache-2.0
//
// Instance+State.swift
// What shells may look at, and the steps that all event families share.

public import Model

extension Raft {
    /// A leader's view of one peer, for metrics and operators.
    public struct PeerStatus: Hashable, Sendable {
        /// The peer.
        public let id: NodeID
        /// The last entry the peer has flushed.
        public let match: LogIndex
        /// The last entry the peer has appended.
        public let appended: LogIndex
        /// The next entry to send.
        public let next: LogIndex
        /// How it is fed.
        public let state: ProgressState
        /// Append messages in flight.
        public let inflightMessages: Int
        /// Bytes in flight.
        public let inflightBytes: Int
        /// Whether it answered since the last quorum check.
        public let isRecentlyActive: Bool
        /// Whether it counts in quorums.
        public let isTrusted: Bool
    }
}

extension Raft.Instance {
    /// The current term.
    public var term: Term { hardState.term }
    /// The node that got this replica's vote in the current term.
    public var votedFor: NodeID? { hardState.votedFor }
    /// Whether this replica leads.
    public var isLeader: Bool { role == .leader }
    /// Whether this replica leads and has committed an entry of its term: only then is its commit index the group's.
    public var isTermConfirmed: Bool { role == .leader && log.committed >= termStart }
    /// The first entry that is not compacted, `lastIndex + 1` when there is none.
    public var firstIndex: LogIndex { log.base.index.next }
    /// The last entry, flushed or not.
    public var lastIndex: LogIndex { log.last }
    /// The term of the last entry.
    public var lastTerm: Term { log.lastPosition.term }
    /// The last entry that is flushed here.
    public var flushedIndex: LogIndex { log.flushed }
    /// The last entry known to be committed.
    public var committedIndex: LogIndex { log.committed }
    /// Bytes proposed here and not committed.
    public var uncommittedBytes: Int { log.uncommittedBytes }
    /// The membership in effect, committed or not.
    public var configuration: Raft.Configuration { history.current.configuration }
    /// The entry that brought ``configuration``.
    public var configurationIndex: LogIndex { history.current.index }
    /// The memberships along the log.
    public var configurations: Raft.ConfigurationHistory { history }
    /// The node that is to take over, while a transfer is under way.
    public var transferTarget: NodeID? { transfer?.target }

    /// The term of an entry; nil when it is compacted or does not exist.
    public func term(at index: LogIndex) -> Term? { log.term(at: index) }

    /// The peers as the leader sees them, empty on others.
    public var peerStatus: [Raft.PeerStatus] {
        peers.map {
            Raft.PeerStatus(
                id: $0.id, match: $0.match, appended: $0.appended, next: $0.next, state: $0.state,
                inflightMessages: $0.inflights.count, inflightBytes: $0.inflights.bytes,
                isRecentlyActive: $0.isRecentlyActive, isTrusted: $0.isTrusted)
        }
    }

    /// What this leader tells each peer again and again while nothing happens; nil while something does.
    ///
    /// Then everything is committed, every peer counts, has answered since the last quorum check and has flushed all of
    /// it, and nothing waits: until an entry point other than ``tick(into:)`` is called, ticks bring these heartbeats,
    /// quorum checks that depend on the answers, and nothing else.
    public var restingHeartbeats: [(peer: NodeID, heartbeat: Raft.Heartbeat)]? {
        let isSettled =
            isTermConfirmed && log.committed == log.last && log.flushed == log.last && transfer == nil
            && reads.count == 0 && held.isEmpty && !configuration.isJoint && standing == .sound
        guard isSettled, peers.allSatisfy({ $0.isLevel(with: log.last) }) else { return nil }
        return peers.map {
            ($0.id, Raft.Heartbeat(committed: log.committed, round: heartbeatRound, session: $0.session))
        }
    }

    /// Whether the log has not come to where the replica began to be a member again.
    ///
    /// Until then the log is what an earlier life of this replica may have voted for, confirmed, or been alone with: it
    /// is taken and confirmed, but the replica neither votes nor leads, whatever the configurations in it say. Leaders
    /// of the floor's term and later ones have the change of members at the floor in their logs; so what is confirmed
    /// here counts only for those that have taken this replica in again, and older ones are refused by their term.
    public var isBehindFloor: Bool { floor.map { log.last < $0.index } ?? false }

    // MARK: - Shared steps

    /// Whether this replica may ask for votes.
    ///
    /// One that its latest configuration leaves out still may while that is not known to be committed: it can be the
    /// only one that holds the entry, and then nobody else could be elected (paper 4.2.2).
    var mayLead: Bool {
        guard standing == .sound || (standing != .amnesiac && mutates(.corruptLeads)), installing == nil, !isBehindFloor
        else { return false }
        if configuration.isVoter(id) { return true }
        let settled = max(history.element(at: log.committed).index, floor?.index ?? .zero)
        return history.elements.contains { $0.index >= settled && $0.configuration.isVoter(id) }
    }

    /// Ends an entry point: hands a changed hard state to storage and checks what must hold.
    mutating func settle(into directives: inout Directives) {
        issueHardState(into: &directives)
        log.checkInvariants()
        for peer in peers { peer.checkInvariants() }
        precondition(role != .leader || persistedHardState == hardState, "a leader's term is not durable")
    }

    /// Orders a changed hard state to be made durable.
    ///
    /// Before any write that depends on the term.
    mutating func issueHardState(into directives: inout Directives) {
        guard issuedHardState != hardState else { return }
        precondition(hardState.term >= issuedHardState.term, "\(hardState) after \(issuedHardState)")
        issuedHardState = hardState
        directives.append(.persistHardState(hardState))
    }

    /// Sends a message, at once or when the hard state it reveals is durable.
    mutating func send(
        _ body: Raft.Message<Payload>.Body, to peer: NodeID, term: Term? = nil, into directives: inout Directives
    ) {
        let message = Raft.Message(from: id, to: peer, term: term ?? hardState.term, body: body)
        if persistedHardState == hardState || mutates(.revealUndurable) {
            directives.append(.send(message))
        } else {
            if held.count >= settings.heldMessagesMax { held.removeFirst() }
            held.append(message)
        }
    }

    /// Follows `newLeader` in `newTerm`, leaving whatever role the replica had.
    mutating func becomeFollower(_ newTerm: Term, leader newLeader: NodeID?, into directives: inout Directives) {
        precondition(newTerm >= hardState.term, "term \(newTerm) after \(hardState.term)")
        let isNews = newTerm > hardState.term || role == .leader || leader != newLeader
        if role == .leader { leaveLeadership(isSuperseded: newTerm > hardState.term, into: &directives) }
        if newTerm > hardState.term {
            hardState = Raft.HardState(term: newTerm)
            held.removeAll()
        }
        if hardState.votedFor == nil && !mutates(.leaderForgotten) { hardState.votedFor = newLeader }
        role = .follower
        leader = newLeader
        votes.removeAll()
        verified = isNews && !mutates(.verifiedKept) ? log.committed : verified
        reportedFlushed = isNews ? .zero : reportedFlushed
        session = isNews ? 0 : session
        resetElectionTimer()
        if isNews { directives.append(.becameFollower(newTerm, leader: newLeader)) }
    }

    /// Begins a new wait for a leader, of a random length so that replicas do not campaign together.
    mutating func resetElectionTimer() {
        electionElapsed = 0
        electionTimeout = Int.random(in: settings.electionTicks..<2 * settings.electionTicks, using: &random)
    }

    /// Moves the commit index and says so.
    mutating func advanceCommit(to index: LogIndex, into directives: inout Directives) {
        let previous = log.committed
        log.commit(through: index)
        if role == .leader && previous < termStart && index >= termStart {
            directives.append(.termConfirmed(hardState.term))
        }
        directives.append(.commit(upTo: index))
        for element in history.elements
        where element.index > previous && element.index <= index && !element.configuration.isJoint {
            directives.append(.configurationCommitted(element.configuration, at: element.index))
        }
    }

    /// Takes up the configuration of the entry at `index`, which was just appended.
    mutating func adopt(_ configuration: Raft.Configuration, at index: LogIndex, into directives: inout Directives) {
        history.append(configuration, at: index)
        directives.append(.configurationChanged(configuration, at: index))
        if role == .leader { reconcilePeers(into: &directives) }
    }
}
