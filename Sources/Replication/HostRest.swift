// SPDX-License-Identifier: Apache-2.0
//
// HostRest.swift
// Heartbeats for groups that rest: one host speaks for all its leaders, another listens for all its followers, and what
// that costs follows the number of peers.

public import Model
internal import NIOCore
internal import Telemetry

/// When a roster was heard last, shared by the groups in it.
///
/// Confined to the host's loop.
final class RosterClock {
    /// The host's tick.
    var heardAt: UInt64
    /// Whether every group of the roster would say what it said before; until one is stirred.
    var isWhole = true

    init(heardAt: UInt64) { self.heardAt = heardAt }
}

/// What a host says for leaders that rest, and what it has heard of rosters.
///
/// A roster stands for its messages. The first time each is brought to its group. When none of them entered a core, the
/// same object again would be the same calls again: a follower would begin to wait anew, a leader would learn that it
/// was heard. Both are one store to a clock that the groups of the roster share, and that they look at when their own
/// time is due. A group that is stirred, by whatever enters its core, leaves its clock with the time that is on it, and
/// the roster is gone through again.
struct HostRest {
    /// A roster of a peer.
    struct Known {
        let roster: HeartbeatRoster
        let clock: RosterClock
        /// What followers answer; nil for a roster of answers.
        let answers: HeartbeatRoster?
    }

    /// What is said to a peer.
    struct Said {
        let peer: NodeID
        var rows: [HeartbeatRow] = []
        var rosters: [HeartbeatRoster] = []
    }

    let names = RosterNames()
    var known: [RosterSource: Known] = [:]
    var said: [Said] = []
    /// Leaders began to rest, or were stirred.
    var isStale = false
}

extension GroupHost {
    // MARK: Leaders

    /// Says for all leaders that rest what they would say.
    func sendRosters() {
        if rest.isStale { gatherRosters() }
        for said in rest.said {
            for roster in said.rosters {
                metrics.sent.increment(by: roster.rows.count)
                link?.send(roster, to: said.peer)
            }
        }
    }

    /// Linear in the number of groups.
    private func gatherRosters() {
        rest.isStale = false
        var gathered: [HostRest.Said] = []
        for group in groups {
            for (peer, row) in group.restingRows {
                if let place = gathered.firstIndex(where: { $0.peer == peer }) {
                    gathered[place].rows.append(row)
                } else {
                    gathered.append(HostRest.Said(peer: peer, rows: [row]))
                }
            }
        }
        for place in gathered.indices {
            let rows = gathered[place].rows
            if let before = rest.said.first(where: { $0.peer == gathered[place].peer }), before.rows == rows {
                gathered[place].rosters = before.rosters
                continue
            }
            let starts = stride(from: 0, to: rows.count, by: HeartbeatVector.rowsMax)
            gathered[place].rosters = starts.enumerated().map { part, start in
                HeartbeatRoster(
                    .heartbeats, name: rest.names.heartbeats(part: part),
                    rows: Array(rows[start..<min(start + HeartbeatVector.rowsMax, rows.count)]))
            }
        }
        rest.said = gathered
    }

    // MARK: Rosters of peers

    /// Heartbeats of groups that rest at `peer`, or its answers; constant in cost when it is the roster before and all
    /// its groups still rest here.
    public func receive(_ roster: HeartbeatRoster, from peer: NodeID) {
        loop.preconditionInEventLoop()
        metrics.received.increment(by: roster.rows.count)
        let source = RosterSource(roster, of: peer)
        guard let known = rest.known[source], known.roster === roster, known.clock.isWhole else {
            return work { goThrough(roster, source) }
        }
        known.clock.heardAt = now
        answer(known.answers, to: peer)
    }

    /// Brings each row to its group.
    private func goThrough(_ roster: HeartbeatRoster, _ source: RosterSource) {
        let clock = RosterClock(heardAt: now)
        var answers: [HeartbeatRow] = []
        for row in roster.rows {
            guard let group = group(row.group) else {
                metrics.unrouted.increment()
                clock.isWhole = false
                continue
            }
            switch roster.kind {
            case .heartbeats:
                if let answer = group.answer(row, of: source.peer, clock) {
                    answers.append(answer)
                    continue
                }
            case .answers: if group.isRestAnswer(row, of: source.peer, clock) { continue }
            }
            clock.isWhole = false
            group.receive(row.message(roster.kind), from: source.peer)
        }
        let said =
            answers.isEmpty
            ? nil : HeartbeatRoster(.answers, name: rest.names.answers(to: source.name), rows: answers)
        rest.known[source] = HostRest.Known(roster: roster, clock: clock, answers: said)
        answer(said, to: source.peer)
    }

    private func answer(_ answers: HeartbeatRoster?, to peer: NodeID) {
        guard let answers else { return }
        metrics.quietHeartbeats.increment(by: answers.rows.count)
        metrics.sent.increment(by: answers.rows.count)
        link?.send(answers, to: peer)
    }
}
