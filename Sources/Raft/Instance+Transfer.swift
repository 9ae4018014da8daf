// SPDX-License-Identifier: Apache-2.0
//
// Instance+Transfer.swift
// Handing leadership over: bring the target near, refuse proposals, bring it level, let it campaign.

public import Model

extension Raft {
    /// A transfer of leadership under way.
    struct Transfer: Sendable {
        /// The steps, in order.
        enum Phase {
            /// The target catches up while proposals go on.
            case preparing
            /// Proposals are refused until the target is level.
            case blocking
            /// The target was told to campaign.
            case triggered
        }

        /// Who takes over.
        let target: NodeID
        /// The step reached.
        var phase = Phase.preparing
        /// Ticks spent in preparing, or since blocking began.
        var elapsed = 0
    }
}

extension Raft.Instance {
    /// Begins to hand leadership to a voter.
    ///
    /// Ends with ``Raft/Directive/transferEnded(to:_:)``, in any case within `transferPrepareTicks +
    /// transferBlockTicks`.
    ///
    /// - Throws: no transfer was begun.
    public mutating func transferLeadership(
        to target: NodeID, into directives: inout Directives
    ) throws(Raft.Refusal) {
        guard role == .leader else { throw .notLeader(leader: leader) }
        if let transfer { throw .transferInProgress(to: transfer.target) }
        guard target != id, configuration.voters.contains(target),
            peers.first(where: { $0.id == target })?.isTrusted == true
        else { throw .unfitTarget(target) }
        transfer = Raft.Transfer(target: target)
        advanceTransfer(into: &directives)
        settle(into: &directives)
    }

    /// Takes the next steps that the target's progress allows.
    mutating func advanceTransfer(into directives: inout Directives) {
        guard role == .leader, var current = transfer, current.phase != .triggered,
            let peer = peers.first(where: { $0.id == current.target }), peer.isTrusted
        else { return }
        if current.phase == .preparing, peer.state == .replicate,
            log.last - peer.match <= settings.transferLagEntriesMax
        {
            current.phase = .blocking
            current.elapsed = 0
        }
        if current.phase == .blocking, peer.match == log.last {
            current.phase = .triggered
            send(.campaignNow, to: current.target, into: &directives)
        }
        transfer = current
    }

    /// Counts the time of a transfer and gives it up when it takes too long.
    mutating func tickTransfer(into directives: inout Directives) {
        guard var current = transfer else { return }
        current.elapsed += 1
        transfer = current
        let limit = current.phase == .preparing ? settings.transferPrepareTicks : settings.transferBlockTicks
        if current.elapsed > limit && !mutates(.transferForever) { endTransfer(.timedOut, into: &directives) }
    }

    /// Ends the transfer; the leader goes on leading.
    mutating func endTransfer(_ outcome: Raft.TransferOutcome, into directives: inout Directives) {
        guard let ended = transfer else { return }
        transfer = nil
        directives.append(.transferEnded(to: ended.target, outcome))
    }
}
