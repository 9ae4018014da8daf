// SPDX-License-Identifier: Apache-2.0
//
// Instance+Membership.swift
// Changing who votes and who listens: joint consensus, one change at a time, taken back on request.

public import Model

extension Raft.Instance {
    /// Begins to change the members to these.
    ///
    /// Returns the index of the entry; the change is complete at ``Raft/Directive/configurationCommitted(_:at:)``.
    ///
    /// When the voters change, a joint configuration comes first, in which both sets must agree; the leader leaves it
    /// by itself as soon as it is committed. New voters must be learners that have nearly caught up, so that the group
    /// is never without a quorum while they copy the log. A leader that is not among the new voters steps down at the
    /// end.
    ///
    /// - Throws: nothing has changed.
    public mutating func changeMembership(
        voters: [NodeID], learners: [NodeID], into directives: inout Directives
    ) throws(Raft.Refusal) -> LogIndex {
        guard role == .leader else { throw .notLeader(leader: leader) }
        if let transfer { throw .transferInProgress(to: transfer.target) }
        // Without an own entry committed, an older leader's change might still come into effect beside this one.
        guard isTermConfirmed else { throw .termNotConfirmed }
        guard (!configuration.isJoint && configurationIndex <= log.committed) || mutates(.changesOverlap) else {
            throw .changeInProgress
        }
        let target = try checkedTarget(voters: voters, learners: learners)
        let next =
            target.voters == configuration.voters || mutates(.skipJoint)
            ? target
            : Raft.Configuration(
                voters: target.voters, outgoing: configuration.voters, learners: target.learners)
        appendAsLeader([(.configuration(next), 0)], into: &directives)
        let index = configurationIndex
        settle(into: &directives)
        return index
    }

    /// Takes back the change under way: returns to the members before it.
    ///
    /// Returns the index of the entry.
    ///
    /// Possible while the joint configuration is not committed, on the leader that began the change. Every
    /// configuration in any log then needs a majority of the old voters, so going back needs no other agreement.
    ///
    /// - Throws: nothing has changed.
    public mutating func cancelMembershipChange(into directives: inout Directives) throws(Raft.Refusal) -> LogIndex {
        guard role == .leader else { throw .notLeader(leader: leader) }
        guard configuration.isJoint, configurationIndex > termStart else { throw .nothingToCancel }
        let before = history.element(at: configurationIndex.previous).configuration
        precondition(before.voters == configuration.outgoing && !before.isJoint, "joint after \(before)")
        appendAsLeader([(.configuration(before), 0)], into: &directives)
        let index = configurationIndex
        settle(into: &directives)
        return index
    }

    private func checkedTarget(voters: [NodeID], learners: [NodeID]) throws(Raft.Refusal) -> Raft.Configuration {
        guard !voters.isEmpty else { throw .invalidMembership("no voters") }
        guard voters.count <= Raft.Configuration.membersMax, learners.count <= Raft.Configuration.membersMax
        else { throw .invalidMembership("more than \(Raft.Configuration.membersMax) members") }
        if let both = voters.first(where: learners.contains) {
            throw .invalidMembership("node \(both) cannot be voter and learner")
        }
        let target = Raft.Configuration(voters: voters, learners: learners)
        guard target != configuration else { throw .invalidMembership("nothing changes") }
        let lagging = target.voters.filter { !configuration.isVoter($0) && !isCaughtUp($0) }
        guard lagging.isEmpty else { throw .laggingVoters(lagging) }
        return target
    }

    private func isCaughtUp(_ node: NodeID) -> Bool {
        guard let peer = peers.first(where: { $0.id == node }), peer.isTrusted else { return false }
        // It must hold the configuration that brought it: without one it does not vote.
        return peer.state == .replicate && log.last - peer.match <= settings.promotionLagEntriesMax
            && peer.match.rawValue >= peer.session
    }

    /// Leaves a joint configuration that is committed.
    mutating func advanceMembership(into directives: inout Directives) {
        guard role == .leader, configuration.isJoint else { return }
        guard configurationIndex <= log.committed || mutates(.leaveJointEarly) else { return }
        let target = Raft.Configuration(voters: configuration.voters, learners: configuration.learners)
        appendAsLeader([(.configuration(target), 0)], into: &directives)
    }

    /// Ends the leadership of a replica that the committed configuration does not let vote.
    mutating func stepDownIfRemoved(into directives: inout Directives) {
        guard role == .leader, configurationIndex <= log.committed, !configuration.isVoter(id),
            !mutates(.removedLeads)
        else { return }
        nudgeSuccessor(into: &directives)
        becomeFollower(hardState.term, leader: nil, into: &directives)
    }

    /// Makes the peers those of the configuration in effect; what is known of those that stay is kept.
    mutating func reconcilePeers(into directives: inout Directives) {
        var reconciled: [Raft.Progress] = []
        for node in configuration.members where node != id {
            if let known = peers.first(where: { $0.id == node }) {
                reconciled.append(known)
            } else {
                // Probing begins with an entry that exists or is about to, so that there is something to send.
                var peer = Raft.Progress(
                    id: node, session: configurationIndex.rawValue, next: max(termStart, configurationIndex),
                    settings: settings)
                peer.isRecentlyActive = true
                reconciled.append(peer)
            }
        }
        peers = reconciled
        if let transfer, !configuration.isVoter(transfer.target) {
            endTransfer(.abandoned, into: &directives)
        }
    }
}
