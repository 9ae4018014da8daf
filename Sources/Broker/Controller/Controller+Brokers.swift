// SPDX-License-Identifier: Apache-2.0
//
// Controller+Brokers.swift
// What operators ask about brokers: drain, resume, decommission; and what they can be told of all of them.

import KafkaProtocol
package import Model
import Raft
import Replication

/// A broker as an operator is told of it.
package struct BrokerStatus: Equatable, Sendable {
    package var record: BrokerRecord
    /// What the failure detector thinks; nil on a broker that does not lead the controller.
    package var suspicion: FailureDetector.Suspicion?
    /// Milliseconds since the last heartbeat.
    package var silence: Int64?
    /// The last reported load.
    package var load: BrokerLoad?
    /// Partitions with a replica on it, those on their way included.
    package var replicas: Int
    /// Partitions of which it is the preferred leader.
    package var preferredLeaders: Int
    /// Partitions that it leads, as far as this broker has heard.
    package var leaders: Int
    /// The last operation of the controller that it has applied.
    package var operation: UInt64?
}

/// The cluster as an operator is told of it.
package struct ClusterStatus: Equatable, Sendable {
    package var clusterID: String?
    /// The leader of the controller's group.
    package var controller: NodeID?
    /// Whether this broker leads the controller, and so knows loads and silences.
    package var isAuthoritative: Bool
    package var operation: UInt64
    package var brokers: [BrokerStatus]
    package var progress: ReassignmentProgress
    /// Leaders on their way.
    package var moves: [LeaderMove]
    package var voters: [NodeID]
    package var learners: [NodeID]
    package var topics: Int
    package var partitions: Int
    /// Partitions that nobody is known to lead.
    package var leaderless: Int
}

extension Controller {
    // MARK: Asking for changes
    //
    // Any broker takes these: one that does not lead the controller's group passes the command on.

    /// Takes leaders, or replicas too, off a broker; with `decommission` the broker leaves once it is empty.
    package func drain(_ broker: NodeID, _ mode: DrainMode, actor: String, then: @escaping Done) {
        if mode != .leaders {
            let others = state.brokers.values.filter { $0.acceptsReplicas && $0.id != broker }
            let needed =
                state.topics.values.flatMap(\.partitions)
                .filter { $0.replicas.contains(broker) }.map(\.replicas.count).max() ?? 0
            guard others.count >= needed else {
                return then(
                    AdminRefusal(
                        .invalidRequest,
                        "Broker \(broker) holds partitions with \(needed) replicas, and only \(others.count) other brokers"
                            + " take any; drain leaders only, or add a broker"))
            }
        }
        order(.drainBroker(broker, mode), actor: actor) { refusal, _ in then(refusal) }
    }

    /// Ends draining; replicas do not come back but by a rebalance.
    package func resume(_ broker: NodeID, actor: String, then: @escaping Done) {
        order(.resumeBroker(broker), actor: actor) { refusal, _ in then(refusal) }
    }

    /// Forgets a broker without replicas.
    package func unregister(_ broker: NodeID, actor: String, then: @escaping Done) {
        let storeID = state.brokers[broker]?.registration.storeID
        order(.unregisterBroker(broker, retiring: storeID), actor: actor) { refusal, _ in then(refusal) }
    }

    // MARK: Telling

    /// The cluster as this broker knows it; loads and silences only at the controller's leader.
    package var status: ClusterStatus {
        let leaders = member?.context.leaders() ?? LeaderTable()
        let duties = isLeading ? member?.duties : nil
        var (hosted, preferred): ([NodeID: Int], [NodeID: Int]) = ([:], [:])
        var leaderless = 0
        for partition in state.topics.values.flatMap(\.partitions) {
            for node in Set(partition.hosts + partition.adding) { hosted[node, default: 0] += 1 }
            if let first = partition.preferredLeader { preferred[first, default: 0] += 1 }
            if member != nil, leaders[partition.group]?.leader == nil { leaderless += 1 }
        }
        let counts = leaders.leaderCounts
        let brokers = state.brokers.values.sorted { $0.id < $1.id }.map { record in
            BrokerStatus(
                record: record, suspicion: duties?.suspicion(of: record.id), silence: duties?.silence(of: record.id),
                load: duties?.loads[record.id], replicas: hosted[record.id] ?? 0,
                preferredLeaders: preferred[record.id] ?? 0, leaders: counts[record.id] ?? 0,
                operation: duties?.applied[record.id])
        }
        let quorum = machine.replica.configuration
        return ClusterStatus(
            clusterID: state.clusterID, controller: member == nil ? node : member?.leader, isAuthoritative: isLeading,
            operation: state.lastOperation, brokers: brokers, progress: ReassignmentPlanner.progress(state),
            moves: duties?.balancer.movesUnderWay ?? [], voters: quorum.voters, learners: quorum.learners,
            topics: state.topics.count, partitions: state.partitionCount, leaderless: leaderless)
    }

    // MARK: Operations

    /// The recorded operations after `after`, at most `limit`, with the state they begin from; `then` runs on this loop.
    package func operations(
        after: UInt64?, limit: Int, then: @escaping (Result<OperationHistory, HostFailure>) -> Void
    ) {
        host.readHistory(after: after, limit: limit, then: then)
    }

    /// Replays the recorded operations and compares the outcome with the state that is served.
    ///
    /// `then` gets what differs, or nil.
    package func verifyOperations(then: @escaping (Result<OperationHistory.Finding?, HostFailure>) -> Void) {
        let served = state
        operations(after: nil, limit: .max) { result in
            then(
                result.map { history in
                    var history = history
                    // What was applied since is in the history, and not in the state to compare with.
                    history.operations.removeAll { $0.id > served.lastOperation }
                    return Self.finding(history, served)
                })
        }
    }

    private static func finding(_ history: OperationHistory, _ state: ClusterState) -> OperationHistory.Finding? {
        do throws(OperationHistory.Finding) {
            try history.verify(against: state)
            return nil
        } catch {
            return error
        }
    }
}
