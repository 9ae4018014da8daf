// SPDX-License-Identifier: Apache-2.0
//
// Controller+Replicas.swift
// What clients and operators ask about replicas: reassign, cancel, elect, rebalance, and who leads when some brokers
// cannot be reached.

import KafkaProtocol
package import Model
import Replication

/// New replicas that someone wants for a partition.
package struct ReassignmentRequest: Equatable, Sendable {
    package var topic: String
    package var partition: Int32
    /// Nil turns back the change under way.
    package var replicas: [NodeID]?

    package init(topic: String, partition: Int32, replicas: [NodeID]?) {
        self.topic = topic
        self.partition = partition
        self.replicas = replicas
    }
}

/// A partition whose replicas are being changed.
package struct ReassignmentStatus: Equatable, Sendable {
    package var topic: String
    package var partition: PartitionIndex
    package var record: PartitionRecord
}

/// Who leads a partition, after the controller looked.
package struct PartitionLeader: Equatable, Sendable {
    package var partition: PartitionIndex
    package var leader: NodeID?
    package var epoch: Int32
}

/// What became of "these brokers I cannot reach".
package struct LeaderReport: Equatable, Sendable {
    package var leaders: [PartitionLeader]
    /// Brokers that the controller cannot reach either, and has fenced.
    package var agreed: [NodeID]
    /// Brokers that answered the controller.
    package var reachable: [NodeID]
}

extension Controller {
    // MARK: Reassignments

    /// Asks for new replicas of one partition, or turns the change under way back.
    package func reassign(_ request: ReassignmentRequest, actor: String, then: @escaping Done) {
        guard let partition = partition(request.topic, request.partition) else {
            return then(
                AdminRefusal(
                    .unknownTopicOrPartition, "Topic \(request.topic) has no partition \(request.partition)"))
        }
        guard let replicas = request.replicas else {
            return order(.cancelReassignment(partition.group), actor: actor) { refusal, _ in then(refusal) }
        }
        // Asking for what is there already is no error for Kafka's tools.
        if partition.reassignment == nil, partition.replicas == replicas { return then(nil) }
        if partition.reassignment?.target == replicas { return then(nil) }
        let target = ReassignmentTarget(group: partition.group, replicas: replicas)
        let begin = { [self] in
            order(.beginReassignment([target]), actor: actor) { refusal, _ in then(refusal) }
        }
        // A change that has not begun gives way to another one.
        guard partition.reassignment?.phase == .queued else { return begin() }
        order(.cancelReassignment(partition.group), actor: actor) { refusal, _ in
            if let refusal { then(refusal) } else { begin() }
        }
    }

    /// The changes under way, by topic and partition.
    package var reassignments: [ReassignmentStatus] {
        state.reassigning.sorted().compactMap { group in
            guard let record = state.partition(group), let location = state.locations[group],
                let topic = state.topics[location.topic]
            else { return nil }
            return ReassignmentStatus(topic: topic.name, partition: location.index, record: record)
        }
    }

    /// Begins to even out replicas, or preferred leaders when replicas are even; `then` gets how many partitions change.
    package func rebalance(actor: String, then: @escaping (Result<Int, AdminRefusal>) -> Void) {
        guard let member else { return then(.success(0)) }
        let commands = member.duties.planner.rebalance(state, limit: .max)
        var waiting = commands.count
        guard waiting > 0 else { return then(.success(0)) }
        var (count, failure): (Int, AdminRefusal?) = (0, nil)
        for command in commands {
            order(command, actor: actor) { refusal, _ in
                if refusal == nil { count += command.partitionCount }
                failure = failure ?? refusal
                waiting -= 1
                guard waiting == 0 else { return }
                then(count == 0 ? failure.map { .failure($0) } ?? .success(0) : .success(count))
            }
        }
    }

    /// What a rebalance would do, without doing it.
    package var rebalancePlan: [ReassignmentTarget] {
        guard let member else { return [] }
        return member.duties.planner.rebalance(state, limit: .max).flatMap { command -> [ReassignmentTarget] in
            if case .beginReassignment(let targets) = command { targets } else { [] }
        }
    }

    // MARK: Leaders

    /// Makes a replica the preferred leader and hands leadership over to it.
    package func moveLeader(
        _ topic: String, _ index: Int32, to node: NodeID, actor: String, then: @escaping Done
    ) {
        guard let partition = partition(topic, index) else {
            return then(AdminRefusal(.unknownTopicOrPartition, "Topic \(topic) has no partition \(index)"))
        }
        order(.preferLeader(partition.group, node), actor: actor) { [self] refusal, _ in
            if let refusal { return then(refusal) }
            electPreferred(topic, index, then: then)
        }
    }

    /// Hands leadership over to the preferred replica.
    package func electPreferred(_ topic: String, _ index: Int32, then: @escaping Done) {
        guard let partition = partition(topic, index) else {
            return then(AdminRefusal(.unknownTopicOrPartition, "Topic \(topic) has no partition \(index)"))
        }
        let leader = member?.context.leaders()[partition.group]?.leader ?? (member == nil ? node : nil)
        guard let preferred = partition.preferredLeader, leader != preferred else {
            return then(AdminRefusal(.electionNotNeeded, "The preferred replica leads already"))
        }
        guard let member, let leader else {
            return then(
                AdminRefusal(.leaderNotAvailable, "Nobody leads the partition; its replicas elect by themselves"))
        }
        guard state.brokers[preferred]?.health == .active else {
            return then(AdminRefusal(.preferredLeaderNotAvailable, "Broker \(preferred) is not active"))
        }
        member.duties.elect(partition.group)
        member.transfer(partition.group, from: leader, to: preferred) { answer in
            guard !answer.status.isFine else { return then(nil) }
            then(AdminRefusal(.preferredLeaderNotAvailable, "Broker \(preferred) did not take over: \(answer.status)"))
        }
    }

    /// Who leads `topic`, where the one who asks cannot reach the brokers of `unreachable`.
    ///
    /// The controller probes those brokers. One that does not answer it either is fenced: clients are not sent there any
    /// more, and leaders that remained there are replaced by their groups. `then` runs when every partition has a leader
    /// elsewhere, or after a few seconds.
    package func leaders(
        of topic: String, unreachable: [NodeID], then: @escaping (Result<LeaderReport, AdminRefusal>) -> Void
    ) {
        guard state.topic(named: topic) != nil else {
            return then(.failure(AdminRefusal(.unknownTopicOrPartition, "Topic \(topic) does not exist")))
        }
        guard let member else {
            let leaders = partitionLeaders(of: topic)
            return then(.success(LeaderReport(leaders: leaders, agreed: [], reachable: unreachable)))
        }
        let named = Set(unreachable).filter { $0 != node }.compactMap { state.brokers[$0] }
        var agreed: Set<NodeID> = []
        var waiting = named.count + 1
        let judged = { [self] in
            waiting -= 1
            guard waiting == 0 else { return }
            member.awaitLeaders(of: topic, elsewhereThan: agreed) { [self] in
                let reachable = unreachable.filter { !agreed.contains($0) }
                let leaders = partitionLeaders(of: topic, hiding: agreed)
                then(.success(LeaderReport(leaders: leaders, agreed: agreed.sorted(), reachable: reachable)))
            }
        }
        for broker in named {
            member.doubt(broker) { isUnreachable in
                if isUnreachable { agreed.insert(broker.id) }
                judged()
            }
        }
        judged()
    }

    /// The leaders of a topic's partitions as this broker has heard, without those of `hidden` brokers.
    package func partitionLeaders(of topic: String, hiding hidden: Set<NodeID> = []) -> [PartitionLeader] {
        let leaders = member?.context.leaders() ?? LeaderTable()
        let partitions = state.topic(named: topic)?.partitions ?? []
        return partitions.enumerated().map { number, partition in
            let known = leaders[partition.group]
            let leader = member == nil ? node : known?.leader
            return PartitionLeader(
                partition: PartitionIndex(rawValue: Int32(number)),
                leader: leader.flatMap { hidden.contains($0) ? nil : $0 }, epoch: known?.term.leaderEpoch ?? -1)
        }
    }

    private func partition(_ topic: String, _ index: Int32) -> PartitionRecord? {
        guard let partitions = state.topic(named: topic)?.partitions, index >= 0, Int(index) < partitions.count else {
            return nil
        }
        return partitions[Int(index)]
    }
}

extension ClusterMember {
    /// Has the controller's leader look whether it can reach a broker that someone cannot; one that it cannot reach either
    /// is fenced, and `then` gets true.
    func doubt(_ broker: BrokerRecord, then: @escaping (Bool) -> Void) {
        guard controller.isLeading else {
            // Asked to fence a broker by another one, the leader looks for itself first.
            let command = ClusterCommand.fenceBroker(broker.id, incarnation: broker.registration.incarnation)
            return submit(command, actor: "broker \(node)") { refusal, _ in then(refusal == nil) }
        }
        guard broker.id != node else { return then(false) }
        ask(
            broker.id, .probeBroker, ProbeRequest().buffer, ProbeAnswer.self, timeout: context.timing.probe
        ) { [self] result in
            if case .success(let answer) = result, answer.incarnation == broker.registration.incarnation {
                return then(false)
            }
            guard controller.isLeading else { return then(false) }
            duties.confirmUnreachable(broker.id)
            then(true)
        }
    }

    /// Calls `then` when no partition of `topic` is led by nobody, or by a broker of `hidden`; at the latest after a few
    /// seconds.
    func awaitLeaders(of topic: String, elsewhereThan hidden: Set<NodeID>, then: @escaping () -> Void) {
        waitForLeaders(topic, hidden, until: now.advanced(byMilliseconds: context.timing.answer), then)
    }

    private func waitForLeaders(
        _ topic: String, _ hidden: Set<NodeID>, until deadline: Instant, _ then: @escaping () -> Void
    ) {
        let isSettled = controller.partitionLeaders(of: topic, hiding: hidden).allSatisfy { $0.leader != nil }
        guard !isSettled, now < deadline else { return then() }
        later(100) { [self] in waitForLeaders(topic, hidden, until: deadline, then) }
    }
}

extension ClusterCommand {
    /// How many partitions the command changes.
    fileprivate var partitionCount: Int {
        if case .beginReassignment(let targets) = self { targets.count } else { 1 }
    }
}
