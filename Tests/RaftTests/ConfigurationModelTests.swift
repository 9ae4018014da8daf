// SPDX-License-Identifier: Apache-2.0
//
// ConfigurationModelTests.swift
// Every change of members among five nodes: what the core proposes, and that the quorums of configurations that can be
// in effect at the same time always meet. Checked by counting bits, not by the code under test.

import Model
import Testing

@testable import Raft

/// A configuration as bits.
private struct BitConfiguration: Hashable {
    var voters: Int
    var outgoing = 0

    /// Whether these nodes are a quorum.
    func isQuorum(_ nodes: Int) -> Bool {
        func isMajority(_ set: Int) -> Bool { 2 * (nodes & set).nonzeroBitCount > set.nonzeroBitCount }
        return isMajority(voters) && (outgoing == 0 || isMajority(outgoing))
    }

    /// Whether every quorum of this one meets every quorum of the other one.
    func meets(_ other: BitConfiguration) -> Bool {
        let mine = (0..<32).filter(isQuorum)
        return (0..<32).filter(other.isQuorum).allSatisfy { theirs in mine.allSatisfy { $0 & theirs != 0 } }
    }
}

@Suite struct ConfigurationModelTests {
    private static func nodes(_ mask: Int) -> [NodeID] {
        (0..<5).filter { mask >> $0 & 1 == 1 }.map { NodeID(rawValue: Int32($0 + 1)) }
    }

    private static func bits(_ configuration: Raft.Configuration) -> BitConfiguration {
        func mask(_ nodes: [NodeID]) -> Int { nodes.reduce(0) { $0 | 1 << Int($1.rawValue - 1) } }
        return BitConfiguration(voters: mask(configuration.voters), outgoing: mask(configuration.outgoing))
    }

    /// A leader of these voters with everybody else as a learner that has caught up.
    private static func leader(voters: Int) -> TestCluster {
        let cluster = TestCluster()
        cluster.isTracing = false
        let configuration = Raft.Configuration(voters: nodes(voters), learners: nodes(31 & ~voters))
        for node in configuration.members { cluster.add(node, configuration: configuration) }
        cluster.run(configuration.voters[0]) { $0.campaign(into: &$1) }
        cluster.stabilize()
        return cluster
    }

    @Test(arguments: 1..<32) func everyChangeGoesThroughConfigurationsWhoseQuorumsMeet(old: Int) throws {
        for new in 1..<32 where new != old {
            let cluster = Self.leader(voters: old)
            let id = Self.nodes(old)[0]
            var seen: [BitConfiguration] = [BitConfiguration(voters: old)]
            cluster.run(id) { raft, directives in
                do {
                    _ = try raft.changeMembership(
                        voters: Self.nodes(new), learners: Self.nodes(31 & ~new), into: &directives)
                } catch {
                    Issue.record("\(Self.nodes(old)) to \(Self.nodes(new)): \(error)")
                }
                seen.append(Self.bits(raft.configuration))
            }
            #expect(seen[1] == BitConfiguration(voters: new, outgoing: old))
            cluster.stabilize()
            let final = cluster.nodes.compactMap { $0.raft }.max { $0.lastIndex < $1.lastIndex }
            seen.append(Self.bits(try #require(final).configuration))
            #expect(seen[2] == BitConfiguration(voters: new))
            for (before, after) in zip(seen, seen.dropFirst()) where !before.meets(after) || !before.meets(before) {
                Issue.record("quorums of \(before) and \(after) can miss each other")
            }
            #expect(cluster.invariants.violations == [])
        }
    }

    @Test(arguments: 1..<32) func everyChangeCanBeTakenBack(old: Int) throws {
        for new in 1..<32 where new != old {
            let cluster = Self.leader(voters: old)
            let id = Self.nodes(old)[0]
            cluster.run(id) { raft, directives in
                do {
                    _ = try raft.changeMembership(
                        voters: Self.nodes(new), learners: Self.nodes(31 & ~new), into: &directives)
                    _ = try raft.cancelMembershipChange(into: &directives)
                } catch {
                    Issue.record("\(Self.nodes(old)) to \(Self.nodes(new)): \(error)")
                }
            }
            cluster.stabilize()
            let raft = try #require(cluster.node(id).raft)
            #expect(
                Self.bits(raft.configuration) == BitConfiguration(voters: old) && raft.committedIndex == raft.lastIndex)
            // Both configurations that were in effect together need a majority of the old voters.
            #expect(BitConfiguration(voters: new, outgoing: old).meets(BitConfiguration(voters: old)))
            #expect(cluster.invariants.violations == [])
        }
    }
}
