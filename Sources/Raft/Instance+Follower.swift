// SPDX-License-Identifier: Apache-2.0
//
// Instance+Follower.swift
// Accepting the leader's entries, and saying how far the log agrees with it and is flushed.

internal import Model

extension Raft.Instance {
    /// Takes entries from the leader of the current term.
    mutating func accept(_ append: Raft.Append<Payload>, from leader: NodeID, into directives: inout Directives) {
        // While a snapshot replaces the log, nothing is added to it: the leader tries again.
        guard installing == nil else { return }
        session = max(session, append.session)
        // What is committed here equals the leader's log, whatever the message says.
        let skipped = min(max(0, log.committed - append.previous.index), append.entries.count)
        let previous = append.previous.index + skipped
        let isUnchecked = mutates(.acceptUnchecked) && previous <= log.last
        if previous >= log.committed && skipped == 0 && log.term(at: previous) != append.previous.term && !isUnchecked {
            reject(append.previous, from: leader, into: &directives)
            return
        }
        var fresh = append.entries[skipped...]
        while let entry = fresh.first, log.term(at: entry.index) == entry.term, !mutates(.cutAlways) {
            fresh.removeFirst()
        }
        if let first = fresh.first {
            if first.index <= log.last {
                guard log.canTruncate else { return }
                cut(from: first.index, into: &directives)
            }
            extend(by: fresh, into: &directives)
        }
        verified = max(verified, append.previous.index + append.entries.count)
        precondition(verified <= log.last, "verified \(verified) of \(log.last)")
        let committed = min(append.committed, mutates(.commitUnverified) ? log.last : verified)
        if committed > log.committed { advanceCommit(to: committed, into: &directives) }
        // New entries are acknowledged when they are flushed; without any, the answer is known now.
        if fresh.isEmpty || mutates(.confirmUnflushed) { acknowledge(into: &directives) }
    }

    private mutating func cut(from index: LogIndex, into directives: inout Directives) {
        precondition(index > verified, "cutting \(index), which the leader has confirmed up to \(verified)")
        let before = history.current
        log.truncate(from: index)
        if !mutates(.configurationKept) { history.truncate(from: index) }
        #if MUTATIONS
            if mutates(.forgetFences) { log.forgetFences() }
        #endif
        issueHardState(into: &directives)
        directives.append(.truncate(from: index))
        if history.current != before {
            directives.append(.configurationChanged(configuration, at: configurationIndex))
        }
    }

    private mutating func extend(by entries: ArraySlice<Raft.Entry<Payload>>, into directives: inout Directives) {
        issueHardState(into: &directives)
        for entry in entries { log.append(entry) }
        directives.append(.append(Array(entries)))
        for entry in entries {
            if case .configuration(let configuration) = entry.body {
                adopt(configuration, at: entry.index, into: &directives)
            }
        }
    }

    /// The leader takes entries for confirmed that this replica has not compared since it was started, or last lost the
    /// leader.
    ///
    /// It is told that something did not fit, so that it compares the logs again: it has nothing more to send, and
    /// otherwise what is committed would be learned with the next entry only.
    private mutating func doubt(_ confirmed: LogIndex, from leader: NodeID, into directives: inout Directives) {
        guard !mutates(.neverDoubts) else { return }
        let place = Raft.Position(index: max(confirmed, log.last).next, term: hardState.term)
        reject(place, from: leader, into: &directives)
    }

    /// Says that the entry before the append is missing or another one, and where the logs may still agree.
    private mutating func reject(_ previous: Raft.Position, from leader: NodeID, into directives: inout Directives) {
        let place = log.latestIndex(atOrBefore: previous.index, termAtMost: previous.term)
        let hint = Raft.Position(index: place, term: log.term(at: place) ?? .zero)
        let rejection = Raft.AppendResponse.Rejection(previous: previous.index, hint: hint)
        send(.appendResponse(response(rejection)), to: leader, into: &directives)
    }

    /// Tells the leader how far the log agrees and is flushed.
    mutating func acknowledge(into directives: inout Directives) {
        guard let leader, role == .follower else { return }
        reportedFlushed = min(log.flushed, verified)
        send(.appendResponse(response(nil)), to: leader, into: &directives)
    }

    private func response(_ rejection: Raft.AppendResponse.Rejection?) -> Raft.AppendResponse {
        var flushed = min(log.flushed, verified)
        if mutates(.confirmUnflushed) { flushed = verified }
        if case .corrupt(let from) = standing, !mutates(.corruptConfirms) { flushed = min(flushed, from.previous) }
        return Raft.AppendResponse(
            appended: verified, flushed: flushed, rejection: rejection, isTrusted: standing != .amnesiac,
            session: session)
    }

    /// Takes a sign of life, and the commit index that comes with it.
    mutating func accept(_ heartbeat: Raft.Heartbeat, from leader: NodeID, into directives: inout Directives) {
        session = max(session, heartbeat.session)
        if installing == nil {
            let committed = min(heartbeat.committed, verified)
            if committed > log.committed { advanceCommit(to: committed, into: &directives) }
            if heartbeat.committed > verified { doubt(heartbeat.committed, from: leader, into: &directives) }
        }
        let response = Raft.HeartbeatResponse(
            round: heartbeat.round, isTrusted: standing != .amnesiac, session: session)
        send(.heartbeatResponse(response), to: leader, into: &directives)
    }
}
