// SPDX-License-Identifier: Apache-2.0
//
// RandomCommands.swift
// Commands that fit a cluster's state more often than not, and every kind of command that does not.

import LogStore
import Model

@testable import Broker

/// Makes commands from a seed.
struct RandomCommands {
    private var nextTopic: UInt64 = 1

    /// A command, most likely one that has an effect.
    mutating func next(_ state: ClusterState, using random: inout SeededRandom) -> ClusterCommand {
        let node = NodeID(rawValue: Int32.random(in: 1...6, using: &random))
        let group = anyGroup(state, &random)
        switch Int.random(in: 0..<21, using: &random) {
        case 0: return .initialize(clusterID: "c\(nextTopic % 3)")
        case 1, 2: return .createTopic(topic(state, &random))
        case 3:
            let id = state.topics.keys.sorted { $0.low < $1.low }.randomElement(using: &random)
            return .deleteTopic(id ?? TopicID(high: 9, low: 9))
        case 4:
            let id = state.topics.keys.sorted { $0.low < $1.low }.randomElement(using: &random)
            return .addPartitions(topic: id ?? .zero, partitions(state, &random))
        case 5:
            let id = state.topics.keys.sorted { $0.low < $1.low }.randomElement(using: &random)
            return .setConfiguration(topic: id ?? .zero, ["retention.ms": "\(UInt8.random(in: 0...9, using: &random))"])
        case 6: return .allocateProducerIDs(first: Bool.random(using: &random) ? state.nextProducerID : 5, count: 10)
        case 7, 8: return .registerBroker(registration(node, state, &random))
        case 9:
            let storeID = state.brokers[node]?.registration.storeID
            return .unregisterBroker(node, retiring: Bool.random(using: &random) ? storeID : nil)
        case 10: return .fenceBroker(node, incarnation: incarnation(node, state, &random))
        case 11: return .unfenceBroker(node, incarnation: incarnation(node, state, &random))
        case 12:
            return .drainBroker(node, DrainMode.allCases.randomElement(using: &random) ?? .leaders)
        case 13: return Bool.random(using: &random) ? .resumeBroker(node) : .settleBalance
        case 14: return Bool.random(using: &random) ? .preferLeader(group, node) : .loseReplica(group, node)
        case 15: return .updateAssignment(group, replicas(&random))
        case 16:
            let other = anyGroup(state, &random)
            return .beginReassignment([
                ReassignmentTarget(group: group, replicas: replicas(&random)),
                ReassignmentTarget(group: other, replicas: replicas(&random)),
            ])
        case 17:
            let phase = Reassignment.Phase.allCases.randomElement(using: &random) ?? .queued
            return .stepReassignment(moving(state, &random), from: phase)
        case 18:
            return Bool.random(using: &random)
                ? .cancelReassignment(moving(state, &random))
                : .rejoinReplica(
                    Bool.random(using: &random) ? group : .controller, node, floor: floor(&random))
        case 19:
            let timeout = UInt8.random(in: 0...9, using: &random)
            return .configureGroup(
                "g\(node)", timeout == 0 ? [:] : ["consumer.session.timeout.ms": "\(timeout)000"])
        default: return .finishReassignment(moving(state, &random), floor: floor(&random))
        }
    }

    private func floor(_ random: inout SeededRandom) -> JoinFloor? {
        guard Bool.random(using: &random) else { return nil }
        return JoinFloor(
            term: Term(UInt64.random(in: 0...9, using: &random)),
            index: LogIndex(UInt64.random(in: 0...99, using: &random)))
    }

    private func anyGroup(_ state: ClusterState, _ random: inout SeededRandom) -> GroupID {
        state.locations.keys.sorted().randomElement(using: &random) ?? GroupID(rawValue: 1024)
    }

    private func moving(_ state: ClusterState, _ random: inout SeededRandom) -> GroupID {
        state.reassigning.sorted().randomElement(using: &random) ?? anyGroup(state, &random)
    }

    private func replicas(_ random: inout SeededRandom) -> [NodeID] {
        let count = Int.random(in: 0...4, using: &random)
        return (0..<count).map { _ in NodeID(rawValue: Int32.random(in: 1...6, using: &random)) }
    }

    private func partitions(_ state: ClusterState, _ random: inout SeededRandom) -> [PartitionRecord] {
        let count = Int.random(in: 1...3, using: &random)
        let first = state.nextGroup.rawValue + (Int.random(in: 0..<8, using: &random) == 0 ? 1 : 0)
        return (0..<count).map { number in
            let brokers = state.brokers.keys.sorted().shuffled(using: &random).prefix(3)
            let replicas = Int.random(in: 0..<6, using: &random) == 0 ? replicas(&random) : Array(brokers)
            return PartitionRecord(group: GroupID(rawValue: first + UInt64(number)), replicas: replicas)
        }
    }

    private mutating func topic(_ state: ClusterState, _ random: inout SeededRandom) -> TopicRecord {
        nextTopic += 1
        return TopicRecord(
            name: "t\(UInt64.random(in: 0...nextTopic, using: &random))", id: TopicID(high: 1, low: nextTopic),
            partitions: partitions(state, &random), configuration: [:])
    }

    private func registration(
        _ node: NodeID, _ state: ClusterState, _ random: inout SeededRandom
    ) -> BrokerRegistration {
        let isWiped = Int.random(in: 0..<4, using: &random) == 0
        let storeID = state.brokers[node]?.registration.storeID ?? 1
        return BrokerRegistration(
            id: node, incarnation: UInt64.random(in: 1...3, using: &random), storeID: isWiped ? storeID + 1 : storeID,
            kafka: BrokerEndpoint(host: "h\(node)", port: 9092), peer: BrokerEndpoint(host: "h\(node)", port: 9192),
            rack: node.rawValue % 2 == 0 ? nil : "r", isBlank: Int.random(in: 0..<4, using: &random) == 0)
    }

    private func incarnation(_ node: NodeID, _ state: ClusterState, _ random: inout SeededRandom) -> UInt64 {
        Int.random(in: 0..<4, using: &random) == 0 ? 99 : state.brokers[node]?.registration.incarnation ?? 1
    }
}
