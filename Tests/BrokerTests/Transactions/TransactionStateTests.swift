// SPDX-License-Identifier: Apache-2.0
//
// TransactionStateTests.swift
// Transactions in the coordinator's replicated state: offsets hold with the commit and not before, records rebuild the
// state, and a state without transactions reads as it did.

import KafkaProtocol
import Model
import TestSupport
import Testing

@testable import Broker

@Suite struct TransactionStateTests {
    static let offsets = PendingOffsetBatch(
        transactionalID: "x", producerID: ProducerID(rawValue: 7), epoch: 5,
        batch: OffsetCommitBatch(
            group: "g", committedAt: wall(500), expiresAt: nil,
            entries: [
                .init(partition: partition("t", 0), offset: 10, leaderEpoch: 2, metadata: "note"),
                .init(partition: partition("u", 3), offset: 20),
            ]))
    static let open = CoordinatorCommand.transaction(id: "x", TransactionInstanceTests.record(.ongoing))
    static let committed = CoordinatorCommand.transaction(id: "x", TransactionInstanceTests.record(.prepareCommit))
    static let aborted = CoordinatorCommand.transaction(id: "x", TransactionInstanceTests.record(.prepareAbort))

    private func apply(_ commands: [CoordinatorCommand]) -> (state: CoordinatorState, records: [[UInt8]: [UInt8]]) {
        var state = CoordinatorState()
        var records: [[UInt8]: [UInt8]] = [:]
        for command in commands {
            var writes: [CoordinatorWrite] = []
            state.apply(command, into: &writes)
            for write in writes { records[write.key] = write.value }
        }
        return (state, records)
    }

    @Test func offsetsHoldWithTheCommit() {
        let (waiting, _) = apply([Self.open, .pendingOffsets(Self.offsets)])
        #expect(waiting.fetch(group: "g", partition("t", 0)) == .missing)
        #expect(waiting.transactions.isPending(group: "g", partition("t", 0)))
        #expect(!waiting.transactions.isPending(group: "g", partition("t", 1)))
        #expect(!waiting.transactions.isPending(group: "h", partition("t", 0)))
        #expect(waiting.transactions.pendingPartitions(of: "g") == [partition("t", 0), partition("u", 3)])
        #expect(waiting.transactions.pendingCount(of: "x") == 2)
        let (done, _) = apply([Self.open, .pendingOffsets(Self.offsets), Self.committed])
        #expect(done.fetch(group: "g", partition("t", 0)).offset == 10)
        #expect(done.fetch(group: "g", partition("t", 0)).metadata == "note")
        #expect(done.fetch(group: "g", partition("u", 3)).offset == 20)
        #expect(done.transactions.pendingPartitions(of: "g").isEmpty)
    }

    @Test func offsetsThatWaitAreBounded() {
        let (state, _) = apply([Self.open, .pendingOffsets(Self.offsets)])
        var settings = TransactionSettings()
        settings.pendingOffsetsMax = 5
        let now = Moment(instant: Instant(nanoseconds: 1), wallTime: wall(500))
        let table = TransactionalIDTable(leading: state, settings: settings, now: now)
        let claim = ProducerClaim(producerID: ProducerID(rawValue: 7), epoch: 5)
        func refusal(_ count: Int) -> KafkaErrorCode? {
            table.offsetsRefusal("x", claim, group: "g", count: count, state: state)
        }
        #expect(state.transactions.pendingCount(of: "x") == 2)
        #expect(refusal(3) == nil)
        #expect(refusal(4) == .invalidCommitOffsetSize)
        #expect(table.offsetsRefusal("x", claim, group: "h", count: 1, state: state) == .invalidTxnState)
    }

    @Test func offsetsOfAnAbortedTransactionNeverHold() {
        let (state, records) = apply([Self.open, .pendingOffsets(Self.offsets), Self.aborted])
        #expect(state.fetch(group: "g", partition("t", 0)) == .missing && state.groups.isEmpty)
        #expect(state.transactions.pendingPartitions(of: "g").isEmpty)
        #expect(records.count == 1)
    }

    @Test func offsetsForAnotherTransactionAreNotTaken() {
        for (state, offsets) in [
            (TransactionState.ongoing, Self.offsets), (.completeCommit, Self.offsets), (.prepareCommit, Self.offsets),
        ] {
            var late = offsets
            if state == .ongoing { late.epoch = 4 }
            let record = TransactionInstanceTests.record(state)
            let (after, _) = apply([.transaction(id: "x", record), .pendingOffsets(late), Self.committed])
            #expect(after.groups.isEmpty)
            #expect(after.transactions.pendingPartitions(of: "g").isEmpty)
        }
        #expect(apply([.pendingOffsets(Self.offsets)]).records.isEmpty)
    }

    @Test func aDeletedTopicTakesWhatWaitsForIt() {
        let (state, _) = apply([Self.open, .pendingOffsets(Self.offsets), .forgetTopics(["t"]), Self.committed])
        #expect(state.fetch(group: "g", partition("t", 0)) == .missing)
        #expect(state.fetch(group: "g", partition("u", 3)).offset == 20)
    }

    @Test func onlyIdleIDsExpire() {
        for state in TransactionState.allCases {
            let record = TransactionInstanceTests.record(state)
            let expire = CoordinatorCommand.expireTransactions([.init(id: "x", changedAt: record.changedAt)])
            let isKept = state == .ongoing || state.isPrepared
            let (after, records) = apply([.transaction(id: "x", record), expire])
            #expect(after.transactions.records.isEmpty == !isKept && records.isEmpty == !isKept, "\(state)")
            let late = CoordinatorCommand.expireTransactions([.init(id: "x", changedAt: wall(99))])
            #expect(apply([.transaction(id: "x", record), late]).state.transactions.records.count == 1)
        }
    }

    @Test func recordsRebuildTransactions() throws {
        var used = TransactionInstanceTests.record(.completeAbort, epoch: 0, previous: TransactionRecord.lastEpoch)
        used.previousProducerID = ProducerID(rawValue: 3)
        used.nextProducerID = ProducerID(rawValue: 4)
        let commands = [
            Self.open, .pendingOffsets(Self.offsets), .transaction(id: "ünd", used),
            .commitOffsets(Self.offsets.batch),
        ]
        let (state, records) = apply(commands)
        var loaded = CoordinatorState()
        for (key, value) in records { try loaded.load(key: key, value: value) }
        #expect(loaded.groups == state.groups && loaded.transactions == state.transactions)
        #expect(loaded.transactions.records["ünd"] == used)
        var copied = CoordinatorState()
        for record in state.records() {
            try copied.load(key: record.key, value: try #require(record.value))
        }
        #expect(copied.groups == state.groups && copied.transactions == state.transactions)
        // What was loaded goes on as what was there before.
        var writes: [CoordinatorWrite] = []
        loaded.apply(Self.committed, into: &writes)
        #expect(loaded.fetch(group: "g", partition("u", 3)).offset == 20)
        #expect(writes.contains { $0.value == nil })
    }

    /// The bytes of a release before transactions: a group's offset, and the command that made it.
    @Test func whatWasStoredBeforeTransactionsIsRead() throws {
        let prefix = CoordinatorKey.prefix(of: .coordinator)
        let key = prefix + [2, 0, 1, 0x67, 0, 1, 0x74, 0, 0, 0, 3]
        let value: [UInt8] = [1] + [0, 0, 0, 0, 0, 0, 0, 9] + [255, 255, 255, 255] + [0, 0, 0, 0]
        var state = CoordinatorState()
        try state.load(key: key, value: value + [0, 0, 0, 0, 0, 0, 0, 50] + [0])
        #expect(state.fetch(group: "g", partition("t", 3)).offset == 9)
        #expect(state.transactions.records.isEmpty)
        #expect(state.records().map(\.key) == [key])
    }

    @Test func recordsHaveAFixedForm() throws {
        var record = TransactionInstanceTests.record(.ongoing)
        record.partitions = [partition("t", 1)]
        record.partitionGroupsEnd = GroupID(rawValue: 1_026)
        let bytes = CoordinatorValue.encode(record)
        let expected: [UInt8] =
            [1] + [0, 0, 0, 0, 0, 0, 0, 7] + [0, 5] + [255, 255] + [UInt8](repeating: 255, count: 16)
            + [0, 0, 3, 232] + [1, 1] + [1, 0, 0, 0, 0, 0, 0, 0, 50] + [0, 0, 0, 0, 0, 0, 0, 100]
            + [0, 0, 0, 1, 0, 0, 0, 1, 0x74, 0, 0, 0, 1, 0, 0, 0, 1] + [0, 0, 0, 1, 0, 0, 0, 1, 0x67]
            + [0, 0, 0, 0, 0, 0, 4, 2]
        #expect(bytes == expected)
        #expect(try CoordinatorValue.decodeTransaction(bytes) == record)
        for length in 0..<bytes.count {
            #expect(throws: BinaryCodingError.self) { try CoordinatorValue.decodeTransaction(Array(bytes[..<length])) }
        }
    }
}
