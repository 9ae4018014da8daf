// SPDX-License-Identifier: Apache-2.0
//
// ControllerDuties.swift
// What the leader of the controller's group does beside carrying out requests: watches the brokers, moves leaders and
// replicas. The shell of detector, balancer and planner; confined to the controller's event loop.

import KafkaProtocol
import Logging
import Model
import Raft
import Replication
import Settings

/// The leader's side of the controller.
final class ControllerDuties {
    private unowned let member: ClusterMember
    private unowned let controller: Controller
    private(set) var detector: FailureDetector
    private(set) var balancer: LeaderBalancer
    let planner: ReassignmentPlanner
    private(set) var loads: [NodeID: BrokerLoad] = [:]
    /// How much of the controller's log each broker has applied.
    private(set) var applied: [NodeID: UInt64] = [:]
    private let replaceAfter: Int64?
    private var judging: Set<NodeID> = []
    private var plansUnderWay = 0

    init(_ member: ClusterMember) {
        self.member = member
        controller = member.controller
        var settings = FailureDetector.Settings()
        if let cluster = controller.settings.cluster {
            settings.failAfter = cluster.failureTimeout.milliseconds
            settings.suspectAfter = min(settings.suspectAfter, settings.failAfter / 2)
            settings.failDisconnectedAfter = min(settings.failDisconnectedAfter, settings.failAfter)
            settings.replaceAfter = cluster.replicaReplacementGrace?.milliseconds ?? settings.replaceAfter
            replaceAfter = cluster.replicaReplacementGrace?.milliseconds
        } else {
            replaceAfter = settings.replaceAfter
        }
        detector = FailureDetector(settings: settings)
        var balance = LeaderBalancer.Settings()
        balance.rest = member.context.timing.scaled(balance.rest)
        balance.failureRest = member.context.timing.scaled(balance.failureRest)
        balancer = LeaderBalancer(settings: balance)
        planner = ReassignmentPlanner()
    }

    private var state: ClusterState { controller.state }

    // MARK: Leading

    /// This broker leads the controller's group now.
    func begin() {
        detector.begin(state.brokers.values, now: member.now, wallTime: controller.clock.wallTime())
        let connected = Set(member.context.connected())
        for broker in state.brokers.keys where broker != member.node {
            detector.connection(broker, isUp: connected.contains(broker))
        }
        balancer = LeaderBalancer(settings: balancer.settings)
        loads = [:]
        judging = []
        plansUnderWay = 0
        controller.logger.info(
            "Leading the controller",
            metadata: ["operation": "\(state.lastOperation)", "brokers": "\(state.brokers.count)"])
    }

    /// A connection came up, or was lost.
    func connection(_ node: NodeID, isUp: Bool) { detector.connection(node, isUp: isUp) }

    func forget(_ node: NodeID) {
        detector.unregistered(node)
        loads[node] = nil
        applied[node] = nil
    }

    /// Takes a broker into the cluster, or its next life.
    func register(_ registration: BrokerRegistration, then: @escaping (MembershipAnswer) -> Void) {
        if let known = state.brokers[registration.id], known.health == .active,
            known.registration.incarnation != registration.incarnation,
            known.registration.peer != registration.peer,
            detector.suspicion(of: registration.id, now: member.now) == .active
        {
            let place = "\(known.registration.peer.host):\(known.registration.peer.port)"
            return then(.refused("broker id \(registration.id) is in use by the broker at \(place)"))
        }
        if state.retired[registration.id] == registration.storeID {
            return then(.refused(AdminRefusal(ClusterRefusal.retired(registration.id)).message))
        }
        if state.brokers[registration.id]?.registration == registration {
            // It asks again because it has not applied the entry yet.
            return then(.accepted(clusterID: state.clusterID ?? ""))
        }
        controller.propose(.registerBroker(registration), actor: "broker \(registration.id)") { [self] refusal, _ in
            if let refusal {
                return then(
                    refusal.code == .notController ? .notController(refusal.controller) : .refused(refusal.message))
            }
            detector.registered(registration.id, incarnation: registration.incarnation, now: member.now)
            controller.logger.info(
                "Broker registered",
                metadata: ["broker": "\(registration.id)", "incarnation": "\(registration.incarnation)"])
            then(.accepted(clusterID: state.clusterID ?? ""))
        }
    }

    /// A broker lives.
    @discardableResult
    func heard(_ heartbeat: BrokerHeartbeat) -> MembershipAnswer {
        guard state.brokers[heartbeat.node]?.registration.incarnation == heartbeat.incarnation else {
            return .unknownBroker
        }
        detector.heartbeat(
            heartbeat.node, incarnation: heartbeat.incarnation, isReady: heartbeat.isReady, now: member.now)
        loads[heartbeat.node] = heartbeat.load
        applied[heartbeat.node] = heartbeat.operation
        return .accepted(clusterID: state.clusterID ?? "")
    }

    /// Time has passed.
    func look(isSweep: Bool) {
        judge()
        guard isSweep else { return }
        plan()
        balance()
    }

    // MARK: Failures

    private func judge() {
        for verdict in detector.evaluate(state.brokers.values, now: member.now) {
            switch verdict {
            case .fence(let node, let incarnation):
                propose(.fenceBroker(node, incarnation: incarnation), about: node)
            case .unfence(let node, let incarnation):
                propose(.unfenceBroker(node, incarnation: incarnation), about: node)
            }
        }
    }

    private func propose(_ command: ClusterCommand, about node: NodeID) {
        guard judging.insert(node).inserted else { return }
        controller.propose(command, actor: Controller.ownActor) { [self] refusal, change in
            judging.remove(node)
            guard refusal == nil, case .brokerChanged(let broker) = change else { return }
            controller.logger.notice(
                "Broker judged", metadata: ["broker": "\(node)", "state": "\(broker.state.rawValue)"])
        }
    }

    /// The brokers whose replicas should be replaced.
    var replaceable: Set<NodeID> {
        replaceAfter == nil ? [] : detector.replaceable(state.brokers.values, now: member.now)
    }

    /// The same by what is stored alone, for whoever does not lead the controller.
    func longFailed(_ state: ClusterState) -> Set<NodeID> {
        guard let replaceAfter else { return [] }
        let now = controller.clock.wallTime().milliseconds
        let failed = state.brokers.values.filter {
            $0.health == .failed && now - $0.since.milliseconds >= replaceAfter
        }
        return Set(failed.map(\.id))
    }

    /// Fences a broker that others cannot reach and this one neither.
    func confirmUnreachable(_ node: NodeID) {
        detector.confirmedUnreachable(node, now: member.now)
        judge()
    }

    // MARK: Replicas

    private func plan() {
        guard plansUnderWay == 0, state.brokers.count > 1 else { return }
        let voters = Set(
            controller.machine.replica.configuration.voters + member.context.coordinator.configuration.voters)
        let commands = planner.plan(state, replaceable: replaceable, voters: voters)
        plansUnderWay = commands.count
        for command in commands {
            controller.propose(command, actor: Controller.ownActor) { [self] refusal, _ in
                plansUnderWay -= 1
                guard let refusal else { return }
                controller.logger.debug("A planned step was refused", metadata: ["reason": "\(refusal.message)"])
            }
        }
    }

    // MARK: Leaders

    private func balance() {
        guard state.brokers.count > 1 else { return }
        let wall = controller.clock.wallTime().milliseconds
        let able = state.brokers.values.filter {
            $0.acceptsReplicas && wall - $0.since.milliseconds >= member.context.timing.settle
                && detector.mayLead($0.id, now: member.now)
        }
        let draining = state.brokers.values.filter { $0.drain != nil }
        let moves = balancer.plan(
            views(), canLead: Set(able.map(\.id)), draining: Set(draining.map(\.id)), now: member.now)
        for move in moves { make(move) }
    }

    /// Partitions whose members are not just being changed, as the balancer sees them.
    private func views() -> [LeaderView] {
        let leaders = member.context.leaders()
        var rates: [GroupID: Double] = [:]
        for one in loads.values.joined(\.busiest) { rates[one.group] = Double(one.recordsPerSecond) }
        var views: [LeaderView] = []
        for topic in state.topics.values {
            for partition in topic.partitions where partition.reassignment == nil {
                let rejoining = partition.rejoining
                views.append(
                    LeaderView(
                        group: partition.group,
                        replicas: rejoining.isEmpty
                            ? partition.replicas : partition.replicas.filter { !rejoining.contains($0) },
                        leader: leaders[partition.group]?.leader, load: rates[partition.group] ?? 0))
            }
        }
        return views
    }

    private func make(_ move: LeaderMove) {
        controller.logger.info(
            "Leader moves",
            metadata: [
                "group": "\(move.group)", "from": "\(move.from)", "to": "\(move.to)",
                "reason": "\(move.reason.rawValue)",
            ])
        guard move.reason == .overload else { return transfer(move) }
        controller.propose(.preferLeader(move.group, move.to), actor: Controller.ownActor) { [self] refusal, _ in
            if refusal == nil { transfer(move) } else { balancer.failed(move.group, now: member.now) }
        }
    }

    private func transfer(_ move: LeaderMove) {
        member.transfer(move.group, from: move.from, to: move.to) { [self] answer in
            guard !answer.status.isFine else { return }
            controller.logger.debug(
                "A leader does not move",
                metadata: ["group": "\(move.group)", "status": "\(answer.status)", "reason": "\(answer.message)"])
            balancer.failed(move.group, now: member.now)
        }
    }

    /// Lets a group's leader move at once, however often it would not.
    func elect(_ group: GroupID) { balancer.wake(group) }

    // MARK: Telling

    /// What is thought of a broker now.
    func suspicion(of node: NodeID) -> FailureDetector.Suspicion? { detector.suspicion(of: node, now: member.now) }

    /// How long a broker has been silent.
    func silence(of node: NodeID) -> Int64? { detector.silence(of: node, now: member.now) }
}

extension Sequence {
    /// The elements of a list in each element, one after the other.
    fileprivate func joined<Inner>(_ list: (Element) -> [Inner]) -> [Inner] { flatMap(list) }
}
