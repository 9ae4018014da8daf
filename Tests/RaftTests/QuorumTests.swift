// SPDX-License-Identifier: Apache-2.0
//
// QuorumTests.swift
// Majority arithmetic against a naive version, for every set of up to five voters, alone and joint.

import Model
import Raft
import Testing

@Suite struct QuorumTests {
    private static let nodes = (0..<5).map { NodeID(rawValue: Int32($0)) }

    /// Every combination of three states of five nodes.
    private static let states: [[Int]] = (0..<243).map { number in
        var rest = number
        return (0..<5).map { _ in
            defer { rest /= 3 }
            return rest % 3
        }
    }

    private static func members(_ mask: Int) -> [NodeID] { nodes.filter { mask >> Int($0.rawValue) & 1 == 1 } }

    /// Whether the nodes of `agreeing` are more than half of `set`, by counting bits.
    private static func isMajority(_ agreeing: Int, of set: Int) -> Bool {
        set == 0 || 2 * (agreeing & set).nonzeroBitCount > set.nonzeroBitCount
    }

    private static func mask(_ state: [Int], where isIn: (Int) -> Bool) -> Int {
        state.indices.reduce(0) { isIn(state[$1]) ? $0 | 1 << $1 : $0 }
    }

    @Test(arguments: 1..<32) func reachedAgreesWithNaive(incoming: Int) {
        for outgoing in 0..<32 {
            let configuration = Raft.Configuration(
                voters: Self.members(incoming), outgoing: Self.members(outgoing))
            for state in Self.states {
                let expected = (0...2).last { value in
                    let agreeing = Self.mask(state) { $0 >= value }
                    return Self.isMajority(agreeing, of: incoming) && Self.isMajority(agreeing, of: outgoing)
                }
                let actual = configuration.reached { state[Int($0.rawValue)] }
                if actual != expected {
                    Issue.record("\(configuration), positions \(state): \(String(describing: actual))")
                }
            }
        }
    }

    @Test(arguments: 1..<32) func pollAgreesWithNaive(incoming: Int) {
        for outgoing in 0..<32 {
            let configuration = Raft.Configuration(
                voters: Self.members(incoming), outgoing: Self.members(outgoing))
            for state in Self.states {
                let yes = Self.mask(state) { $0 == 2 }
                let possible = Self.mask(state) { $0 >= 1 }
                let won = Self.isMajority(yes, of: incoming) && Self.isMajority(yes, of: outgoing)
                let open = Self.isMajority(possible, of: incoming) && Self.isMajority(possible, of: outgoing)
                let expected: Raft.PollResult = won ? .won : open ? .pending : .lost
                let actual = configuration.poll { [false, nil, true][state[Int($0.rawValue)]] }
                if actual != expected { Issue.record("\(configuration), answers \(state): \(actual)") }
            }
        }
    }

    @Test func nobodyDecidesWithoutVoters() {
        #expect(Raft.Configuration.empty.reached { _ in 1 } == nil)
        #expect(Raft.Configuration.empty.poll { _ in true } == .lost)
        #expect(Raft.Configuration(voters: [], learners: Self.nodes).poll { _ in true } == .lost)
    }

    @Test func learnersDoNotCount() {
        let configuration = Raft.Configuration(voters: Self.members(0b00001), learners: Self.members(0b11110))
        #expect(configuration.reached { Int($0.rawValue) } == 0)
    }
}
