// SPDX-License-Identifier: Apache-2.0
//
// NewestRecordTests.swift
// The record with the highest timestamp: the search by itself on random logs, and through ListOffsets.

import KafkaProtocol
import Model
import Testing

@testable import Broker
@testable import LogStore

@Suite struct NewestRecordTests {
    /// What a log with these timestamps answers: the first record at or after a time.
    private func first(atOrAfter time: Int64, in timestamps: [Int64]) -> TimestampMatch? {
        timestamps.firstIndex { $0 >= time }.map {
            TimestampMatch(offset: Offset(Int64($0)), timestamp: timestamps[$0], term: Term(1))
        }
    }

    private func search(_ timestamps: [Int64], bound: Int64) -> (found: TimestampMatch?, steps: Int) {
        var search = NewestRecordSearch(bound: bound)
        var steps = 0
        while let time = search.next, steps < 100 {
            search.take(first(atOrAfter: time, in: timestamps))
            steps += 1
        }
        return (search.found, steps)
    }

    @Test(arguments: 0..<200) func theFirstOfTheHighestIsFound(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let high = [10, 1000, 1_700_000_000_000, Int64.max][Int(seed % 4)]
        let count = Int.random(in: 1...30, using: &random)
        let timestamps = (0..<count).map { _ in Int64.random(in: 0...high, using: &random) }
        let newest = try #require(timestamps.max())
        for bound in [newest, newest == .max ? .max : newest + 1, high, .max] where bound >= newest {
            let (found, steps) = search(timestamps, bound: bound)
            #expect(found?.timestamp == newest)
            #expect(found?.offset.rawValue == timestamps.firstIndex(of: newest).map { Int64($0) })
            #expect(steps <= (bound == newest ? 1 : 66))
        }
    }

    @Test func withoutRecordsThereIsNone() {
        #expect(search([], bound: -1) == (nil, 0))
        #expect(search([], bound: 0).found == nil)
        #expect(search([], bound: .max) == (nil, 2))
    }

    private func list(
        _ timestamp: Int64, version: Int16, at broker: BrokerHarness
    ) async throws -> ListOffsetsResponse.Partition {
        let topics = [ListOffsetsRequest.Topic(name: "a", partitions: [.init(index: 0, timestamp: timestamp)])]
        return try await broker.call(ListOffsetsRequest(replicaID: -1, topics: topics), version: version)
            .topics[0].partitions[0]
    }

    @Test func listOffsetsKnowsThemByVersion() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("a")
            let empty = try await list(-3, version: 7, at: broker)
            #expect(empty.errorCode == .none && empty.offset == -1 && empty.timestamp == -1)
            let base = Clock.system.wallTime().milliseconds - 100_000
            for (number, delta) in [Int64(5), 90, 10, 90, 20].enumerated() {
                _ = try await broker.produce(["\(number)"], to: "a", timestamp: base + delta)
            }
            let newest = try await list(-3, version: 8, at: broker)
            #expect(newest.errorCode == .none && newest.offset == 1 && newest.timestamp == base + 90)
            let deletion = DeleteRecordsRequest(
                topics: [.init(name: "a", partitions: [.init(index: 0, offset: 4)])], timeoutMilliseconds: 1000)
            #expect(try await broker.call(deletion, version: 2).topics[0].partitions[0].errorCode == .none)
            let left = try await list(-3, version: 8, at: broker)
            #expect(left.offset == 4 && left.timestamp == base + 20, "the bound is the timestamp of deleted records")
            let local = try await list(-4, version: 8, at: broker)
            #expect(local.errorCode == .none && local.offset == 4 && local.timestamp == -1)
            for (timestamp, version) in [(Int64(-3), Int16(6)), (-4, 7), (-5, 8), (-6, 8)] {
                let refused = try await list(timestamp, version: version, at: broker)
                #expect(refused.errorCode == .unsupportedVersion && refused.offset == -1)
            }
        }
    }
}
