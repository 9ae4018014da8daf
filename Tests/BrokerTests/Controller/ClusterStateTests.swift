// SPDX-License-Identifier: Apache-2.0
//
// ClusterStateTests.swift
// The controller's state machine: topics, and numbers that never repeat.

import LogStore
import Model
import Testing

@testable import Broker

extension ClusterState {
    /// Applies a command at a time that does not matter.
    mutating func apply(_ command: ClusterCommand, at milliseconds: Int64 = 0) -> ClusterChange {
        apply(ClusterEntry(time: WallTime(milliseconds: milliseconds), actor: "test", command: command))
    }
}

@Suite struct ClusterStateTests {
    private func topic(_ name: String, first: UInt64, partitions: Int = 2, id: UInt64 = 1) -> TopicRecord {
        TopicRecord(
            name: name, id: TopicID(high: id, low: id),
            partitions: (0..<partitions).map {
                PartitionRecord(group: GroupID(rawValue: first + UInt64($0)), replicas: [NodeID(rawValue: 1)])
            }, configuration: ["retention.ms": "1000"])
    }

    @Test func createsAndDeletesTopics() {
        var state = ClusterState()
        let record = topic("a", first: 1024)
        #expect(state.apply(.createTopic(record)) == .topicCreated(record))
        #expect(state.topic(named: "a") == record)
        #expect(state.partitionCount == 2)
        #expect(state.apply(.createTopic(topic("a", first: 1026, id: 2))) == .refused(.topicExists("a")))
        #expect(state.apply(.deleteTopic(record.id)) == .topicDeleted(record))
        #expect(state.apply(.deleteTopic(record.id)) == .refused(.unknownTopic(record.id)))
        #expect(state.partitionCount == 0)
    }

    @Test func groupNumbersAreNeverUsedTwice() {
        var state = ClusterState()
        let first = topic("a", first: 1024)
        _ = state.apply(.createTopic(first))
        _ = state.apply(.deleteTopic(first.id))
        #expect(state.apply(.createTopic(topic("a", first: 1024, id: 2))) == .refused(.staleGroupNumbers))
        #expect(state.nextGroup == GroupID(rawValue: 1026))
        #expect(
            state.apply(.createTopic(topic("a", first: 1026, id: 2))) == .topicCreated(topic("a", first: 1026, id: 2)))
    }

    @Test func growsAndConfiguresTopics() {
        var state = ClusterState()
        let record = topic("a", first: 1024)
        _ = state.apply(.createTopic(record))
        let more = [PartitionRecord(group: GroupID(rawValue: 1026), replicas: [NodeID(rawValue: 1)])]
        guard case .partitionsAdded(let grown, let added) = state.apply(.addPartitions(topic: record.id, more)) else {
            Issue.record("the topic did not grow")
            return
        }
        #expect(grown.partitions.count == 3 && added == [PartitionIndex(rawValue: 2)])
        guard case .configurationChanged(let changed) = state.apply(.setConfiguration(topic: record.id, [:])) else {
            Issue.record("the configuration did not change")
            return
        }
        #expect(changed.configuration.isEmpty && changed.partitions.count == 3)
    }

    @Test func producerIDsAreHandedOutOnce() {
        var state = ClusterState()
        #expect(
            state.apply(.allocateProducerIDs(first: 0, count: 1000)) == .producerIDsAllocated(first: 0, count: 1000))
        #expect(state.apply(.allocateProducerIDs(first: 0, count: 1000)) == .refused(.staleProducerIDs))
        #expect(state.nextProducerID == 1000)
    }

    private func registration(_ incarnation: UInt64, storeID: UInt64, isBlank: Bool = false) -> BrokerRegistration {
        let endpoint = BrokerEndpoint(host: "h", port: 1)
        return BrokerRegistration(
            id: NodeID(rawValue: 1), incarnation: incarnation, storeID: storeID, kafka: endpoint, peer: endpoint,
            isBlank: isBlank)
    }

    /// The process of a broker that was decommissioned runs on, and would be given replicas again as a new broker.
    @Test func aDecommissionedBrokerDoesNotComeBackWithWhatItHas() {
        var state = ClusterState()
        let node = NodeID(rawValue: 1)
        _ = state.apply(.registerBroker(registration(1, storeID: 5)))
        _ = state.apply(.unregisterBroker(node, retiring: 5))
        #expect(state.apply(.registerBroker(registration(1, storeID: 5))) == .refused(.retired(node)))
        #expect(state.apply(.registerBroker(registration(2, storeID: 5))) == .refused(.retired(node)), "nor restarted")
        #expect(state.brokers.isEmpty)
        guard
            case .brokerChanged(let broker) = state.apply(
                .registerBroker(registration(3, storeID: 6, isBlank: true)))
        else {
            Issue.record("a new directory is welcome")
            return
        }
        #expect(broker.lostGroups == [.controller, .coordinator] && state.retired.isEmpty)
    }

    @Test func aBlankBrokerLeavesItsGroupsOnceInALife() {
        var state = ClusterState()
        let node = NodeID(rawValue: 1)
        _ = state.apply(.registerBroker(registration(1, storeID: 5)))
        #expect(state.brokers[node]?.lostGroups == [], "a founder")
        _ = state.apply(.registerBroker(registration(2, storeID: 5)))
        #expect(state.brokers[node]?.lostGroups == [], "started again")
        _ = state.apply(.registerBroker(registration(3, storeID: 6, isBlank: true)))
        #expect(state.brokers[node]?.lostGroups == [.controller, .coordinator])
        let floor = JoinFloor(term: Term(4), index: LogIndex(9))
        for group in [GroupID.controller, .coordinator] {
            _ = state.apply(.rejoinReplica(group, node, floor: floor))
            #expect(state.ownFloors[group] == floor)
        }
        _ = state.apply(.registerBroker(registration(3, storeID: 6, isBlank: true)))
        #expect(state.brokers[node]?.lostGroups == [], "asked again")
        _ = state.apply(.registerBroker(registration(4, storeID: 6, isBlank: true)))
        #expect(state.brokers[node]?.lostGroups == [.controller, .coordinator], "it did not come to take part")
        _ = state.apply(.rejoinReplica(.controller, node, floor: JoinFloor(term: Term(3), index: LogIndex(20))))
        #expect(state.ownFloors[.controller] == JoinFloor(term: Term(4), index: LogIndex(20)))
    }
}
