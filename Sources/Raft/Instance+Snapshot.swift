// SPDX-License-Identifier: Apache-2.0
//
// Instance+Snapshot.swift
// Bringing a replica up to date whose next entries are compacted. Content and transport are the shell's.

public import Model

extension Raft.Instance {
    // MARK: - Leader

    /// Stops feeding a peer and asks the shell for a snapshot.
    mutating func requestSnapshot(_ index: Int, into directives: inout Directives) {
        peers[index].becomeSnapshot(pending: nil)
        directives.append(.provideSnapshot(to: peers[index].id))
    }

    /// Offers a snapshot to a peer, in answer to ``Raft/Directive/provideSnapshot(to:)``.
    ///
    /// It must reach at least to the base of the log: the entries after it are sent next. An older one is ignored, and
    /// the directive comes again. The configuration is ``Raft/ConfigurationHistory/element(at:)`` of its index.
    public mutating func snapshotProvided(
        _ info: Raft.SnapshotInfo, to peer: NodeID, into directives: inout Directives
    ) {
        if role == .leader, let index = peers.firstIndex(where: { $0.id == peer }),
            case .snapshot = peers[index].state, info.position.index >= log.base.index
        {
            precondition(info.position.index <= log.committed, "snapshot \(info.position) beyond \(log.committed)")
            peers[index].becomeSnapshot(pending: info.position.index)
            send(.snapshot(info), to: peer, into: &directives)
        }
        settle(into: &directives)
    }

    /// Asks again for snapshots that have led to nothing: offers are lost like any message.
    mutating func tickSnapshots(into directives: inout Directives) {
        for index in peers.indices {
            guard case .snapshot = peers[index].state, !mutates(.snapshotOnce) else { continue }
            peers[index].snapshotTicks += 1
            if peers[index].snapshotTicks >= settings.electionTicks {
                peers[index].snapshotTicks = 0
                directives.append(.provideSnapshot(to: peers[index].id))
            }
        }
    }

    // MARK: - Follower

    /// Takes an offer from the leader, unless the log holds as much or another snapshot is on its way.
    mutating func consider(_ info: Raft.SnapshotInfo, from leader: NodeID, into directives: inout Directives) {
        guard fetching == nil, installing == nil else { return }
        if take(info, into: &directives) {
            acknowledge(into: &directives)
        } else {
            fetching = info
            directives.append(.fetchSnapshot(info, from: leader))
        }
    }

    /// Whether the log already holds what the snapshot stands for; its position is then known to be committed.
    private mutating func take(_ info: Raft.SnapshotInfo, into directives: inout Directives) -> Bool {
        if info.position.index <= log.committed { return true }
        guard log.term(at: info.position.index) == info.position.term, !mutates(.staleSnapshot) else { return false }
        verified = max(verified, info.position.index)
        advanceCommit(to: info.position.index, into: &directives)
        return true
    }

    /// The snapshot is complete in its staging place.
    ///
    /// Decides now whether it is still wanted, and if so replaces the log.
    public mutating func snapshotFetched(_ info: Raft.SnapshotInfo, into directives: inout Directives) {
        guard fetching == info else { return }
        fetching = nil
        if role == .leader || take(info, into: &directives) {
            acknowledge(into: &directives)
        } else if log.canTruncate {
            if role != .follower { becomeFollower(hardState.term, leader: nil, into: &directives) }
            log.reset(to: info.position)
            history = Raft.ConfigurationHistory(initial: info.configuration, at: info.position.index)
            verified = info.position.index
            installing = info
            issueHardState(into: &directives)
            directives.append(.configurationChanged(info.configuration, at: info.position.index))
            directives.append(.installSnapshot(info))
        }
        settle(into: &directives)
    }

    /// The fetch failed; the leader will offer again.
    public mutating func snapshotAbandoned(_ info: Raft.SnapshotInfo) {
        if fetching == info { fetching = nil }
    }

    /// The snapshot has replaced log and state durably.
    public mutating func snapshotInstalled(_ info: Raft.SnapshotInfo, into directives: inout Directives) {
        precondition(installing == info, "installed \(info.position), expected \(String(describing: installing))")
        installing = nil
        acknowledge(into: &directives)
        settle(into: &directives)
    }
}
