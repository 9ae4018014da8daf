// SPDX-License-Identifier: Apache-2.0
//
// RandomTests.swift
// Small clusters under random loss, duplication, reordering, crashes and membership changes; a seed replays a run.

import Foundation
import Model
import Raft
import Testing

@Suite struct RandomTests {
    /// `SEED=n` runs that seed alone, `SEEDS=n` that many; `TRACE=1` prints every step.
    static let seeds: [UInt64] = {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["SEED"].flatMap(UInt64.init) { return [seed] }
        return Array(1...(environment["SEEDS"].flatMap(UInt64.init) ?? 30))
    }()

    /// Events of each run; `STEPS=n` asks for more.
    static let steps = ProcessInfo.processInfo.environment["STEPS"].flatMap(Int.init) ?? 3_000

    @Test(arguments: seeds) func run(seed: UInt64) {
        let world = RandomWorld(seed: seed)
        world.cluster.isEchoing = ProcessInfo.processInfo.environment["TRACE"] != nil
        world.run(steps: RandomTests.steps)
        #expect(world.cluster.invariants.violations == [], "seed \(seed)")
        world.settle()
        #expect(world.cluster.invariants.violations == [], "seed \(seed), after the faults")
        #expect(world.problemAtRest == nil, "seed \(seed)")
    }

    @Test func sameSeedSameRun() {
        let runs = (0..<2).map { _ in
            let world = RandomWorld(seed: 7)
            world.cluster.isTracing = true
            world.run(steps: 1_000)
            return world.cluster.output
        }
        #expect(runs[0] == runs[1])
        #expect(runs[0].count > 100)
    }
}

/// Draws events and lets them happen.
final class RandomWorld {
    let cluster = TestCluster()
    private var random: SeededRandom
    private var proposals = 0
    private let founders: Int

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        cluster.seed = seed
        cluster.isTracing = false
        cluster.answersRequests = false
        cluster.settings.electionTicks = 5
        cluster.settings.heartbeatTicks = 1
        cluster.settings.messageBytesMax = 5
        cluster.settings.windowMessagesMax = 4
        cluster.settings.windowBytesMax = 16
        cluster.settings.uncommittedBytesMax = 64
        founders = Int.random(in: 3...5, using: &random)
        let configuration = Raft.Configuration(voters: (1...Int32(founders)).map(NodeID.init(rawValue:)))
        for node in configuration.voters { cluster.add(node, configuration: configuration) }
        // A replica that may be added later.
        cluster.add(NodeID(rawValue: 9), configuration: .empty)
    }

    func run(steps: Int) {
        for step in 0..<steps {
            act()
            if step % 50 == 0 { for node in cluster.nodes { cluster.invariants.checkLog(node) } }
            if !cluster.invariants.violations.isEmpty { return }
        }
    }

    private func act() {
        let node = cluster.nodes[Int.random(in: 0..<cluster.nodes.count, using: &random)]
        let id = node.id
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<40: for _ in 0..<Int.random(in: 1...10, using: &random) { deliver() }
        case 40..<62:
            let style = Int.random(in: 0..<6, using: &random)
            let count = Int.random(in: 1...4, using: &random)
            cluster.persist(id, count: count, isCoalesced: style < 3, isLate: style == 0)
        case 62..<80: cluster.run(id) { $0.tick(into: &$1) }
        case 80..<89: propose()
        case 89..<92: cluster.answerRequests(of: node)
        case 92..<93: cluster.fetch(id)
        case 93..<94: crashOrStart(node)
        case 94..<95: isolate(id)
        case 95..<97: change()
        case 97..<98: compact(node)
        case 98..<99: read()
        default: transfer()
        }
    }

    private func deliver() {
        guard !cluster.network.isEmpty else { return }
        if cluster.network.count > 200 { cluster.network.removeFirst(100) }
        // Mostly in order, sometimes not.
        let reach = Int.random(in: 0..<8, using: &random) == 0 ? cluster.network.count : 1
        let index = Int.random(in: 0..<reach, using: &random)
        switch Int.random(in: 0..<40, using: &random) {
        case 0: cluster.network.remove(at: index)
        case 1: cluster.network.append(cluster.network[index])
        default: break
        }
        if index < cluster.network.count { cluster.deliver(at: index) }
    }

    private func leaders() -> [TestNode] { cluster.nodes.filter { $0.raft?.isLeader == true } }

    private func onLeader(_ event: (inout Instance, inout [Raft.Directive<String>]) throws(Raft.Refusal) -> Void) {
        for node in leaders() {
            cluster.run(node.id) { raft, directives in
                // Refusals are part of the game.
                do throws(Raft.Refusal) { try event(&raft, &directives) } catch {}
            }
        }
    }

    private func propose() {
        proposals += 1
        let text = "p\(proposals)"
        onLeader { raft, directives throws(Raft.Refusal) in
            _ = try raft.propose(text, byteCount: 2, into: &directives)
        }
    }

    private func read() {
        onLeader { raft, directives throws(Raft.Refusal) in
            try raft.requestRead(Raft.ReadID(rawValue: 1), into: &directives)
        }
    }

    private func transfer() {
        let target = NodeID(rawValue: Int32.random(in: 1...Int32(founders), using: &random))
        onLeader { raft, directives throws(Raft.Refusal) in
            try raft.transferLeadership(to: target, into: &directives)
        }
    }

    /// Moves one or two replicas between voter, learner and neither; sometimes takes a change back.
    private func change() {
        let all = (1...Int32(founders)).map(NodeID.init(rawValue:)) + [NodeID(rawValue: 9)]
        let cancels = Int.random(in: 0..<4, using: &random) == 0
        let moved = (0..<Int.random(in: 1...2, using: &random)).map { _ in
            (node: all[Int.random(in: 0..<all.count, using: &random)], place: Int.random(in: 0..<4, using: &random))
        }
        onLeader { raft, directives throws(Raft.Refusal) in
            if cancels {
                _ = try raft.cancelMembershipChange(into: &directives)
                return
            }
            var voters = raft.configuration.voters
            var learners = raft.configuration.learners
            for (node, place) in moved {
                voters.removeAll { $0 == node }
                learners.removeAll { $0 == node }
                switch place {
                case 0: break
                case 1: learners.append(node)
                default: voters.append(node)
                }
            }
            _ = try raft.changeMembership(voters: voters, learners: learners, into: &directives)
        }
    }

    private func crashOrStart(_ node: TestNode) {
        // Usually at most one is down, so that something happens.
        let down = cluster.nodes.first { $0.raft == nil }
        let node = down == nil || Int.random(in: 0..<8, using: &random) == 0 ? node : down ?? node
        if node.raft == nil {
            cluster.start(node.id, committed: Bool.random(using: &random) ? node.committed : .zero)
        } else {
            cluster.crash(node.id, keep: Int.random(in: 0...node.pending.count, using: &random))
        }
    }

    private func isolate(_ id: NodeID) {
        if cluster.isolated.isEmpty && Bool.random(using: &random) {
            cluster.isolated = [id]
        } else {
            cluster.isolated = []
        }
    }

    private func compact(_ node: TestNode) {
        guard let raft = node.raft, node.fetch == nil, node.pending.isEmpty else { return }
        let limit = min(raft.committedIndex, raft.flushedIndex)
        guard limit > raft.firstIndex else { return }
        cluster.compact(node.id, through: limit)
    }

    // MARK: - After the faults

    /// Repairs everything and lets time pass.
    func settle() {
        cluster.isolated = []
        cluster.answersRequests = true
        for node in cluster.nodes where node.raft == nil { cluster.start(node.id) }
        for _ in 0..<60 {
            for node in cluster.nodes { cluster.run(node.id) { $0.tick(into: &$1) } }
            cluster.stabilize()
        }
        propose()
        cluster.stabilize()
        for node in cluster.nodes { cluster.invariants.checkLog(node) }
    }

    /// What is not as it must be when all faults have stopped (L1, L2, A8); nil when all is well.
    var problemAtRest: String? {
        guard leaders().count == 1, let leader = leaders().first?.raft else {
            return
                "leaders: \(leaders().map(\.id)) of \(cluster.nodes.map { $0.raft?.configuration.description ?? "-" })"
        }
        if leader.configuration.isJoint { return "still joint: \(leader.configuration)" }
        if leader.committedIndex != leader.lastIndex { return "commit \(leader.committedIndex) of \(leader.lastIndex)" }
        if leader.uncommittedBytes != 0 { return "\(leader.uncommittedBytes) uncommitted bytes at rest" }
        for peer in leader.peerStatus {
            if peer.match != leader.lastIndex { return "node \(peer.id) is at \(peer.match) of \(leader.lastIndex)" }
            if peer.inflightMessages != 0 || peer.inflightBytes != 0 { return "in flight to \(peer.id) at rest" }
        }
        return nil
    }
}
