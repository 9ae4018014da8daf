// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroup+Roles.swift
// What a replica is and what it knows of its peers, and what it does when that changes.

public import LogStore
internal import Logging
public import Model
public import Raft
internal import Telemetry

/// The role a replica was last seen in, to notice changes that need another rhythm.
struct SeenRole: Hashable {
    var role = Raft.Role.follower
    var leader: NodeID?
}

/// What a leader remembers of its peers' answers, to tell which of them keep up.
struct FollowerActivity {
    private var answered: [(peer: NodeID, tick: UInt64)] = []
    /// The commit index of one and of two election timeouts ago.
    private var marks: (recent: LogIndex, former: LogIndex) = (.zero, .zero)
    private var markedAt: UInt64 = 0

    mutating func begin(at tick: UInt64) {
        answered.removeAll()
        marks = (.zero, .zero)
        markedAt = tick
    }

    mutating func note(_ peer: NodeID, at tick: UInt64) {
        for position in answered.indices where answered[position].peer == peer {
            answered[position].tick = tick
            return
        }
        answered.append((peer, tick))
    }

    /// The connection was lost: whoever comes back may be another one, and has to answer first.
    mutating func forget(_ peer: NodeID) { answered.removeAll { $0.peer == peer } }

    /// Notes how far the log was committed, once in a timeout.
    mutating func mark(_ committed: LogIndex, at tick: UInt64, every ticks: UInt64) {
        guard tick >= markedAt + ticks else { return }
        marks = (committed, marks.recent)
        markedAt = tick
    }

    /// Whether a peer answered within the last `ticks`, and has flushed what was committed a timeout ago.
    func keepsUp(_ status: Raft.PeerStatus, at now: UInt64, ticks: UInt64) -> Bool {
        guard status.isTrusted, status.match >= marks.former else { return false }
        return answered.contains { $0.peer == status.id && $0.tick + ticks > now }
    }
}

extension ReplicaGroup {
    /// What this replica is.
    public var role: Raft.Role { core.role }
    /// The latest term this replica has seen.
    public var term: Term { core.term }
    /// Who leads, as far as known.
    public var leader: NodeID? { core.leader }
    /// The members, committed or not.
    public var configuration: Raft.Configuration { core.configuration }
    /// The entry that brought ``configuration``.
    public var configurationIndex: LogIndex { core.configurationIndex }
    /// Whether storage is trusted.
    public var standing: Raft.Standing { core.standing }
    /// The peers as this leader sees them; empty on others.
    public var progress: [Raft.PeerStatus] { core.peerStatus }
    /// Who is to take over, while leadership is handed over.
    public var transferTarget: NodeID? { core.transferTarget }
    /// Why the replica is out of service.
    public var storeFailure: StoreError? { failure }

    /// The voters that keep up with this leader, itself among them; empty on others.
    ///
    /// One keeps up when it answered within an election timeout, over a connection that was not lost since, and has
    /// flushed what was committed one timeout ago.
    public var inSyncReplicas: [NodeID] {
        guard core.role == .leader else { return [] }
        noteRestAnswers()
        let now = host?.now ?? 0
        let ticks = UInt64(core.settings.electionTicks)
        let configuration = core.configuration
        let peers = core.peerStatus.filter {
            configuration.isVoter($0.id) && followers.keepsUp($0, at: now, ticks: ticks)
        }
        return (peers.map(\.id) + [node]).sorted()
    }

    // MARK: Changes

    /// Ends a step of a group with peers.
    func endStep() {
        if !arrived.isEmpty { arrived = [] }
        let now = SeenRole(role: core.role, leader: core.leader)
        guard now != seen else { return }
        seen = now
        if now.role != .follower { awaitNoLonger() }
        host?.wake(self)
    }

    func becameLeader() {
        guard let host else { return }
        followers.begin(at: host.now)
        host.metrics.elections.increment()
        host.logger.info(
            "Elected", metadata: ["group": "\(id.rawValue)", "term": "\(core.term)", "last": "\(core.lastIndex)"])
    }

    /// Whoever waits for something that only a leader can do is told.
    func leftLeadership(leader: NodeID?) {
        if let host { heardAt = host.now }
        log.onSealed = nil
        delayedLoads = []
        requests.failAll(.refused(.notLeader(leader: leader)))
    }

    /// Tells the best voter to take over from a leader whose log has failed; says nothing that is not durable.
    func nameSuccessor() {
        guard core.role == .leader else { return }
        var parting: [Raft.Directive<EntryContent>] = []
        core.resign(into: &parting)
        for case .send(let message) in parting {
            if case .campaignNow = message.body { send(message) }
        }
    }

    func noteAnswer(_ message: PeerMessage, of peer: NodeID) {
        guard core.role == .leader, let host else { return }
        switch message.body {
        case .appendResponse, .heartbeatResponse: followers.note(peer, at: host.now)
        default: break
        }
    }

    func tickFollowers(_ now: UInt64) {
        guard core.role == .leader else { return }
        noteCompaction()
        followers.mark(committed, at: now, every: UInt64(core.settings.electionTicks))
    }

    /// Directives that a group of one replica never gets, or need not act on.
    func performForPeers(_ directive: Raft.Directive<EntryContent>) {
        switch directive {
        case .send(let message): send(message)
        case .needEntries(let request): load(request)
        case .configurationChanged(let configuration, _):
            hasPeers = core.isBehindFloor || !configuration.isOnly(node)
            // Nobody is left to fetch it, and time is not counted without peers.
            if !hasPeers { dropOffer() }
            noteReplication(isSettled: false)
            host?.configured(self)
            observer?.replicaConfigured(configuration, isCommitted: false)
        case .configurationCommitted(let configuration, let index):
            noteReplication(isSettled: index == core.configurationIndex)
            observer?.replicaConfigured(configuration, isCommitted: true)
            requests.configured(configuration, at: index)
        case .readReady(let reads, let index): requests.ready(reads, at: index)
        case .readFailed(let reads): requests.failed(reads, .refused(.notLeader(leader: core.leader)))
        case .transferEnded(_, let outcome): requests.transferred(outcome)
        case .provideSnapshot(let peer): provideSnapshot(to: peer)
        case .fetchSnapshot(let info, let peer): fetchSnapshot(info, from: peer)
        case .installSnapshot(let info): installSnapshot(info)
        default: preconditionFailure("\(id): \(directive) is carried out elsewhere")
        }
    }

    // MARK: Catching up from the log

    /// Loads stored entries for a peer, from memory or from the disk.
    ///
    /// What lies on the disk only waits for its turn with the governor.
    private func load(_ request: Raft.EntriesRequest) {
        let isCold = log.sealedEntries(from: request.from, through: request.from) == nil
        if isCold, let host, !host.governor.take(request.bytesMax) {
            delayedLoads.append(request)
            return host.wake(self)
        }
        log.readEntries(from: request.from, through: request.through, maxBytes: request.bytesMax) {
            [weak self] result in
            self?.enter { self?.loaded(request, result) }
        }
    }

    /// Tries again what had to wait.
    func tickLoads() {
        guard !delayedLoads.isEmpty else { return }
        let waiting = delayedLoads
        delayedLoads = []
        for request in waiting { load(request) }
    }

    private func loaded(_ request: Raft.EntriesRequest, _ result: Result<[StoredEntry], StoreError>) {
        // What retention took meanwhile is not asked for again, but sent as a snapshot.
        noteCompaction()
        guard case .success(let stored) = result, stored.first?.index == request.from,
            stored.allSatisfy({ $0.index <= request.through && $0.term == core.term(at: $0.index) })
        else { return core.entriesUnavailable(request, into: &directives) }
        let entries = stored.compactMap(entry)
        guard entries.count == stored.count else { return core.entriesUnavailable(request, into: &directives) }
        host?.metrics.catchUpEntries.increment(by: entries.count)
        arrived = stored
        core.entriesLoaded(request, entries: entries, into: &directives)
    }
}
