// SPDX-License-Identifier: Apache-2.0
//
// ConfigurationTests.swift
// The lists of a configuration, its bytes, and the history along the log.

import Model
import Raft
import Testing

private func nodes(_ ids: Int32...) -> [NodeID] { ids.map(NodeID.init(rawValue:)) }

@Suite struct ConfigurationTests {
    static let samples: [Raft.Configuration] = [
        .empty,
        Raft.Configuration(voters: nodes(1)),
        Raft.Configuration(voters: nodes(1, 2, 3), learners: nodes(4)),
        Raft.Configuration(voters: nodes(3, 4, 5), outgoing: nodes(1, 2, 3), learners: nodes(1, 2)),
        Raft.Configuration(voters: nodes(0, Int32.max)),
    ]

    @Test func listsAreSortedAndUnique() {
        let configuration = Raft.Configuration(voters: nodes(3, 1, 3, 2), outgoing: nodes(2, 1), learners: nodes(9, 7))
        #expect(configuration.voters == nodes(1, 2, 3))
        #expect(configuration.learners == nodes(7, 9))
        #expect(configuration.members == nodes(1, 2, 3, 7, 9))
        #expect(configuration.description == "voters 1 2 3, outgoing 1 2, learners 7 9")
    }

    @Test func leavingVoterMayBecomeLearner() {
        let configuration = Raft.Configuration(voters: nodes(2), outgoing: nodes(1, 2), learners: nodes(1))
        #expect(configuration.isVoter(NodeID(rawValue: 1)))
        #expect(configuration.isJoint)
    }

    @Test func goldenBytes() {
        let configuration = Raft.Configuration(voters: nodes(1, 258), learners: nodes(3))
        #expect(configuration.encoded == [1, 0, 2, 0, 0, 0, 1, 0, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 3])
    }

    @Test(arguments: samples) func encodingIsReadBack(_ configuration: Raft.Configuration) {
        let bytes = configuration.encoded
        #expect(Raft.Configuration(decoding: bytes) == configuration)
        for count in 0..<bytes.count { #expect(Raft.Configuration(decoding: bytes.prefix(count)) == nil) }
        #expect(Raft.Configuration(decoding: bytes + [0]) == nil)
        #expect(Raft.Configuration(decoding: [2] + bytes.dropFirst()) == nil)
    }

    @Test func brokenInvariantsAreNotDecoded() {
        // Descending, repeated, and a voter that is a learner.
        #expect(Raft.Configuration(decoding: [1, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0]) == nil)
        #expect(Raft.Configuration(decoding: [1, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0]) == nil)
        #expect(Raft.Configuration(decoding: [1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]) == nil)
        #expect(Raft.Configuration(decoding: [1, 0xFF, 0xFF]) == nil)
    }

    @Test func anyBytesAreSafe() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<24, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...3, using: &random) }
            if !bytes.isEmpty { bytes[0] = 1 }
            if let configuration = Raft.Configuration(decoding: bytes) { #expect(configuration.encoded == bytes) }
        }
    }

    @Test func historyFollowsTheLog() {
        var history = Raft.ConfigurationHistory(initial: Self.samples[1])
        history.append(Self.samples[2], at: LogIndex(5))
        history.append(Self.samples[3], at: LogIndex(8))
        #expect(history.current.index == LogIndex(8))
        #expect(history.element(at: LogIndex(7)).configuration == Self.samples[2])
        #expect(history.element(at: LogIndex(4)).configuration == Self.samples[1])
        #expect(history.element(at: LogIndex(99)).configuration == Self.samples[3])
    }
}
