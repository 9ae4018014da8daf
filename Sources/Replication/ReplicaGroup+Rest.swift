// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroup+Rest.swift
// A replica to which nothing happens: its heartbeats and answers are said and heard by the host, for many at once.
// The core is not entered meanwhile: to it, time has stood still, and messages that change nothing were lost.

internal import Model
internal import Raft

/// A leader for which the host speaks.
struct LeaderRest {
    /// What is said to a peer, and when an answer to it was heard.
    struct Peer {
        let id: NodeID
        let row: HeartbeatRow
        var clock: RosterClock
    }

    /// Counts the rests of a replica.
    let number: UInt64
    var peers: [Peer]
}

extension ReplicaGroup {
    // MARK: Leaders

    /// How often a leader at rest looks whether its peers still answer, in ticks.
    ///
    /// One that is silent for as long is told by itself again, and the core counts its time.
    var restCheckTicks: UInt64 { UInt64(2 * core.settings.heartbeatTicks) }

    /// Another number for each time in which nothing happens to this leader and all its peers answer; nil at others.
    public var restNumber: UInt64? { rest?.number }

    /// What the host says for this leader; empty when it speaks for itself.
    var restingRows: some Sequence<(NodeID, HeartbeatRow)> { (rest?.peers ?? []).lazy.map { ($0.id, $0.row) } }

    /// Lets the host speak once nothing happened for an election timeout; returns whether it does.
    func beginRest(_ now: UInt64) -> Bool {
        guard core.role == .leader, failure == nil, let host else { return false }
        if calm.last != core.lastIndex { calm = (core.lastIndex, now) }
        guard now >= calm.since + UInt64(core.settings.electionTicks), isIdle,
            let heartbeats = core.restingHeartbeats, !heartbeats.isEmpty
        else { return false }
        let term = core.term
        rests += 1
        rest = LeaderRest(
            number: rests,
            peers: heartbeats.map { peer, heartbeat in
                let row = HeartbeatRow(
                    group: id, term: term, value: heartbeat.committed.rawValue, round: heartbeat.round,
                    session: heartbeat.session)
                return LeaderRest.Peer(id: peer, row: row, clock: RosterClock(heardAt: now))
            })
        host.rest.isStale = true
        return true
    }

    private var isIdle: Bool {
        held.isEmpty && offer == nil && !isMakingOffer && fetch == nil && delayedLoads.isEmpty && requests.isEmpty
            && !isInstalling
    }

    /// Takes a peer's answer to what the host says; false for one that the core has to see.
    ///
    /// With a clock it came as part of a roster.
    func isRestAnswer(_ row: HeartbeatRow, of peer: NodeID, _ clock: RosterClock?) -> Bool {
        guard let host, let place = rest?.peers.firstIndex(where: { $0.id == peer }), let said = rest?.peers[place].row,
            row.term == said.term, row.round == said.round, row.session == said.session, row.value == 1
        else { return false }
        // A roster that this group was part of is gone through again before it counts once more.
        if clock == nil { rest?.peers[place].clock.isWhole = false }
        rest?.peers[place].clock = clock ?? RosterClock(heardAt: host.now)
        return true
    }

    /// Whether every peer has answered lately.
    func isRestAnswered(_ now: UInt64) -> Bool {
        let limit = restCheckTicks
        return rest?.peers.allSatisfy { $0.clock.heardAt + limit > now } ?? false
    }

    /// Notes when the peers were heard, for whoever asks which of them keep up.
    func noteRestAnswers() {
        guard let rest else { return }
        for peer in rest.peers { followers.note(peer.id, at: peer.clock.heardAt) }
    }

    // MARK: Followers

    /// The answer to a heartbeat like the one before; nil for one that the core has to see.
    func answer(_ row: HeartbeatRow, of peer: NodeID, _ clock: RosterClock) -> HeartbeatRow? {
        let heartbeat = Raft.Heartbeat(committed: LogIndex(row.value), round: row.round, session: row.session)
        guard let quiet, !isRunning, let host, quiet.matches(heartbeat, peer, row.term) else { return nil }
        hear(host)
        if rosterClock !== clock { rosterClock?.isWhole = false }
        rosterClock = clock
        return HeartbeatRow(
            group: id, term: row.term, value: quiet.answer.isTrusted ? 1 : 0, round: quiet.answer.round,
            session: quiet.answer.session)
    }

    /// Takes over the time at which the roster was heard.
    func settleRosterClock() {
        guard let rosterClock else { return }
        heardAt = max(heardAt, rosterClock.heardAt)
        tickedThrough = max(tickedThrough, rosterClock.heardAt)
    }

    // MARK: Both

    /// Something happens: the replica speaks and listens for itself again.
    func stir() {
        quiet = nil
        if let rosterClock {
            settleRosterClock()
            rosterClock.isWhole = false
            self.rosterClock = nil
        }
        guard let rest else { return }
        noteRestAnswers()
        for peer in rest.peers { peer.clock.isWhole = false }
        self.rest = nil
        guard let host else { return }
        // Time stood still: quorum checks go on from where they were.
        tickedThrough = host.now
        calm.since = host.now
        host.rest.isStale = true
        host.wake(self)
    }
}
