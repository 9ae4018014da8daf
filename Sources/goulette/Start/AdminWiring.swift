// SPDX-License-Identifier: Apache-2.0
//
// AdminWiring.swift
// What the admin server is told of the cluster: the broker's values as the JSON's.

import Admin
import Broker
import Foundation
import KafkaProtocol
import Model

extension AdminAPI {
    /// Serves what `broker` knows.
    init(_ broker: Broker, node: NodeID) {
        self.init()
        cluster = { answer in broker.withController { answer(.success(ClusterView($0.status, node: node))) } }
        brokers = { answer in
            broker.withController { controller in
                let status = controller.status
                answer(.success(status.brokers.map { BrokerView($0, controller: status.controller) }))
            }
        }
        operations = { after, limit, answer in
            broker.withController { controller in
                controller.operations(after: after, limit: limit) { result in
                    switch result {
                    case .success(let history): answer(.success(history.operations.map { OperationView($0) }))
                    case .failure(let failure): answer(.failure(AdminProblem(.unavailable, "\(failure)")))
                    }
                }
            }
        }
        leaders = { topic, unreachable, answer in
            broker.withController { controller in
                controller.leaders(of: topic, unreachable: unreachable.map { NodeID(rawValue: $0) }) { result in
                    answer(
                        result.map { TopicLeadersView($0, of: topic, controller.status) }.mapError { AdminProblem($0) })
                }
            }
        }
        rebalance = { answer in
            broker.withController { controller in
                controller.rebalance(actor: Self.actor) { result in
                    answer(result.map { RebalanceView(partitions: $0) }.mapError { AdminProblem($0) })
                }
            }
        }
        order = { id, order, answer in
            broker.withController { controller in
                Self.carryOut(order, NodeID(rawValue: id), controller, answer)
            }
        }
    }

    private static func carryOut(
        _ order: BrokerOrder, _ id: NodeID, _ controller: Controller, _ answer: @escaping Answer<BrokerView>
    ) {
        guard controller.status.brokers.contains(where: { $0.record.id == id }) else {
            return answer(.failure(AdminProblem(.notFound, "there is no broker \(id)")))
        }
        let then: (AdminRefusal?) -> Void = { refusal in
            if let refusal { return answer(.failure(AdminProblem(refusal))) }
            let status = controller.status
            guard let broker = status.brokers.first(where: { $0.record.id == id }) else {
                return answer(.failure(AdminProblem(.notFound, "broker \(id) is gone")))
            }
            answer(.success(BrokerView(broker, controller: status.controller)))
        }
        switch order {
        case .drain: controller.drain(id, .leaders, actor: Self.actor, then: then)
        case .resume: controller.resume(id, actor: Self.actor, then: then)
        case .decommission: controller.drain(id, .decommission, actor: Self.actor, then: then)
        }
    }

    /// Who asks, in the list of operations.
    private static let actor = "admin"
}

extension AdminProblem {
    init(_ refusal: AdminRefusal) {
        let kind: Kind =
            switch refusal.code {
            case .unknownTopicOrPartition, .brokerIDNotRegistered: .notFound
            case .notController, .requestTimedOut, .leaderNotAvailable, .coordinatorNotAvailable: .unavailable
            default: .conflict
            }
        self.init(kind, refusal.message)
    }
}

extension TopicLeadersView {
    init(_ report: LeaderReport, of topic: String, _ status: ClusterStatus) {
        let addresses = Dictionary(
            status.brokers.map { ($0.record.id, $0.record.registration.kafka) }, uniquingKeysWith: { first, _ in first }
        )
        self.init(
            topic: topic,
            partitions: report.leaders.map { leader in
                Partition(
                    partition: leader.partition.rawValue, leader: leader.leader?.rawValue,
                    address: leader.leader.flatMap { addresses[$0] }.map { $0.text }, epoch: Int64(leader.epoch))
            }, failed: report.agreed.map(\.rawValue), reachable: report.reachable.map(\.rawValue))
    }
}

extension ClusterView {
    init(_ status: ClusterStatus, node: NodeID) {
        self.init(
            clusterID: status.clusterID, answeredBy: node.rawValue, controller: status.controller?.rawValue,
            controllerVoters: status.voters.map(\.rawValue), brokers: status.brokers.count,
            activeBrokers: status.brokers.count { $0.record.state == .active }, topics: status.topics,
            partitions: status.partitions, leaderless: status.leaderless, reassigning: status.progress.partitions,
            lastOperation: status.operation)
    }
}

extension BrokerView {
    init(_ status: BrokerStatus, controller: NodeID?) {
        let record = status.record
        self.init(
            id: record.id.rawValue, address: record.registration.kafka.text,
            peerAddress: record.registration.peer.text, rack: record.rack, state: record.state.rawValue,
            drain: record.drain.map { "\($0)" }, since: record.since.milliseconds, replicas: status.replicas,
            leaders: status.leaders, isController: record.id == controller)
    }
}

extension OperationView {
    init(_ operation: ClusterOperation) {
        let text = operation.entry.command.text
        self.init(
            id: operation.id, time: operation.entry.time.milliseconds, actor: operation.entry.actor, kind: text.kind,
            detail: String(text.detail.prefix(400)), entry: Data(operation.entry.encoded()).base64EncodedString())
    }
}
