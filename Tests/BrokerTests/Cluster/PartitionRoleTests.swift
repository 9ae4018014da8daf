// SPDX-License-Identifier: Apache-2.0
//
// PartitionRoleTests.swift
// A partition that leads, follows, loses leadership and gets it: offsets, producers, waiters and fences.

import KafkaProtocol
import LogStore
import Model
import NIOCore
import PeerTestSupport
import Records
import Replication
import Testing

@testable import Broker

@Suite struct PartitionRoleTests {
    private func withCluster(
        _ configuration: [String: String] = [:], _ body: (PartitionCluster) async throws -> Void
    ) async throws {
        let cluster = try await PartitionCluster.start(configuration: configuration)
        try await body(cluster)
        try await cluster.stop()
    }

    private static func producer(_ sequence: Int32) -> ProducerFields {
        ProducerFields(id: ProducerID(rawValue: 7), epoch: 0, baseSequence: sequence)
    }

    @Test func followersHoldWhatTheLeaderHas() async throws {
        try await withCluster { cluster in
            let leader = try await cluster.leader()
            for sequence in Int32(0)..<20 {
                let outcome = try await cluster.produce(
                    ["\(sequence)"], at: leader, producer: Self.producer(sequence), acks: sequence % 2 == 0 ? -1 : 1)
                #expect(outcome.error == .none && outcome.baseOffset == Int64(sequence))
            }
            try await cluster.settle()
            for node in cluster.members {
                #expect(try await cluster.values(at: node) == (0..<20).map { "\($0)" })
            }
            // All brokers' tables name the leader, from what their own replicas know.
            for node in cluster.members {
                let known = try await cluster.on(node) { $0.shard.leaders[PartitionCluster.group] }
                #expect(known?.leader == leader)
            }
        }
    }

    @Test func onlyTheLeaderTakesRecords() async throws {
        try await withCluster { cluster in
            let leader = try await cluster.leader()
            for node in cluster.others(than: leader) {
                #expect(try await cluster.produce(["x"], at: node).error == .notLeaderOrFollower)
                #expect(try await cluster.fetch(from: 0, at: node).error == .notLeaderOrFollower)
            }
        }
    }

    /// A batch whose answer was lost with its leader is known to the next one.
    @Test func idempotenceSurvivesALostLeader() async throws {
        try await withCluster { cluster in
            let first = try await cluster.leader()
            for sequence in Int32(0)..<8 {
                _ = try await cluster.produce(["\(sequence)"], at: first, producer: Self.producer(sequence))
            }
            cluster.network.isolate(first)
            let second = try await cluster.leader(among: cluster.others(than: first))
            let again = try await cluster.produce(["7"], at: second, producer: Self.producer(7))
            #expect(again.error == .none && again.baseOffset == 7)
            let gap = try await cluster.produce(["?"], at: second, producer: Self.producer(9))
            #expect(gap.error == .notLeaderOrFollower, "the former leader may have refused what is missing")
            let next = try await cluster.produce(["8"], at: second, producer: Self.producer(8))
            #expect(next.error == .none && next.baseOffset == 8)
            let mistake = try await cluster.produce(["?"], at: second, producer: Self.producer(10))
            #expect(mistake.error == .outOfOrderSequenceNumber)
            cluster.network.heal()
            try await cluster.settle()
            #expect(try await cluster.values(at: first) == (0..<9).map { "\($0)" })
        }
    }

    /// Entries that are stored packed are unpacked on another thread, while the log goes on.
    @Test func producersFollowPackedEntries() async throws {
        try await withCluster { cluster in
            let first = try await cluster.leader()
            let long = String(repeating: "packed ", count: 6_000)
            for sequence in Int32(0)..<30 {
                let value = sequence % 3 == 0 ? "\(sequence)" : "\(sequence) \(long)"
                let outcome = try await cluster.produce([value], at: first, producer: Self.producer(sequence))
                #expect(outcome.error == .none && outcome.baseOffset == Int64(sequence))
            }
            let other = cluster.others(than: first)[0]
            let packed = try await cluster.on(other) { node in
                let log = node.partition.log
                let entries = log.sealedEntries(from: log.firstIndex, through: log.sealedIndex) ?? []
                return entries.count { $0.codec == .zstd }
            }
            #expect(packed > 0, "nothing was packed")
            try await cluster.settle()
            cluster.network.isolate(first)
            let second = try await cluster.leader(among: cluster.others(than: first))
            let again = try await cluster.produce(["29"], at: second, producer: Self.producer(29))
            #expect(again.error == .none && again.baseOffset == 29)
            #expect(try await cluster.produce(["30"], at: second, producer: Self.producer(30)).baseOffset == 30)
            cluster.network.heal()
            try await cluster.settle()
        }
    }

    /// What an isolated leader took and nobody else has is cut, and its offsets and sequences are free again.
    @Test func whatWasNotCommittedIsTakenBack() async throws {
        try await withCluster { cluster in
            let first = try await cluster.leader()
            _ = try await cluster.produce(["0"], at: first, producer: Self.producer(0))
            try await cluster.settle()
            cluster.network.isolate(first)
            // More batches than a producer's entry remembers, so that cutting them needs a rebuild.
            let lost = try await cluster.produceTogether((Int32(1)..<9).map(Self.producer(_:)), at: first)
            #expect(lost.allSatisfy { $0.error == .notLeaderOrFollower })
            #expect(try await cluster.on(first) { $0.partition.endOffset } == Offset(9))
            let second = try await cluster.leader(among: cluster.others(than: first))
            let kept = try await cluster.produce(["1"], at: second, producer: Self.producer(1))
            #expect(kept.error == .none && kept.baseOffset == 1)
            cluster.network.heal()
            try await cluster.settle()
            for node in cluster.members { #expect(try await cluster.values(at: node) == ["0", "1"]) }
            // The old leader may lead again, and knows what it should.
            cluster.network.isolate(second)
            let third = try await cluster.leader(among: cluster.others(than: second))
            #expect(try await cluster.produce(["1"], at: third, producer: Self.producer(1)).baseOffset == 1)
            #expect(try await cluster.produce(["2"], at: third, producer: Self.producer(2)).baseOffset == 2)
        }
    }

    @Test func aDeposedLeaderAnswersWhoWaits() async throws {
        try await withCluster { cluster in
            let leader = try await cluster.leader()
            cluster.network.isolate(leader)
            let outcome = try await cluster.produce(["x"], at: leader)
            #expect(outcome.error == .notLeaderOrFollower)
            #expect(try await cluster.produce(["x"], at: leader).error == .notLeaderOrFollower)
            let last = try await cluster.on(leader) { $0.board.table[PartitionCluster.group] }
            #expect(last?.leader == nil && last?.revision == .max, "its last word is that it does not lead")
        }
    }

    /// Clients have several batches on their way: behind a refused one, the others are no gap in their sequences.
    @Test func whatIsOnItsWayWhileALeaderHandsOverIsRefusedAlike() async throws {
        try await withCluster { cluster in
            let leader = try await cluster.leader()
            _ = try await cluster.produce(["0"], at: leader, producer: Self.producer(0))
            try await cluster.until("all in sync") { nodes in
                nodes[leader]?.partition.refreshInSync()
                return nodes[leader]?.partition.inSync.count == 3
            }
            // It cannot take over, so the former leader goes on in the end.
            let target = cluster.others(than: leader)[0]
            cluster.network.isolate(target)
            let answers = try await cluster.produceWhileHandingOver(
                [1, 2, 3].map(Self.producer), from: leader, to: target)
            #expect(answers == [.notLeaderOrFollower, .notLeaderOrFollower, .notLeaderOrFollower])
            cluster.network.heal()
            try await cluster.until("leads and takes records") { nodes in
                nodes.values.contains {
                    $0.partition.produceRefusal == nil && $0.partition.replica.transferTarget == nil
                }
            }
            let next = try await cluster.leader()
            let early = try await cluster.produce(["2"], at: next, producer: Self.producer(2))
            #expect(early.error != .none)
            #expect(try await cluster.produce(["1"], at: next, producer: Self.producer(1)).baseOffset == 1)
            try await cluster.settle()
        }
    }

    @Test func tooFewReplicasInSyncAreRefusedBeforeAnythingIsAppended() async throws {
        try await withCluster(["min.insync.replicas": "3"]) { cluster in
            let leader = try await cluster.leader()
            try await cluster.until("all in sync") { nodes in
                nodes[leader]?.partition.refreshInSync()
                return nodes[leader]?.partition.inSync.count == 3
            }
            #expect(try await cluster.produce(["0"], at: leader).error == .none)
            let gone = cluster.others(than: leader)[0]
            cluster.network.isolate(gone)
            try await cluster.until("one is out of sync") { nodes in
                nodes[leader]?.partition.refreshInSync()
                return nodes[leader]?.partition.inSync.count == 2
            }
            let end = try await cluster.on(leader) { $0.partition.endOffset }
            #expect(try await cluster.produce(["1"], at: leader).error == .notEnoughReplicas)
            #expect(try await cluster.on(leader) { $0.partition.endOffset } == end)
            #expect(try await cluster.produce(["1"], at: leader, acks: 1).error == .none)
            let known = try await cluster.on(leader) { $0.board.table[PartitionCluster.group] }
            #expect(known?.inSync.count == 2 && known?.inSync.contains(gone) == false)
        }
    }

    @Test func epochsFenceClientsOfAnOldLeader() async throws {
        try await withCluster { cluster in
            let first = try await cluster.leader()
            _ = try await cluster.produce(["0", "1"], at: first)
            let old = try await cluster.on(first) { $0.partition.handle.leaderEpoch }
            cluster.network.isolate(first)
            let second = try await cluster.leader(among: cluster.others(than: first))
            _ = try await cluster.produce(["2"], at: second)
            let new = try await cluster.on(second) { $0.partition.handle.leaderEpoch }
            #expect(new > old)
            #expect(try await cluster.fetch(from: 0, at: second, epoch: old).error == .fencedLeaderEpoch)
            #expect(try await cluster.fetch(from: 0, at: second, epoch: new + 1).error == .unknownLeaderEpoch)
            #expect(try await cluster.fetch(from: 0, at: second, epoch: new).error == .none)
            let ends = try await cluster.on(second) { node in
                [old, new].map { node.partition.epochEnd($0).offset }
            }
            #expect(ends == [2, 3], "where each epoch ends")
        }
    }

    /// KIP-392: only clients that name a rack, only committed records, and the leader says where to go.
    @Test func clientsOfARackReadFromTheFollowerInIt() async throws {
        try await withCluster { cluster in
            let leader = try await cluster.leader()
            _ = try await cluster.produce(["0", "1"], at: leader)
            try await cluster.settle()
            try await cluster.until("all in sync") { nodes in
                nodes[leader]?.partition.refreshInSync()
                return nodes[leader]?.partition.inSync.count == 3
            }
            let follower = cluster.others(than: leader)[1]
            let sent = try await cluster.fetch(from: 0, at: leader, rack: [follower])
            #expect(sent.error == .none && sent.preferredReplica == follower && sent.records.isEmpty)
            #expect(try await cluster.fetch(from: 0, at: leader, rack: [leader, follower]).preferredReplica == nil)
            #expect(try await cluster.fetch(from: 0, at: leader, rack: []).preferredReplica == nil)
            #expect(try await cluster.values(at: follower) == ["0", "1"])
            let ahead = try await cluster.fetch(from: 5, at: follower, rack: [follower])
            #expect(ahead.error == .offsetNotAvailable)
            // Out of contact with a leader it serves nobody.
            cluster.network.isolate(follower)
            try await cluster.until("a follower without a leader") { nodes in
                nodes[follower]?.partition.isReadable == false
            }
            let lonely = try await cluster.fetch(from: 0, at: follower, rack: [follower])
            #expect(lonely.error == .notLeaderOrFollower)
        }
    }

    /// A deletion is an entry of the log, so a new leader begins where the old one did.
    @Test func recordsAreDeletedOnAllReplicas() async throws {
        try await withCluster { cluster in
            let leader = try await cluster.leader()
            for value in 0..<10 { _ = try await cluster.produce(["\(value)"], at: leader) }
            let (error, start) = await cluster.deleteRecords(before: 4, at: leader)
            #expect(error == .none && start == 4)
            #expect(await cluster.deleteRecords(before: 40, at: leader).0 == .offsetOutOfRange)
            let elsewhere = await cluster.deleteRecords(before: 1, at: cluster.others(than: leader)[0])
            #expect(elsewhere.0 == .notLeaderOrFollower)
            try await cluster.until("all have deleted") { nodes in
                nodes.values.allSatisfy { $0.partition.log.logStartOffset == Offset(4) }
            }
            let next = try await cluster.produce(["10"], at: leader)
            #expect(next.baseOffset == 10, "the entry took no offset")
            try await cluster.settle()
            for node in cluster.members {
                let answer = try await cluster.fetch(from: 3, at: node, rack: [node])
                #expect(answer.error == .offsetOutOfRange && answer.logStartOffset == 4)
            }
        }
    }

    @Test func aLeaderHandsOverWhenItStops() async throws {
        try await withCluster { cluster in
            let leader = try await cluster.leader()
            _ = try await cluster.produce(["0"], at: leader, producer: Self.producer(0))
            try await cluster.until("all in sync") { nodes in
                nodes[leader]?.partition.refreshInSync()
                return nodes[leader]?.partition.inSync.count == 3
            }
            let term = try await cluster.on(leader) { $0.partition.handle.leaderEpoch }
            let known = await withCheckedContinuation { (done: CheckedContinuation<NodeID?, Never>) in
                Task {
                    try await cluster.on(leader) { node in
                        node.shard.handOver { given in
                            #expect(given == [PartitionCluster.group])
                            node.board.whenOthersLead(Set(given)) {
                                done.resume(returning: node.board.table[PartitionCluster.group]?.leader)
                            }
                        }
                    }
                }
            }
            #expect(known.map { $0 != leader } == true, "it waits until it knows who leads now")
            let next = try await cluster.leader(among: cluster.others(than: leader))
            #expect(try await cluster.on(next) { $0.partition.handle.leaderEpoch } == term + 1, "by one election")
            #expect(try await cluster.produce(["0"], at: next, producer: Self.producer(0)).baseOffset == 0)
            try await cluster.settle()
        }
    }
}
