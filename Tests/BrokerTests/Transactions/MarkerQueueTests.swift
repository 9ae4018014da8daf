// SPDX-License-Identifier: Apache-2.0
//
// MarkerQueueTests.swift
// Every partition is told once it can be, by one request at a time for each broker, whatever brokers answer.

import KafkaProtocol
import Model
import TestSupport
import Testing

@testable import Broker

@Suite struct MarkerQueueTests {
    private static let one = NodeID(rawValue: 1)
    private static let two = NodeID(rawValue: 2)

    private static func end(producer: Int64 = 7, isCommit: Bool = true) throws -> TransactionEnd {
        var record = TransactionInstanceTests.record(isCommit ? .prepareCommit : .prepareAbort)
        record.producerID = ProducerID(rawValue: producer)
        return try #require(TransactionEnd(record))
    }

    /// Even partitions at the first broker, odd ones at the second.
    private static func place(_ partition: TopicPartition, _: GroupID) -> MarkerQueue.Place {
        .broker(partition.partition.rawValue.isMultiple(of: 2) ? one : two)
    }

    @Test func partitionsGoToTheirLeadersInOneRequestEach() throws {
        var queue = MarkerQueue(partitionsMax: 100)
        queue.add("a", try Self.end(), partitions: (0..<4).map { partition("t", $0) })
        queue.add("b", try Self.end(producer: 8, isCommit: false), partitions: [partition("t", 0)])
        #expect(queue.count == 5)
        let requests = queue.takeRequests(place: Self.place)
        #expect(requests[Self.one]?.map(\.transactionalID) == ["a", "b"])
        #expect(requests[Self.one]?.first?.partitions == [partition("t", 0), partition("t", 2)])
        #expect(requests[Self.two]?.map(\.partitions) == [[partition("t", 1), partition("t", 3)]])
        #expect(requests[Self.one]?.last?.end.isCommit == false)
        // While a request is on its way nothing more is sent there.
        queue.add("c", try Self.end(producer: 9), partitions: [partition("t", 2)])
        #expect(queue.takeRequests(place: Self.place).isEmpty && queue.takeComplete().isEmpty)
        #expect(queue.answered(Self.one) { _, _ in .none } == 0)
        #expect(queue.takeComplete() == ["b"])
        #expect(queue.takeRequests(place: Self.place)[Self.one]?.map(\.transactionalID) == ["c"])
        #expect(queue.answered(Self.two) { _, _ in .none } == 0)
        #expect(queue.takeComplete() == ["a"])
        #expect(queue.answered(Self.one) { _, _ in .none } == 0)
        #expect(queue.takeComplete() == ["c"] && queue.isEmpty && queue.count == 0)
    }

    @Test func whatWasNotToldIsSentAgain() throws {
        var queue = MarkerQueue(partitionsMax: 100)
        queue.add("a", try Self.end(), partitions: [partition("t", 0), partition("t", 2), partition("t", 4)])
        _ = queue.takeRequests(place: Self.place)
        #expect(queue.answered(Self.one, code: nil) == 3)
        #expect(queue.takeRequests(place: Self.place)[Self.one]?.first?.partitions.count == 3)
        let again = queue.answered(Self.one) { producer, partition in
            #expect(producer.rawValue == 7)
            return partition.partition.rawValue == 2 ? .none : .notLeaderOrFollower
        }
        #expect(again == 2 && queue.takeComplete().isEmpty)
        // Meanwhile one has another leader, and one was deleted.
        let requests = queue.takeRequests { one, _ in one.partition.rawValue == 0 ? .broker(Self.two) : .gone }
        #expect(requests[Self.two]?.first?.partitions == [partition("t", 0)] && requests.count == 1)
        #expect(queue.count == 1)
        // A partition with a later epoch has ended this transaction.
        #expect(queue.answered(Self.two) { _, _ in .invalidProducerEpoch } == 0)
        #expect(queue.takeComplete() == ["a"])
    }

    @Test func transactionsWithoutPartitionsAreCompleteAndUnknownLeadersWait() throws {
        var queue = MarkerQueue(partitionsMax: 100)
        queue.add("a", try Self.end(), partitions: [])
        queue.add("b", try Self.end(), partitions: [partition("t", 0)])
        #expect(queue.takeRequests { _, _ in .unknown }.isEmpty)
        #expect(queue.takeComplete() == ["a"] && queue.contains("b"))
        queue.removeAll()
        #expect(queue.isEmpty && queue.count == 0)
    }

    /// Each transaction says what metadata has to know, so that a partition is not taken for deleted before it is known.
    @Test func whoIsAskedForAPartitionIsToldWhatKnewIt() throws {
        var queue = MarkerQueue(partitionsMax: 100)
        queue.add("a", try Self.end(), partitions: [partition("t", 0)], groupsEnd: GroupID(rawValue: 1_030))
        queue.add("b", try Self.end(producer: 8), partitions: [partition("t", 0)], groupsEnd: GroupID(rawValue: 1_040))
        var known = GroupID(rawValue: 1_029)
        func take() -> [String] {
            let requests = queue.takeRequests { _, groupsEnd in known < groupsEnd ? .unknown : .gone }
            #expect(requests.isEmpty)
            return queue.takeComplete()
        }
        #expect(take().isEmpty)
        known = GroupID(rawValue: 1_030)
        #expect(take() == ["a"])
        #expect(take().isEmpty && queue.count == 1)
        known = GroupID(rawValue: 1_041)
        #expect(take() == ["b"])
    }

    @Test func aRequestHasALimit() throws {
        var queue = MarkerQueue(partitionsMax: 3)
        queue.add("a", try Self.end(), partitions: (0..<8).map { partition("t", 2 * $0) })
        var told: Set<TopicPartition> = []
        for expected in [3, 3, 2] {
            let request = try #require(queue.takeRequests(place: Self.place)[Self.one])
            let partitions = request.flatMap(\.partitions)
            #expect(partitions.count == expected && told.isDisjoint(with: partitions))
            told.formUnion(partitions)
            #expect(queue.answered(Self.one) { _, _ in .none } == 0)
        }
        #expect(queue.takeComplete() == ["a"])
    }

    /// Leaders move, answers are lost and repeated: in the end every partition was told of every transaction.
    @Test(arguments: UInt64(1)...20)
    func everybodyIsToldWhateverHappens(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var queue = MarkerQueue(partitionsMax: 5)
        var owed: Set<String> = []
        var completed: Set<String> = []
        var underWay: [NodeID: [MarkerBatch]] = [:]
        for step in 0..<2_000 {
            if step < 300, Bool.random(using: &random) {
                let id = "t\(step)"
                let partitions = (0..<Int32.random(in: 0...6, using: &random)).map { partition("p", $0) }
                queue.add(id, try Self.end(producer: Int64(step)), partitions: partitions)
                for one in partitions { owed.insert("\(id) \(one)") }
            }
            let calm = step > 1_000
            let seed = UInt64.random(in: 0 ... .max, using: &random)
            let requests = queue.takeRequests { partition, _ in
                let draw = (seed >> UInt64(partition.partition.rawValue)) & 3
                return draw == 0 && !calm ? .unknown : .broker(draw & 1 == 0 ? Self.one : Self.two)
            }
            for (node, batches) in requests {
                #expect(underWay[node] == nil)
                underWay[node] = batches
            }
            for node in underWay.keys.sorted() where Bool.random(using: &random) {
                let batches = underWay.removeValue(forKey: node) ?? []
                guard calm || Int.random(in: 0..<4, using: &random) > 0 else {
                    _ = queue.answered(node, code: nil)
                    continue
                }
                let refuse = !calm && Bool.random(using: &random)
                if !refuse {
                    for batch in batches {
                        for one in batch.partitions { owed.remove("\(batch.transactionalID) \(one)") }
                    }
                }
                _ = queue.answered(node) { _, _ in refuse ? .notLeaderOrFollower : .none }
            }
            for id in queue.takeComplete() {
                #expect(completed.insert(id).inserted)
                #expect(!owed.contains { $0.hasPrefix(id + " ") })
            }
        }
        #expect(owed.isEmpty && queue.isEmpty && queue.count == 0)
    }
}
