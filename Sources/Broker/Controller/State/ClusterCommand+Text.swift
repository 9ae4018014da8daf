// SPDX-License-Identifier: Apache-2.0
//
// ClusterCommand+Text.swift
// Commands as operators read them in the list of operations.

import LogStore
import Model

extension ClusterCommand {
    /// What kind of command it is, in one word that never changes, and what it is about.
    ///
    /// - Cost: as long as what it is about; a topic of 10,000 partitions has a long text.
    package var text: (kind: String, detail: String) {
        switch self {
        case .initialize(let clusterID): ("initialize", clusterID)
        case .createTopic(let topic):
            (
                "createTopic",
                "\(topic.name) \(topic.id): \(Self.text(topic.partitions))\(Self.text(topic.configuration))"
            )
        case .deleteTopic(let topic): ("deleteTopic", "\(topic)")
        case .addPartitions(let topic, let partitions): ("addPartitions", "\(topic): \(Self.text(partitions))")
        case .setConfiguration(let topic, let configuration):
            ("setConfiguration", "\(topic):\(configuration.isEmpty ? " defaults" : Self.text(configuration))")
        case .configureGroup(let group, let configuration):
            ("configureGroup", "\(group):\(configuration.isEmpty ? " defaults" : Self.text(configuration))")
        case .allocateProducerIDs(let first, let count): ("allocateProducerIDs", "\(first) to \(first + count - 1)")
        case .registerBroker(let broker): ("registerBroker", Self.text(broker))
        case .unregisterBroker(let broker, let store):
            ("unregisterBroker", "broker \(broker)\(store == nil ? "" : ", not let in again with its data directory")")
        case .fenceBroker(let broker, _): ("fenceBroker", "broker \(broker)")
        case .unfenceBroker(let broker, _): ("unfenceBroker", "broker \(broker)")
        case .drainBroker(let broker, let mode): ("drainBroker", "broker \(broker): \(mode)")
        case .resumeBroker(let broker): ("resumeBroker", "broker \(broker)")
        case .settleBalance: ("settleBalance", "")
        case .preferLeader(let group, let broker): ("preferLeader", "\(group): broker \(broker)")
        case .updateAssignment(let group, let replicas): ("updateAssignment", "\(group) on \(Self.text(replicas))")
        case .beginReassignment(let targets):
            ("beginReassignment", targets.map { "\($0.group) to \(Self.text($0.replicas))" }.joined(separator: "; "))
        case .stepReassignment(let group, let phase): ("stepReassignment", "\(group): \(phase) is done")
        case .cancelReassignment(let group): ("cancelReassignment", "\(group)")
        case .finishReassignment(let group, let floor): ("finishReassignment", "\(group)\(Self.text(floor))")
        case .loseReplica(let group, let broker): ("loseReplica", "\(group): broker \(broker)")
        case .rejoinReplica(let group, let broker, let floor):
            ("rejoinReplica", "\(group): broker \(broker)\(Self.text(floor))")
        }
    }

    private static func text(_ broker: BrokerRegistration) -> String {
        "broker \(broker.id) at \(broker.kafka.text), for brokers \(broker.peer.text)"
            + (broker.rack.map { ", rack \($0)" } ?? "") + (broker.isBlank ? ", with an empty directory" : "")
    }

    private static func text(_ partitions: [PartitionRecord]) -> String {
        partitions.map { "\($0.group) on \(text($0.replicas))" }.joined(separator: "; ")
    }

    private static func text(_ replicas: [NodeID]) -> String {
        replicas.map { "\($0)" }.joined(separator: ",")
    }

    private static func text(_ configuration: [String: String]) -> String {
        configuration.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    }

    private static func text(_ floor: JoinFloor?) -> String {
        floor.map { ", since entry \($0.index) of term \($0.term)" } ?? ""
    }
}

extension BrokerEndpoint {
    /// Host and port, an IPv6 address in brackets.
    package var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
