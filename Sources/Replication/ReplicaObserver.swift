// SPDX-License-Identifier: Apache-2.0
//
// ReplicaObserver.swift
// What a replica tells its owner: leadership, commits, and on followers what the leader did to the log.

public import LogStore
public import Model
public import Raft

/// What a replica tells its owner.
///
/// Called on the group's loop, in the order of the log, from inside directives: use ``ReplicaGroup/whenIdle(_:)`` to act
/// on the group.
public protocol ReplicaObserver: AnyObject {
    /// This replica leads in `term` and an entry of that term is committed: positions may be served.
    func replicaLeads(term: Term)
    /// This replica does not lead; what was proposed and not committed has an unknown outcome.
    ///
    /// Also when only the leader became known, or unknown.
    func replicaFollows(term: Term, leader: NodeID?)
    /// Entries up to `index` are committed; on leader and followers.
    ///
    /// On a follower some of them may not be durable here yet.
    func replicaCommitted(upTo index: LogIndex)
    /// Entries up to `index` are durable here; told in groups of more than one replica only, where it differs from
    /// ``replicaCommitted(upTo:)``.
    func replicaFlushed(upTo index: LogIndex)
    /// Follower: an entry of the leader was appended to the log.
    func replicaAppended(_ entry: StoredEntry)
    /// Follower: entries from `index` on were cut, none of them committed; the log's end is the new one.
    func replicaTruncated(from index: LogIndex)
    /// A snapshot that ends at `position` has replaced the log, and the state of a state machine: load everything again.
    ///
    /// Everything up to there is committed.
    func replicaInstalled(_ position: Raft.Position)
    /// A membership is in effect, or committed.
    func replicaConfigured(_ configuration: Raft.Configuration, isCommitted: Bool)
    /// The log cannot be written any more; the replica is out of service for good.
    func replicaFailed(_ error: StoreError)
}

extension ReplicaObserver {
    /// For owners that do not look at what is durable.
    public func replicaFlushed(upTo index: LogIndex) {}
    /// For owners that learn of entries when they are committed.
    public func replicaAppended(_ entry: StoredEntry) {}
    /// For owners that learn of entries when they are committed.
    public func replicaTruncated(from index: LogIndex) {}
    /// For owners that do not look at members.
    public func replicaConfigured(_ configuration: Raft.Configuration, isCommitted: Bool) {}
    /// An owner that cannot load again is out of service.
    public func replicaInstalled(_ position: Raft.Position) {
        replicaFailed(.index("a snapshot up to \(position) replaced the log under an owner that cannot load it"))
    }
}
