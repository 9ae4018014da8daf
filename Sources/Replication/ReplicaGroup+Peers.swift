// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroup+Peers.swift
// What a replica and its peers say to each other: messages in, stored frames out, and the core's time.

internal import LogStore
internal import Logging
public import Model
internal import NIOCore
internal import Raft
internal import Telemetry

/// An append that waits for its last entry to be sealed.
struct HeldAppend {
    let peer: NodeID
    let term: Term
    let previous: Raft.Position
    let committed: LogIndex
    let session: UInt64
    /// The last entry; `previous.index` when there is none.
    let last: LogIndex
}

/// A heartbeat that changed nothing, with what was answered: the same one again has the same answer, as long as nothing
/// else reaches the core.
struct QuietHeartbeat {
    let from: NodeID
    let term: Term
    let heartbeat: Raft.Heartbeat
    let answer: Raft.HeartbeatResponse

    func matches(_ other: Raft.Heartbeat, _ peer: NodeID, _ term: Term) -> Bool {
        heartbeat == other && from == peer && self.term == term
    }
}

extension ReplicaGroup {
    // MARK: Messages in

    /// A message of `peer` arrived.
    func receive(_ message: PeerMessage, from peer: NodeID) {
        if rest != nil, case .heartbeatResponse = message.body, let row = HeartbeatRow(message),
            isRestAnswer(row, of: peer, nil)
        {
            return
        }
        if case .heartbeat(let heartbeat) = message.body, let quiet, !isRunning,
            quiet.matches(heartbeat, peer, message.term), let host
        {
            // The core would only begin to wait anew, which the ticks it is not given amount to.
            hear(host)
            host.metrics.quietHeartbeats.increment()
            return host.post(
                PeerMessage(group: id, term: message.term, body: .heartbeatResponse(quiet.answer)), to: peer)
        }
        if isRunning {
            enter { [self] in step(message, from: peer) }
        } else if failure == nil, observer != nil {
            step(message, from: peer)
            run()
            if case .heartbeat(let heartbeat) = message.body { heard(heartbeat, message.term, peer) }
        }
    }

    private func step(_ message: PeerMessage, from peer: NodeID) {
        let body: Raft.Message<EntryContent>.Body
        switch message.body {
        case .voteRequest(let request): body = .voteRequest(request)
        case .voteResponse(let response): body = .voteResponse(response)
        case .append(let append):
            guard let entries = entries(append) else { return reportMalformed(message, peer) }
            body = .append(
                Raft.Append(
                    previous: append.previous, entries: entries, committed: append.committed, session: append.session))
        case .appendResponse(let response): body = .appendResponse(response)
        case .heartbeat(let heartbeat): body = .heartbeat(heartbeat)
        case .heartbeatResponse(let response): body = .heartbeatResponse(response)
        case .snapshot(let info): body = .snapshot(info)
        case .campaignNow: body = .campaignNow
        }
        lastHeartbeatAnswer = nil
        if !resetsTimer(message, from: peer) { catchUpTicks() }
        noteAnswer(message, of: peer)
        core.step(Raft.Message(from: peer, to: node, term: message.term, body: body), into: &directives)
    }

    /// The entries of a message as the core takes them; nil when they are not what an append may hold.
    private func entries(_ append: PeerAppend) -> [Raft.Entry<EntryContent>]? {
        var entries: [Raft.Entry<EntryContent>] = []
        entries.reserveCapacity(append.entries.count)
        var index = append.previous.index
        var term = append.previous.term
        for stored in append.entries {
            guard stored.index == index.next, stored.term >= term, let entry = entry(stored) else { return nil }
            entries.append(entry)
            index = stored.index
            term = stored.term
        }
        arrived = append.entries
        return entries
    }

    /// A stored entry as the core knows it; nil when it is none that a group can hold.
    func entry(_ stored: StoredEntry) -> Raft.Entry<EntryContent>? {
        switch stored.kind {
        case .noop: return Raft.Entry(index: stored.index, term: stored.term, byteCount: 0, body: .noop)
        case .configuration:
            guard let configuration = Raft.Configuration(decoding: stored.payload.readableBytesView) else { return nil }
            return Raft.Entry(
                index: stored.index, term: stored.term, byteCount: 0, body: .configuration(configuration))
        case .data, .command:
            return Raft.Entry(
                index: stored.index, term: stored.term, byteCount: stored.payload.readableBytes,
                body: .data(EntryContent(stored)))
        case .footer: return nil
        }
    }

    private func reportMalformed(_ message: PeerMessage, _ peer: NodeID) {
        host?.logger.error(
            "A peer sent entries that do not follow each other",
            metadata: ["group": "\(id.rawValue)", "peer": "\(peer.rawValue)", "term": "\(message.term)"])
    }

    /// The stored form of an entry that just arrived, or was loaded.
    func arrivedEntry(at index: LogIndex, term: Term) -> StoredEntry? {
        guard let first = arrived.first, index >= first.index, index - first.index < arrived.count else { return nil }
        let stored = arrived[index - first.index]
        return stored.term == term ? stored : nil
    }

    // MARK: Messages out

    /// Hands a message to the host; appends with entries as stored frames, once the log has sealed the last of them.
    func send(_ message: Raft.Message<EntryContent>) {
        guard let host else { return }
        let body: PeerMessage.Body
        switch message.body {
        case .append(let append): return send(append, to: message.to, term: message.term)
        case .voteRequest(let request): body = .voteRequest(request)
        case .voteResponse(let response): body = .voteResponse(response)
        case .appendResponse(let response): body = .appendResponse(response)
        case .heartbeat(let heartbeat): body = .heartbeat(heartbeat)
        case .heartbeatResponse(let response):
            lastHeartbeatAnswer = response
            body = .heartbeatResponse(response)
        case .snapshot(let info): body = .snapshot(info)
        case .campaignNow: body = .campaignNow
        }
        host.post(PeerMessage(group: id, term: message.term, body: body), to: message.to)
    }

    private func send(_ append: Raft.Append<EntryContent>, to peer: NodeID, term: Term) {
        let last = append.previous.index + append.entries.count
        let waiting = HeldAppend(
            peer: peer, term: term, previous: append.previous, committed: append.committed, session: append.session,
            last: last)
        let isLoaded = arrivedEntry(at: last, term: append.entries.last?.term ?? .zero) != nil
        // Appends to one peer keep their order: it would refuse one that overtakes another.
        let mustWait = (!isLoaded && last > log.sealedIndex) || held.contains { $0.peer == peer }
        guard mustWait else { return post(waiting) }
        if held.isEmpty { log.onSealed = { [weak self] in self?.releaseHeld() } }
        held.append(waiting)
    }

    private func releaseHeld() {
        let sealed = log.sealedIndex
        var blocked: [NodeID] = []
        var rest: [HeldAppend] = []
        for append in held {
            if append.last <= sealed, !blocked.contains(append.peer) {
                post(append)
            } else {
                blocked.append(append.peer)
                rest.append(append)
            }
        }
        held = rest
        if held.isEmpty { log.onSealed = nil }
    }

    /// Sends an append whose entries are sealed.
    ///
    /// Where memory does not have them any more the message is lost, which Raft allows: it asks for them again.
    private func post(_ append: HeldAppend) {
        guard let host, let entries = storedEntries(after: append.previous.index, through: append.last) else { return }
        let message = PeerAppend(
            previous: append.previous, committed: append.committed, session: append.session, entries: entries)
        host.post(PeerMessage(group: id, term: append.term, body: .append(message)), to: append.peer)
    }

    private func storedEntries(after previous: LogIndex, through last: LogIndex) -> [StoredEntry]? {
        guard last > previous else { return [] }
        if let first = arrived.first?.index, first <= previous.next, last - first < arrived.count {
            return Array(arrived[(previous.next - first)...(last - first)])
        }
        return log.sealedEntries(from: previous.next, through: last)
    }

    // MARK: Time

    /// Gives the core the time up to `now`, and returns when it needs the next.
    func tick(_ now: UInt64) -> UInt64 {
        guard failure == nil, hasPeers else { return .max }
        guard !isRunning else { return now + 1 }
        if rest != nil {
            if isRestAnswered(now) { return now + restCheckTicks }
            stir()
        }
        settleRosterClock()
        tickOffer(now)
        fetch?.tick()
        tickLoads()
        let due = nextTick(now - 1)
        if due > now { return due }
        catchUpTicks()
        run()
        tickFollowers(now)
        if beginRest(now) { return now + restCheckTicks }
        return nextTick(now)
    }

    /// The tick after `now` that matters.
    ///
    /// Followers are left alone until an election could be due, leaders until heartbeats are.
    private func nextTick(_ now: UInt64) -> UInt64 {
        if fetch != nil || offer != nil || !delayedLoads.isEmpty { return now + 1 }
        switch core.role {
        case .follower:
            if core.doubtsLeader { return now + 1 }
            // The wait for a leader is never shorter than this.
            return max(now + 1, heardAt + UInt64(core.settings.electionTicks))
        case .leader:
            // In step with all leaders here, so that their heartbeats travel together.
            let step = UInt64(core.settings.heartbeatTicks)
            return (now / step + 1) * step
        case .candidate, .preCandidate: return now + 1
        }
    }

    /// Gives the core what it was not given since it was last entered.
    func catchUpTicks() {
        guard let host else { return }
        // To the core, the time of rest did not pass.
        if rest != nil { stir() }
        settleRosterClock()
        while tickedThrough < host.now {
            core.tick(into: &directives)
            tickedThrough += 1
            host.metrics.ticks.increment()
        }
    }

    /// The connection to `peer` was lost: a leader there, or one to be, is waited for no longer than the core sees fit;
    /// a follower there does not keep up before it answers again.
    ///
    /// Between the heartbeats of a leader nothing but ticks happens, so what the core was not given of them goes first.
    func disconnected(from peer: NodeID) {
        if core.role == .leader {
            if rest != nil { stir() }
            followers.forget(peer)
        }
        if awaited == peer { awaitNoLonger() }
        guard core.leader == peer || core.transferTarget == peer else { return }
        enter { [self] in
            catchUpTicks()
            core.disconnected(from: peer, into: &directives)
            if core.doubtsLeader { host?.wake(self) }
        }
    }

    /// Leaves the first election of a new group to `peer` for ``GroupHostSettings/founderTicks``, or until its connection
    /// is lost; without effect on a replica that has voted, or that has entries.
    ///
    /// Nothing depends on it but who leads first: this replica votes meanwhile, any message of a leader ends the wait, and
    /// so does being asked to campaign.
    public func awaitFirstLeader(_ peer: NodeID) {
        guard let host, hasPeers, core.term == .zero, log.lastIndex == .zero else { return }
        awaited = peer
        heardAt = host.now + UInt64(host.settings.founderTicks)
        tickedThrough = heardAt
    }

    /// The one that should have led first will not, or this one was asked to: the core has its ticks again.
    func awaitNoLonger() {
        guard let host, awaited != nil else { return }
        awaited = nil
        guard heardAt > host.now else { return }
        hear(host)
        host.wake(self)
    }

    /// Notes that the wait for a leader begins anew.
    func hear(_ host: GroupHost) {
        heardAt = host.now
        tickedThrough = host.now
    }

    /// Whether the core will begin to wait anew because of this message, so that the time before does not matter.
    private func resetsTimer(_ message: PeerMessage, from peer: NodeID) -> Bool {
        guard let host, core.role == .follower, core.leader == peer, message.term == core.term else { return false }
        switch message.body {
        case .append, .heartbeat, .snapshot:
            hear(host)
            return true
        default: return false
        }
    }

    /// Remembers a heartbeat that changed nothing, and about which the core has no doubts.
    private func heard(_ heartbeat: Raft.Heartbeat, _ term: Term, _ peer: NodeID) {
        guard core.role == .follower, core.leader == peer, core.term == term, failure == nil, !isInstalling,
            let answer = lastHeartbeatAnswer, answer.round == heartbeat.round,
            heartbeat.committed <= core.committedIndex
        else { return }
        quiet = QuietHeartbeat(from: peer, term: term, heartbeat: heartbeat, answer: answer)
    }
}
