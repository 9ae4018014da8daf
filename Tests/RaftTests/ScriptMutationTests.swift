// SPDX-License-Identifier: Apache-2.0
//
// ScriptMutationTests.swift
// Planted bugs that need a story of their own: with each, its script no longer reads as it should.

import Foundation
import Model
import Raft
import Testing

@Suite struct ScriptMutationTests {
    static let stories: [(mutation: Raft.Mutation, script: String)] = [
        (.commitOldTerm, "figure-8"),
        (.ignoreReportTerm, "append-late-report"),
        (.forgetFences, "append-a-b-a"),
        (.strangerVotes, "recreate-stranger"),
        (.leaderForgotten, "recreate-leader-is-vote"),
        (.sessionIgnored, "recreate-old-answers"),
        (.neverDoubts, "restart-learns-commit"),
        (.matchKept, "peer-lost-confirmed"),
        (.noJoinFloor, "join-floor-alone"),
        (.noJoinFloor, "join-floor-old-leader"),
        (.noJoinFloor, "join-floor-vote"),
    ]

    @Test(.enabled(if: Raft.Mutation.isAvailable), arguments: stories.indices) func isFound(_ place: Int) throws {
        let (mutation, name) = Self.stories[place]
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Scripts/\(name).txt")
        let source = try String(contentsOf: file, encoding: .utf8)
        let (text, violations) = Script(source).replayed(mutation: mutation)
        #expect(text != source || !violations.isEmpty, "\(mutation.rawValue) survives \(name)")
    }

    /// A follower that holds more than a snapshot says must keep it: the rest may have been confirmed.
    @Test(.enabled(if: Raft.Mutation.isAvailable), arguments: [nil, Raft.Mutation.staleSnapshot])
    func aSnapshotInsideTheLogIsNotInstalled(_ mutation: Raft.Mutation?) {
        let voters = (1...3).map { NodeID(rawValue: $0) }
        var disk = DiskImage(baseConfiguration: Raft.Configuration(voters: voters))
        disk.hardState = Raft.HardState(term: Term(1), votedFor: voters[1])
        disk.entries = (1...3).map {
            Entry(index: LogIndex($0), term: Term(1), byteCount: 1, body: .data("e"))
        }
        var settings = Raft.Settings()
        #if MUTATIONS
            settings.mutation = mutation
        #endif
        var raft = Instance(
            id: voters[0], group: GroupID(rawValue: 1024), settings: settings,
            state: disk.recovered(committed: .zero, standing: .sound), seed: 1)
        let info = Raft.SnapshotInfo(
            position: Raft.Position(index: LogIndex(2), term: Term(1)),
            configuration: disk.configurations.current.configuration)
        var directives: [Raft.Directive<String>] = []
        raft.step(Message(from: voters[1], to: voters[0], term: Term(1), body: .snapshot(info)), into: &directives)
        raft.snapshotFetched(info, into: &directives)
        #expect((raft.lastIndex == LogIndex(3)) == (mutation == nil))
        #expect((raft.committedIndex == LogIndex(2)))
    }
}
