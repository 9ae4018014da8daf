// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroup+Snapshots.swift
// Bringing up to date a peer whose next entries are gone, and being brought up to date.

internal import Model
internal import Raft

extension ReplicaGroup {
    /// Makes a snapshot for a peer and offers it; the core asks again when none comes of it.
    func provideSnapshot(to peer: NodeID) {}

    /// Pulls a snapshot from a peer.
    func fetchSnapshot(_ info: Raft.SnapshotInfo, from peer: NodeID) {
        whenIdle { [self] in enter { [self] in core.snapshotAbandoned(info) } }
    }

    /// Replaces log and state by the snapshot that was fetched.
    func installSnapshot(_ info: Raft.SnapshotInfo) {
        preconditionFailure("\(id): nothing was fetched for \(info.position)")
    }
}
