// SPDX-License-Identifier: Apache-2.0
//
// FetchSessionTableTests.swift
// Every kind of fetch that names a session (KIP-227), who has to make room for whom, and the table against a plain model.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct FetchSessionTableTests {
    private static func instant(_ seconds: Int64) -> Instant { Instant(nanoseconds: UInt64(seconds) * 1_000_000_000) }

    private static func partition(_ index: Int32, at offset: Int64 = 0) -> FetchRequest.Partition {
        FetchRequest.Partition(index: index, fetchOffset: offset, partitionMaxBytes: 1000)
    }

    private static func request(
        session: Int32 = 0, epoch: Int32, _ partitions: [Int32] = [], at offset: Int64 = 0, forgetting: [Int32] = []
    ) -> FetchRequest {
        FetchRequest(
            maxWaitMilliseconds: 0, minBytes: 0, isolationLevel: 0, sessionID: session, sessionEpoch: epoch,
            topics: partitions.isEmpty
                ? [] : [.init(name: "t", partitions: partitions.map { partition($0, at: offset) })],
            forgottenTopics: forgetting.isEmpty ? [] : [.init(name: "t", partitionIndexes: forgetting)])
    }

    private static func result(end: Int64 = 0, bytes: Int = 0, error: KafkaErrorCode = .none) -> FetchResult {
        FetchResult(error: error, highWatermark: end, logStartOffset: 0, byteCount: bytes)
    }

    private static func table(sessions: Int = 10, perSession: Int = 100, partitions: Int = 1000) -> FetchSessionTable {
        FetchSessionTable(
            limits: .init(sessionsMax: sessions, partitionsPerSessionMax: perSession, partitionsMax: partitions),
            seed: 1)
    }

    /// A session of these partitions, all told of an end of 0.
    private static func session(
        in table: inout FetchSessionTable, _ partitions: [Int32], at seconds: Int64 = 0
    ) -> Int32 {
        let asked = request(epoch: 0, partitions)
        return table.create(
            for: asked.topics, usesTopicIDs: false, partitions.map { _ in result() }, now: instant(seconds))
    }

    /// What an admission came to, in words.
    private static func text(_ admission: FetchSessionTable.Admission) -> String {
        switch admission {
        case .sessionless: "sessionless"
        case .full: "full"
        case .refused(let code): code.name
        case .incremental(let entries): "\(entries.map(\.request.index))"
        }
    }

    // MARK: Admission

    /// Session (0 none, 1 the one there is, 2 another), epoch, topic ids; what comes of it; whether the session is left.
    static let requests: [(session: Int, epoch: Int32, usesTopicIDs: Bool, outcome: String, isLeft: Bool)] = [
        (0, -1, false, "sessionless", true), (0, 0, false, "full", true),
        (0, 1, false, "FETCH_SESSION_ID_NOT_FOUND", true),
        (1, -1, false, "sessionless", false), (1, 0, false, "full", false), (1, 1, false, "[0, 1, 2]", true),
        (1, 2, false, "INVALID_FETCH_SESSION_EPOCH", true), (1, 7, false, "INVALID_FETCH_SESSION_EPOCH", true),
        (1, 1, true, "FETCH_SESSION_TOPIC_ID_ERROR", true), (1, -2, false, "sessionless", false),
        (2, 1, false, "FETCH_SESSION_ID_NOT_FOUND", true), (2, 0, false, "full", true),
        (2, -1, false, "sessionless", true),
    ]

    @Test(arguments: requests)
    func eachKindOfRequest(session: Int, epoch: Int32, usesTopicIDs: Bool, outcome: String, isLeft: Bool) {
        var table = Self.table()
        let id = Self.session(in: &table, [0, 1, 2])
        #expect(id > 0)
        let asked = Self.request(session: [0, id, id + 1][session], epoch: epoch)
        let admission = table.admit(asked, usesTopicIDs: usesTopicIDs, now: Self.instant(1))
        #expect(Self.text(admission) == outcome)
        #expect(table.count == (isLeft ? 1 : 0) && table.partitionCount == (isLeft ? 3 : 0))
    }

    @Test func partitionsAreAddedChangedAndForgotten() {
        var table = Self.table()
        let id = Self.session(in: &table, [0, 1, 2])
        let changed = table.admit(
            Self.request(session: id, epoch: 1, [1, 5], at: 7, forgetting: [0]), usesTopicIDs: false,
            now: Self.instant(1))
        guard case .incremental(let entries) = changed else {
            Issue.record("not admitted")
            return
        }
        #expect(entries.map(\.request.index) == [1, 2, 5])
        #expect(entries.map(\.request.fetchOffset) == [7, 0, 7])
        #expect(table.partitionCount == 3)
        let emptied = table.admit(
            Self.request(session: id, epoch: 2, forgetting: [1, 2, 5, 9]), usesTopicIDs: false, now: Self.instant(2))
        #expect(Self.text(emptied) == "sessionless")
        #expect(table.count == 0 && table.partitionCount == 0)
    }

    @Test func epochsWrapToOne() {
        #expect(FetchSessionTable.next(1) == 2)
        #expect(FetchSessionTable.next(.max) == 1)
    }

    @Test func tablesOfDifferentLoopsGiveDifferentIDs() {
        var ids: Set<Int32> = []
        for number in 0..<3 {
            var table = FetchSessionTable(limits: .init(sessionsMax: 100), number: number, of: 3, seed: 1)
            for _ in 0..<50 {
                let id = Self.session(in: &table, [0])
                #expect(id > 0 && Int(id) % 3 == number)
                ids.insert(id)
            }
        }
        #expect(ids.count == 150)
    }

    // MARK: What is answered

    /// What is read of a partition.
    struct Read: Sendable {
        var end: Int64 = 0
        var bytes = 0
        var error = KafkaErrorCode.none
    }

    /// What is read of the partitions in turn, and which of them the client is told of.
    static let reads: [(read: [Read], told: [Int])] = [
        ([Read(), Read()], []), ([Read(end: 5, bytes: 100), Read()], [0]), ([Read(), Read(end: 3)], [1]),
        ([Read(error: .notLeaderOrFollower), Read()], [0]),
        ([Read(end: 1), Read(error: .unknownTopicOrPartition)], [0, 1]),
    ]

    @Test(arguments: reads)
    func onlyNewsIsTold(read: [Read], told: [Int]) throws {
        var table = Self.table()
        let id = Self.session(in: &table, [0, 1])
        let asked = Self.request(session: id, epoch: 1)
        guard case .incremental(let entries) = table.admit(asked, usesTopicIDs: false, now: Self.instant(1)) else {
            Issue.record("not admitted")
            return
        }
        let results = read.map { Self.result(end: $0.end, bytes: $0.bytes, error: $0.error) }
        #expect(try table.conclude(id, epoch: 1, entries, results).get() == told)
    }

    /// Runs one incremental fetch that reads `results` by partition, and returns the partitions that are told.
    private func step(
        _ table: inout FetchSessionTable, _ id: Int32, _ epoch: Int32, _ results: [Int32: FetchResult]
    ) throws -> (read: [Int32], told: [Int32]) {
        let asked = Self.request(session: id, epoch: epoch)
        guard case .incremental(let entries) = table.admit(asked, usesTopicIDs: false, now: Self.instant(1)) else {
            Issue.record("epoch \(epoch) is not admitted")
            return ([], [])
        }
        let found = entries.map { results[$0.request.index] ?? Self.result() }
        let told = try table.conclude(id, epoch: epoch, entries, found).get()
        return (entries.map(\.request.index), told.map { entries[$0].request.index })
    }

    @Test func behindAnErrorThePartitionIsToldAgain() throws {
        var table = Self.table()
        let id = Self.session(in: &table, [0, 1])
        #expect(try step(&table, id, 1, [1: Self.result(end: -1, error: .notLeaderOrFollower)]).told == [1])
        #expect(try step(&table, id, 2, [:]).told == [1], "the error is over")
        #expect(try step(&table, id, 3, [:]).told == [])
        var diverging = Self.result()
        diverging.divergingEpoch = (1, 5)
        #expect(try step(&table, id, 4, [0: diverging]).told == [0])
        #expect(try step(&table, id, 5, [:]).told == [0], "it is in step again")
        var preferring = Self.result()
        preferring.preferredReplica = NodeID(rawValue: 2)
        #expect(try step(&table, id, 6, [0: preferring]).told == [0])
        var trimmed = Self.result()
        trimmed.logStartOffset = 3
        #expect(try step(&table, id, 7, [0: trimmed]).told == [0])
        #expect(try step(&table, id, 8, [0: trimmed]).told == [])
    }

    @Test func whoHadRecordsIsReadLast() throws {
        var table = Self.table()
        let id = Self.session(in: &table, [0, 1, 2])
        #expect(try step(&table, id, 1, [0: Self.result(end: 1, bytes: 10)]).read == [0, 1, 2])
        let second = try step(&table, id, 2, [0: Self.result(end: 1), 1: Self.result(end: 1, bytes: 9)])
        #expect(second.read == [1, 2, 0])
        #expect(try step(&table, id, 3, [:]).read == [2, 0, 1])
    }

    @Test func anAnswerOfAnEarlierEpochIsRefused() {
        var table = Self.table()
        let id = Self.session(in: &table, [0])
        let first = table.admit(Self.request(session: id, epoch: 1), usesTopicIDs: false, now: Self.instant(1))
        _ = table.admit(Self.request(session: id, epoch: 2), usesTopicIDs: false, now: Self.instant(1))
        guard case .incremental(let entries) = first else {
            Issue.record("not admitted")
            return
        }
        #expect(
            table.conclude(id, epoch: 1, entries, [Self.result()]) == .failure(.init(.invalidFetchSessionEpoch)))
        #expect(table.count == 1)
        _ = table.admit(Self.request(session: id, epoch: -1), usesTopicIDs: false, now: Self.instant(1))
        #expect(table.conclude(id, epoch: 2, entries, [Self.result()]) == .failure(.init(.fetchSessionIDNotFound)))
    }

    // MARK: Limits

    @Test func withoutRoomThereIsNoSession() {
        var none = Self.table(sessions: 0)
        #expect(Self.session(in: &none, [0]) == 0)
        var small = Self.table(perSession: 2)
        #expect(Self.session(in: &small, [0, 1, 2]) == 0)
        #expect(Self.session(in: &small, []) == 0)
        let id = Self.session(in: &small, [0, 1])
        #expect(id != 0)
        let growing = Self.request(session: id, epoch: 1, [2])
        #expect(
            Self.text(small.admit(growing, usesTopicIDs: false, now: Self.instant(0))) == "FETCH_SESSION_ID_NOT_FOUND")
        #expect(small.count == 0 && small.partitionCount == 0)
    }

    /// A session that is there: since which second, when it was used last, how many partitions it has.
    struct Held: Sendable {
        let since: Int64
        let used: Int64
        let partitions: Int32

        init(_ since: Int64, _ used: Int64, _ partitions: Int32) {
            self.since = since
            self.used = used
            self.partitions = partitions
        }
    }

    /// The sessions that are there; how many partitions a new one has at second 300, and which has to go for it, or -1
    /// when there is no room for it.
    static let evictions: [(sessions: [Held], partitions: Int32, victim: Int)] = [
        ([Held(0, 10, 5), Held(0, 299, 1)], 1, 0), ([Held(0, 299, 5), Held(0, 299, 3)], 4, 1),
        ([Held(0, 299, 5), Held(0, 299, 3)], 3, -1), ([Held(200, 299, 1), Held(0, 299, 3)], 4, 1),
        ([Held(200, 299, 1), Held(250, 299, 3)], 9, -1), ([Held(0, 170, 9), Held(0, 175, 1)], 1, 0),
        ([Held(0, 180, 1), Held(0, 181, 9)], 1, -1),
    ]

    @Test(arguments: evictions)
    func theIdleAndTheSmallMakeRoom(sessions: [Held], partitions: Int32, victim: Int) {
        var table = Self.table(sessions: sessions.count)
        let ids = sessions.map { Self.session(in: &table, Array(0..<$0.partitions), at: $0.since) }
        for (id, session) in zip(ids, sessions) {
            _ = table.admit(
                Self.request(session: id, epoch: 1), usesTopicIDs: false, now: Self.instant(session.used))
        }
        let new = Self.session(in: &table, Array(0..<partitions), at: 300)
        #expect((new == 0) == (victim < 0))
        #expect(table.evictions == (victim < 0 ? 0 : 1))
        for (position, id) in ids.enumerated() {
            let asked = Self.request(session: id, epoch: 2)
            let outcome = Self.text(table.admit(asked, usesTopicIDs: false, now: Self.instant(300)))
            #expect((outcome == "FETCH_SESSION_ID_NOT_FOUND") == (position == victim), "\(position): \(outcome)")
        }
    }

    @Test func partitionsOfAllSessionsAreBounded() {
        var table = Self.table(partitions: 10)
        _ = Self.session(in: &table, Array(0..<4), at: 0)
        _ = Self.session(in: &table, Array(0..<4), at: 100)
        #expect(Self.session(in: &table, Array(0..<4), at: 110) == 0, "nobody is idle yet")
        #expect(Self.session(in: &table, Array(0..<4), at: 130) != 0, "the first was idle for two minutes")
        #expect(table.count == 2 && table.partitionCount == 8 && table.evictions == 1)
        #expect(FetchSessionTable.Limits(sessionsMax: 1000).share(of: 3).sessionsMax == 334)
    }

    // MARK: Against a model

    /// Random additions, removals and moves: order and content are those of an array.
    @Test(arguments: 0..<20) func theOrderIsThatOfAnArray(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var partitions = FetchSessionPartitions()
        var model: [Int32] = []
        func key(_ index: Int32) -> FetchSessionKey { FetchSessionKey(name: "t", topicID: .zero, index: index) }
        for _ in 0..<500 {
            let index = Int32.random(in: 0..<20, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                partitions.update(key(index), Self.partition(index))
                if !model.contains(index) { model.append(index) }
            case 1:
                partitions.remove(key(index))
                model.removeAll { $0 == index }
            default:
                guard let place = partitions.place(of: key(index)) else { continue }
                partitions.moveToEnd(place)
                model.removeAll { $0 == index }
                model.append(index)
            }
            #expect(partitions.order.map { partitions[$0].key.index } == model)
            #expect(partitions.count == model.count)
        }
    }
}
