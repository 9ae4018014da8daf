// SPDX-License-Identifier: Apache-2.0
//
// TestReplica.swift
// One replica of a partition on one broker of a test cluster, and what it was told.

import LogStore
import Model
import NIOCore
import Raft
import Testing

@testable import Replication

/// A replica and what it was told.
final class TestReplica: ReplicaObserver {
    let group: ReplicaGroup
    let log: PartitionLog
    let node: NodeID
    private(set) var terms: [Term] = []
    private(set) var commits: [LogIndex] = []
    private(set) var appended: [LogIndex] = []
    private(set) var truncations: [LogIndex] = []
    private(set) var installed: [Raft.Position] = []
    private(set) var configurations: [Raft.Configuration] = []
    private(set) var failures: [StoreError] = []
    private(set) var flushed = LogIndex.zero

    init(_ group: ReplicaGroup, _ log: PartitionLog) {
        self.group = group
        self.log = log
        node = group.node
    }

    var isLeading: Bool { group.leadingTerm != nil }

    func replicaLeads(term: Term) {
        #expect(terms.last.map { $0 < term } ?? true)
        terms.append(term)
    }

    func replicaFollows(term: Term, leader: NodeID?) {}

    func replicaCommitted(upTo index: LogIndex) {
        #expect(commits.last.map { $0 < index } ?? true, "\(node): \(index) after \(commits.last ?? .zero)")
        commits.append(index)
    }

    func replicaFlushed(upTo index: LogIndex) { flushed = index }

    func replicaAppended(_ entry: StoredEntry) {
        #expect(entry.index == log.lastIndex, "\(node): told of \(entry.index), the log ends at \(log.lastIndex)")
        appended.append(entry.index)
    }

    func replicaTruncated(from index: LogIndex) {
        #expect(log.lastIndex == index.previous)
        #expect(commits.last.map { $0 < index } ?? true, "\(node): cut at \(index) below \(commits.last ?? .zero)")
        truncations.append(index)
    }

    func replicaInstalled(_ position: Raft.Position) {
        #expect(log.lastIndex == position.index && log.lastTerm == position.term)
        installed.append(position)
        commits.append(position.index)
    }

    func replicaConfigured(_ configuration: Raft.Configuration, isCommitted: Bool) {
        if isCommitted { configurations.append(configuration) }
    }

    func replicaFailed(_ error: StoreError) { failures.append(error) }
}
