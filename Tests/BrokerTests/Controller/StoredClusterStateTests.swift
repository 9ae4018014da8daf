// SPDX-License-Identifier: Apache-2.0
//
// StoredClusterStateTests.swift
// The controller's stored records as the inspector reads them: whole ones give the state, damaged ones stop nothing.

import LogStore
import Model
import Replication
import Testing

@testable import Broker

@Suite struct StoredClusterStateTests {
    /// The records of a state after random commands, and the state.
    private static func history(
        seed: UInt64, steps: Int
    ) -> (state: ClusterState, records: [[UInt8]: [UInt8]], operations: [(key: [UInt8], value: [UInt8])]) {
        var random = SeededRandom(seed: seed)
        var writer = RandomCommands()
        var state = ClusterState()
        var records: [[UInt8]: [UInt8]] = [:]
        var operations: [(key: [UInt8], value: [UInt8])] = []
        for step in 0..<steps {
            let entry = ClusterEntry(
                time: WallTime(milliseconds: Int64(step)), actor: "test", command: writer.next(state, using: &random))
            let change = state.apply(entry)
            for write in ClusterRecords.writes(after: change, state: state) { records[write.key] = write.value }
            let operation = ClusterOperation(id: state.lastOperation, entry: entry)
            for write in ClusterRecords.history(of: operation, state: state) {
                if let value = write.value { operations.append((write.key, value)) }
            }
        }
        return (state, records, operations)
    }

    @Test func wholeRecordsGiveTheState() {
        let (state, records, operations) = Self.history(seed: 5, steps: 1_500)
        var stored = StoredClusterState()
        for (key, value) in records { stored.take(key, value) }
        stored.check()
        for (key, value) in operations { stored.takeOperation(key, value, limit: 10) { _ in true } }
        stored.finishOperations(limit: 10)
        #expect(stored.flaws == [])
        #expect(stored.brokers == state.brokers.values.sorted { $0.id < $1.id })
        #expect(stored.topics == state.topics.values.sorted { $0.name < $1.name })
        #expect(!state.groupConfigurations.isEmpty)
        #expect(stored.groups.map(\.name) == state.groupConfigurations.keys.sorted())
        #expect(stored.groups.allSatisfy { state.groupConfigurations[$0.name] == $0.configuration })
        #expect(stored.counters?.clusterID == state.clusterID && stored.counters?.nextGroup == state.nextGroup)
        #expect(stored.counters?.nextProducerID == state.nextProducerID)
        let last = state.lastOperation
        #expect(stored.operations.map(\.id) == Array(last - 9...last))
        #expect(stored.operations.allSatisfy { $0.entry.actor == "test" })
    }

    @Test func aDamagedRecordIsNamedAndTheRestIsThere() throws {
        let (state, records, _) = Self.history(seed: 6, steps: 400)
        #expect(state.topics.count > 1 && state.brokers.count > 1)
        for (damaged, value) in records {
            for cut in [0, 1, value.count / 2, value.count - 1] {
                var stored = StoredClusterState()
                for (key, value) in records { stored.take(key, key == damaged ? Array(value.prefix(cut)) : value) }
                stored.check()
                #expect(stored.flaws.count == 1)
                let read =
                    stored.topics.count + stored.brokers.count + stored.groups.count + (stored.counters == nil ? 0 : 1)
                #expect(read == records.count - 1)
            }
        }
    }

    @Test func noDamagedByteStopsTheReading() throws {
        let (_, records, operations) = Self.history(seed: 7, steps: 30)
        for (damaged, value) in records.merging(operations.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }) {
            for (position, _) in value.enumerated() {
                var flipped = value
                flipped[position] ^= 1 << UInt8((position + 7) % 8)
                var stored = StoredClusterState()
                for (key, value) in records { stored.take(key, key == damaged ? flipped : value) }
                stored.check()
                for (key, value) in operations {
                    stored.takeOperation(key, key == damaged ? flipped : value, limit: nil) { _ in true }
                }
                stored.finishOperations(limit: nil)
                #expect(stored.operations.count >= operations.count - 1)
                // The first byte is the version.
                if position == 0 { #expect(!stored.flaws.isEmpty) }
            }
        }
    }

    @Test func contradictionsAreNamed() throws {
        var state = ClusterState()
        state.restore(clusterID: "c", nextGroup: ClusterCodingTests.group(1026), nextProducerID: 0, lastOperation: 3)
        func topic(_ name: String, _ number: UInt64, _ groups: [UInt64]) -> TopicRecord {
            TopicRecord(
                name: name, id: TopicID(high: 0, low: number),
                partitions: groups.map {
                    PartitionRecord(group: ClusterCodingTests.group($0), replicas: ClusterCodingTests.nodes(1))
                }, configuration: [:])
        }
        func flaws(_ topics: [TopicRecord], counters: Bool = true, _ operations: [UInt64] = []) -> [String] {
            var stored = StoredClusterState()
            for write in ClusterRecords.writes(after: .none, state: state) where counters {
                stored.take(write.key, write.value ?? [])
            }
            for topic in topics {
                let write = ClusterRecords.writes(after: .topicCreated(topic), state: state)[1]
                stored.take(write.key, write.value ?? [])
            }
            stored.check()
            for id in operations {
                let entry = ClusterEntry(time: WallTime(milliseconds: 1), actor: "", command: .settleBalance)
                let write = ClusterRecords.history(of: ClusterOperation(id: id, entry: entry), state: state)[0]
                stored.takeOperation(write.key, write.value ?? [], limit: nil) { _ in true }
            }
            stored.finishOperations(limit: nil)
            return stored.flaws
        }
        #expect(flaws([topic("a", 1, [1024]), topic("b", 2, [1025])], [2, 3]) == [])
        #expect(flaws([], counters: false) == ["the record of the counters is missing"])
        #expect(flaws([topic("a", 1, [1024]), topic("a", 2, [1025])]) == ["two topics are called a"])
        #expect(flaws([topic("a", 1, [1024]), topic("b", 2, [1024])]).first?.hasPrefix("a/0 and b/0 are both") == true)
        #expect(flaws([topic("a", 1, [1026])]).first?.hasSuffix("which was not handed out") == true)
        #expect(flaws([], [1, 3]) == ["operation 1 is followed by 3"])
        #expect(flaws([], [1, 2]) == ["the operations end with 2, the state with 3"])
    }

    @Test func selectsWhatIsAboutTopicsAndBrokers() {
        let groups = [1024, 1025, 1026].map { ClusterCodingTests.group($0) }
        func topic(_ name: String, _ number: UInt64, _ partitions: [PartitionRecord]) -> TopicRecord {
            TopicRecord(name: name, id: TopicID(high: 0, low: number), partitions: partitions, configuration: [:])
        }
        var moving = PartitionRecord(group: groups[1], replicas: ClusterCodingTests.nodes(2))
        moving.reassignment = Reassignment(
            target: ClusterCodingTests.nodes(3), since: WallTime(milliseconds: 1))
        let orders = topic(
            "orders", 1, [PartitionRecord(group: groups[0], replicas: ClusterCodingTests.nodes(1)), moving])
        let other = topic("other", 2, [PartitionRecord(group: groups[2], replicas: ClusterCodingTests.nodes(1))])
        func select(_ topics: [String], _ brokers: [Int32]) -> ClusterSelection {
            ClusterSelection(topics: topics, brokers: brokers.map { NodeID(rawValue: $0) }, among: [orders, other])
        }
        let byName = select(["orders"], [])
        #expect(byName.includes(orders) && !byName.includes(other))
        #expect(byName.includes(.createTopic(orders)) && !byName.includes(.createTopic(other)))
        #expect(byName.includes(.deleteTopic(orders.id)) && !byName.includes(.deleteTopic(other.id)))
        #expect(byName.includes(.cancelReassignment(groups[1])) && !byName.includes(.cancelReassignment(groups[2])))
        #expect(!byName.includes(.settleBalance) && select([], []).includes(.settleBalance))
        // A replica that is to come counts.
        let byBroker = select([], [3])
        #expect(byBroker.includes(orders) && !byBroker.includes(other))
        #expect(byBroker.includes(moving) && !byBroker.includes(orders.partitions[0]))
        #expect(byBroker.includes(.drainBroker(NodeID(rawValue: 3), .leaders)))
        #expect(!byBroker.includes(.drainBroker(NodeID(rawValue: 2), .leaders)))
        let both = select(["orders"], [1])
        #expect(both.includes(.preferLeader(groups[0], NodeID(rawValue: 1))))
        #expect(!both.includes(.preferLeader(groups[0], NodeID(rawValue: 2))))
        #expect(!both.includes(.preferLeader(groups[2], NodeID(rawValue: 1))))
    }
}
