// SPDX-License-Identifier: Apache-2.0
//
// ClusterHistoryTests.swift
// The recorded operations: bounded, replayable from the oldest state that is kept, also in directories of the first
// format.

import Model
import Replication
import Testing

@testable import Broker

@Suite struct ClusterHistoryTests {
    /// What the store holds after entries were applied, as the controller's shell writes it.
    private struct Recorder {
        var state = ClusterState()
        var stored: [[UInt8]: [UInt8]] = [:]

        mutating func apply(_ command: ClusterCommand) {
            let entry = ClusterEntry(time: WallTime(milliseconds: 3), actor: "test", command: command)
            let base = ClusterRecords.historyBase(before: state)
            let change = state.apply(entry)
            let operation = ClusterOperation(id: state.lastOperation, entry: entry)
            let writes =
                base + ClusterRecords.writes(after: change, state: state)
                + ClusterRecords.history(of: operation, state: state)
            for write in writes { stored[write.key] = write.value }
        }

        func history(after: UInt64? = nil, limit: Int = .max) throws -> OperationHistory {
            var reader = HistoryReader(after: after, limit: limit)
            for (key, value) in stored.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                try reader.take(key, value)
            }
            return try reader.finish()
        }
    }

    @Test func operationsAreListedInPieces() throws {
        var recorder = Recorder()
        for number in 0..<50 { recorder.apply(.allocateProducerIDs(first: Int64(number * 10), count: 10)) }
        #expect(try recorder.history().operations.map(\.id) == Array(1...50))
        #expect(try recorder.history(after: 20, limit: 5).operations.map(\.id) == Array(21...25))
        #expect(try recorder.history(after: 50).operations.isEmpty)
        #expect(try recorder.history().operations[7].entry.actor == "test")
        try recorder.history().verify(against: recorder.state)
    }

    @Test func theHistoryStaysBoundedAndComplete() throws {
        var recorder = Recorder()
        let step = Int64(ClusterRecords.historyStep)
        for number in 0..<(3 * step + 100) { recorder.apply(.allocateProducerIDs(first: number, count: 1)) }
        let history = try recorder.history()
        #expect(history.base.lastOperation == UInt64(2 * step))
        #expect(history.operations.count == Int(step) + 100)
        #expect(recorder.stored.count < 2 * Int(step))
        try history.verify(against: recorder.state)
    }

    @Test func aStateOfTheFirstFormatIsWhereItsHistoryBegins() throws {
        var recorder = Recorder()
        let topic = ClusterCodingTests.topic
        recorder.state.restore(topic)
        recorder.state.restore(clusterID: "c", nextGroup: GroupID(rawValue: 1026), nextProducerID: 1_000)
        recorder.apply(.setConfiguration(topic: topic.id, [:]))
        recorder.apply(.deleteTopic(topic.id))
        let history = try recorder.history()
        #expect(history.base.topic(named: topic.name) == topic && history.operations.count == 2)
        try history.verify(against: recorder.state)
    }

    @Test func theHistoryIsNoPartOfTheState() throws {
        var recorder = Recorder()
        recorder.apply(.initialize(clusterID: "c"))
        var loaded = ClusterState()
        for (key, value) in recorder.stored where !ClusterRecords.isHistory(key) {
            try ClusterRecords.restore(key, value, into: &loaded)
        }
        #expect(loaded == recorder.state)
    }
}
