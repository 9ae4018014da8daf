// SPDX-License-Identifier: Apache-2.0
//
// ShareSessionTableTests.swift
// Share sessions (KIP-932): opened, gone on with, closed by their member and by their connection, and their bounds.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct ShareSessionTableTests {
    private final class Connection {}

    private static let member = ShareMember(groupID: "g", memberID: "m")

    private static func partitions(_ indexes: Int32...) -> [SharedPartition] {
        indexes.map { SharedPartition(topicID: TopicID(high: 0, low: 1), index: $0) }
    }

    private static func table(
        sessions: Int = 10, perSession: Int = 4, partitions: Int = 6
    ) -> ShareSessionTable {
        ShareSessionTable(
            limits: .init(sessionsMax: sessions, partitionsPerSessionMax: perSession, partitionsMax: partitions))
    }

    private func indexes(_ admission: Result<ShareSessionTable.Admission, KafkaErrorCode>) -> [Int32]? {
        (try? admission.get()).map { $0.partitions.map(\.index).sorted() }
    }

    @Test func aSessionGoesFromEpochToEpoch() {
        var table = Self.table()
        let me = Self.member
        func fetch(
            _ epoch: Int32, _ adding: [SharedPartition] = [], _ gone: [SharedPartition] = []
        ) -> Result<ShareSessionTable.Admission, KafkaErrorCode> {
            table.fetch(me, epoch: epoch, adding: adding, forgetting: gone, connection: nil)
        }
        #expect(fetch(1) == .failure(.shareSessionNotFound))
        #expect(fetch(-1) == .failure(.shareSessionNotFound))
        #expect(indexes(fetch(0, Self.partitions(1, 2, 2))) == [1, 2])
        #expect(fetch(2) == .failure(.invalidShareSessionEpoch))
        #expect(indexes(fetch(1, Self.partitions(2, 3))) == [1, 2, 3])
        #expect(fetch(1) == .failure(.invalidShareSessionEpoch))
        #expect(indexes(fetch(2, [], Self.partitions(1))) == [2, 3])
        #expect(table.partitionCount == 2 && table.count == 1)
        #expect(indexes(table.acknowledge(me, epoch: 3)) == [2, 3])
        #expect(table.acknowledge(me, epoch: 0) == .failure(.invalidShareSessionEpoch))
        #expect(table.acknowledge(me, epoch: 3) == .failure(.invalidShareSessionEpoch))
        // Epoch 0 begins anew whatever was there.
        #expect(indexes(fetch(0, Self.partitions(4))) == [4])
        #expect((try? fetch(-1).get())?.isFinal == true)
        #expect(table.partitionCount == 0 && table.count == 0)
        #expect(table.acknowledge(me, epoch: -1) == .failure(.shareSessionNotFound))
    }

    @Test func everyPartitionHasItsTurnToBeFirst() {
        var table = Self.table()
        _ = table.fetch(Self.member, epoch: 0, adding: Self.partitions(0, 1, 2), forgetting: [], connection: nil)
        var first: Set<Int32> = []
        for epoch in Int32(1)...3 {
            let admission = table.fetch(Self.member, epoch: epoch, adding: [], forgetting: [], connection: nil)
            if let index = try? admission.get().partitions.first?.index { first.insert(index) }
        }
        #expect(first == [0, 1, 2])
    }

    @Test func aConnectionTakesItsSessionsAlong() {
        var table = Self.table()
        let (old, new) = (Connection(), Connection())
        let others = ShareMember(groupID: "g", memberID: "n")
        let first = table.fetch(
            Self.member, epoch: 0, adding: Self.partitions(1), forgetting: [], connection: ObjectIdentifier(old))
        #expect((try? first.get())?.isFirstOfConnection == true)
        let second = table.fetch(
            others, epoch: 0, adding: Self.partitions(2), forgetting: [], connection: ObjectIdentifier(old))
        #expect((try? second.get())?.isFirstOfConnection == false)
        // A member that came back on another connection keeps what it has there.
        _ = table.fetch(
            Self.member, epoch: 0, adding: Self.partitions(1, 3), forgetting: [], connection: ObjectIdentifier(new))
        #expect(table.disconnect(ObjectIdentifier(old)).map(\.member) == [others])
        #expect(table.count == 1)
        #expect(table.disconnect(ObjectIdentifier(old)).count == 0)
        let gone = table.disconnect(ObjectIdentifier(new))
        #expect(gone.map(\.member) == [Self.member] && gone.first?.partitions == Self.partitions(1, 3))
        #expect(table.count == 0 && table.partitionCount == 0)
    }

    @Test func thereAreNoMoreThanAllowed() {
        var table = Self.table(sessions: 2)
        for name in ["a", "b", "c"] {
            let admission = table.fetch(
                ShareMember(groupID: "g", memberID: name), epoch: 0, adding: Self.partitions(1), forgetting: [],
                connection: nil)
            #expect((admission == .failure(.shareSessionLimitReached)) == (name == "c"))
        }
        let me = ShareMember(groupID: "g", memberID: "a")
        // More partitions than a session may have, then more than all may have.
        let many = table.fetch(me, epoch: 0, adding: Self.partitions(1, 2, 3, 4, 5), forgetting: [], connection: nil)
        #expect(many == .failure(.shareSessionLimitReached))
        #expect(indexes(table.fetch(me, epoch: 0, adding: Self.partitions(1), forgetting: [], connection: nil)) == [1])
        let grown = table.fetch(me, epoch: 1, adding: Self.partitions(2, 3, 4, 5), forgetting: [], connection: nil)
        #expect(grown == .failure(.shareSessionLimitReached))
        let gone = table.fetch(me, epoch: 2, adding: [], forgetting: [], connection: nil)
        #expect(gone == .failure(.shareSessionNotFound))
        #expect(table.partitionCount == 1)
    }
}
