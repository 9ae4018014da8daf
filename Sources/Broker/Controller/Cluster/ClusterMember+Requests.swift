// SPDX-License-Identifier: Apache-2.0
//
// ClusterMember+Requests.swift
// What other brokers ask of this one, as the leader of the controller's group or as one that runs replicas; and asking
// others for the same.

import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import Raft
import Replication

extension ClusterMember {
    /// Serves the controller's requests from now on.
    func serveRequests() {
        serve(.registerBroker, RegisterRequest.self, access: .anyone) { member, request, from, answer in
            member.register(request, from: from, answer: answer)
        }
        serve(.placeBroker, PlaceRequest.self, access: .anyone) { member, request, from, answer in
            answer(member.place(request, from: from))
        }
        serve(.brokerHeartbeat, BrokerHeartbeat.self) { member, request, _, answer in
            guard member.controller.isLeading else { return answer(MembershipAnswer.notController(member.leader)) }
            answer(member.duties.heard(request))
        }
        serve(.startPartitionRaftGroup, StartReplicaRequest.self) { member, request, _, answer in
            member.startReplica(request) { answer($0) }
        }
        serve(.stopPartitionRaftGroup, StopReplicaRequest.self) { member, request, _, answer in
            member.stopReplica(request) { answer($0) }
        }
        serve(.proposeClusterCommand, ProposalRequest.self) { member, request, from, answer in
            member.propose(request, from: from) { answer($0) }
        }
        serve(.transferLeadership, TransferRequest.self) { member, request, _, answer in
            member.handOver(request) { answer($0) }
        }
        let bound = NIOLoopBound(self, eventLoop: loop)
        context.requests.serve(.probeBroker, access: .anyone) { [loop] _, answer in
            loop.execute { answer(.success(bound.value.probe.buffer)) }
        }
    }

    /// Decodes a request, and serves it on the controller's loop.
    private func serve<Request: PeerBody>(
        _ type: PeerRequestType, _ request: Request.Type, access: PeerRequestTable.Access = .members,
        _ body: @escaping @Sendable (ClusterMember, Request, NodeID, @escaping (any PeerBody) -> Void) -> Void
    ) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        context.requests.serve(type, access: access) { [loop] call, answer in
            let decoded: Request
            do {
                decoded = try Request(decoding: call.body)
            } catch {
                return answer(.failure(.failed("the request cannot be read: \(error)")))
            }
            loop.execute {
                body(bound.value, decoded, call.from) { answer(.success($0.buffer)) }
            }
        }
    }

    // MARK: At the controller's leader

    private func register(_ request: RegisterRequest, from: NodeID, answer: @escaping (any PeerBody) -> Void) {
        guard controller.isLeading else { return answer(MembershipAnswer.notController(leader)) }
        guard request.registration.id == from else {
            return answer(MembershipAnswer.refused("broker \(from) cannot register broker \(request.registration.id)"))
        }
        guard let clusterID = controller.state.clusterID else { return answer(MembershipAnswer.notController(nil)) }
        if let other = request.clusterID, other != clusterID {
            return answer(MembershipAnswer.refused("the broker belongs to cluster \(other), this is \(clusterID)"))
        }
        duties.register(request.registration) { answer($0) }
    }

    private func place(_ request: PlaceRequest, from: NodeID) -> PlaceAnswer {
        guard controller.isLeading else { return .notController(leader) }
        let state = controller.state
        guard let broker = state.brokers[from], from == request.node,
            broker.registration.incarnation == request.incarnation
        else { return .unknownBroker }
        let own: [GroupID] = [.controller, .coordinator]
        guard broker.lostGroups.isEmpty, own.allSatisfy({ state.ownFloors[$0] != nil }) else { return .leaving }
        return .ready(state.ownFloors)
    }

    private func propose(_ request: ProposalRequest, from: NodeID, answer: @escaping (ProposalAnswer) -> Void) {
        guard controller.isLeading else { return answer(.notController(leader)) }
        let then: (AdminRefusal?, ClusterChange) -> Void = { refusal, change in
            if let refusal {
                return answer(
                    refusal.code == .notController
                        ? .notController(refusal.controller)
                        : .refused(code: refusal.code.rawValue, message: refusal.message))
            }
            guard case .producerIDsAllocated(let first, let count) = change else { return answer(.applied) }
            answer(.producerIDs(first: first, count: count))
        }
        if case .fenceBroker(let suspect, _) = request.command {
            guard let broker = controller.state.brokers[suspect] else {
                return then(AdminRefusal(ClusterRefusal.unknownBroker(suspect)), .none)
            }
            return doubt(broker) { isUnreachable in
                guard !isUnreachable else { return answer(.applied) }
                then(AdminRefusal(.invalidRequest, "Broker \(suspect) answers the controller"), .none)
            }
        }
        if case .allocateProducerIDs = request.command {
            // The leader alone knows which ids come next.
            return controller.allocateProducerIDs { block in
                guard let block else { return answer(.notController(nil)) }
                answer(.producerIDs(first: block.first, count: block.count))
            }
        }
        controller.propose(request.command, actor: request.actor, then: then)
    }

    // MARK: At the broker of a replica

    private func startReplica(_ request: StartReplicaRequest, answer: @escaping (ReplicaAnswer) -> Void) {
        let group = request.start.group
        let state = controller.state
        guard group >= .firstPartition else { return answer(ReplicaAnswer(.invalidGroup)) }
        guard reconciler.isCurrent(state), reconciler.isPresent(state) else {
            return answer(ReplicaAnswer(.notRegistered))
        }
        let isRunning = host.running(group) != nil
        var start = request.start
        if let partition = state.partition(group) {
            // What was asked may be old: what is applied here decides.
            let isStored = host.stored.contains(group)
            guard let known = reconciler.start(partition, state, isStored: isStored) else {
                return answer(ReplicaAnswer(.refused, "the replica is not wanted here, or not yet"))
            }
            start = known
        } else if group < state.nextGroup || state.lastOperation >= request.operation {
            return answer(ReplicaAnswer(.unknownTopic))
        }
        host.start(start, configuration: request.configuration, operation: request.operation) {
            [self] failure in
            switch failure {
            case nil:
                if request.campaigns { campaign(group) }
                answer(ReplicaAnswer(isRunning ? .alreadyRunning : .started))
            case .refused(let refusal): answer(ReplicaAnswer(.invalidConfiguration, refusal.message))
            case .store(let error, _): answer(ReplicaAnswer(.storageFailed, "\(error)"))
            case .stopped: answer(ReplicaAnswer(.refused, "the broker is stopping"))
            }
        }
    }

    /// Asks for leadership of a group that nobody leads yet.
    func campaign(_ group: GroupID) {
        host.withReplica(group) { replica in
            guard let replica, replica.leader == nil, replica.role == .follower else { return }
            replica.campaign()
        }
    }

    private func stopReplica(_ request: StopReplicaRequest, answer: @escaping (ReplicaAnswer) -> Void) {
        guard request.group >= .firstPartition else { return answer(ReplicaAnswer(.invalidGroup)) }
        guard let running = host.running(request.group) else { return answer(ReplicaAnswer(.notRunning)) }
        // A later operation may have brought the replica back.
        guard running.startedBy <= request.operation else { return answer(ReplicaAnswer(.refused)) }
        host.stop(request.group) { answer(ReplicaAnswer(.stopped)) }
    }

    private func handOver(_ request: TransferRequest, answer: @escaping (ReplicaAnswer) -> Void) {
        // Waiting for one that is away would only cost writes.
        guard context.connected().contains(request.target) else {
            return answer(ReplicaAnswer(.refused, "broker \(request.target) is not connected"))
        }
        let back = NIOLoopBound(answer, eventLoop: loop)
        host.withReplica(request.group) { [loop] replica in
            let done: @Sendable (ReplicaAnswer) -> Void = { answer in
                if loop.inEventLoop { back.value(answer) } else { loop.execute { back.value(answer) } }
            }
            guard let replica, replica.leadingTerm != nil else { return done(ReplicaAnswer(.notLeader)) }
            replica.transferLeadership(to: request.target) { result in
                switch result {
                case .success(.handedOver): done(ReplicaAnswer(.handedOver))
                case .success(.timedOut): done(ReplicaAnswer(.timedOut))
                case .success(.abandoned): done(ReplicaAnswer(.refused, "the transfer was abandoned"))
                case .failure(let error): done(ReplicaAnswer(.refused, "\(error)"))
                }
            }
        }
    }

    // MARK: Asking others

    /// Has a leadership handed over, here or on another broker.
    func transfer(_ group: GroupID, from: NodeID, to: NodeID, then: @escaping (ReplicaAnswer) -> Void) {
        let request = TransferRequest(group: group, target: to)
        if from == node { return handOver(request, answer: then) }
        ask(from, .transferLeadership, request.buffer, ReplicaAnswer.self, timeout: transferMilliseconds) { result in
            switch result {
            case .success(let answer): then(answer)
            case .failure(let error): then(ReplicaAnswer(.timedOut, "\(error)"))
            }
        }
    }

    /// The balancer gives a move up after ten seconds.
    private var transferMilliseconds: Int64 { 10_000 }

    /// New partitions that are started one by one; with more of them every broker has a queue.
    private static let startsTogetherMax = 64

    /// Has new partitions started on all their brokers.
    ///
    /// The preferred leader of a few comes last, so that it is elected at once. Of many it comes first: brokers are at
    /// different places in their queues, and who waits in vain there is elected as soon as another broker has come as far
    /// (``ReplicaGroup/awaitFirstLeader(_:)``).
    ///
    /// `then` runs when all have answered or their time is up: what is missing then, each broker makes up for by itself.
    func startEverywhere(_ topic: TopicRecord, _ indices: [PartitionIndex], then: @escaping () -> Void) {
        let operation = controller.state.lastOperation
        var waiting = indices.count
        guard waiting > 0 else { return then() }
        let requests = indices.map { index in
            let partition = topic.partitions[Int(index.rawValue)]
            let start = ReplicaStart(
                group: partition.group, topic: topic.name, topicID: topic.id, partition: index,
                founders: partition.founders, joins: false, isAlone: partition.hosts.count == 1)
            return (
                partition.replicas,
                StartReplicaRequest(
                    start: start, configuration: topic.configuration, operation: operation, campaigns: false)
            )
        }
        let isMany = indices.count > Self.startsTogetherMax
        if isMany {
            for (replicas, request) in requests where replicas.count > 1 { startPreferred(replicas, request) {} }
        }
        for (replicas, request) in requests {
            startOthers(replicas, request) { [self] in
                let done = {
                    waiting -= 1
                    if waiting == 0 { then() }
                }
                // Of many, this asks whether it has started, and whether nobody leads yet.
                startPreferred(replicas, request, then: done)
            }
        }
    }

    private func startPreferred(_ replicas: [NodeID], _ request: StartReplicaRequest, then: @escaping () -> Void) {
        guard let preferred = replicas.first else { return then() }
        var request = request
        request.campaigns = true
        send(request, to: preferred, then: then)
    }

    private func startOthers(_ replicas: [NodeID], _ request: StartReplicaRequest, then: @escaping () -> Void) {
        let others = replicas.dropFirst()
        var missing = others.count
        guard missing > 0 else { return then() }
        for other in others {
            send(request, to: other) {
                missing -= 1
                if missing == 0 { then() }
            }
        }
    }

    private func send(_ request: StartReplicaRequest, to broker: NodeID, then: @escaping () -> Void) {
        if broker == node { return startReplica(request) { _ in then() } }
        ask(
            broker, .startPartitionRaftGroup, request.buffer, ReplicaAnswer.self, timeout: context.timing.answer
        ) { [logger] result in
            switch result {
            case .success(let answer) where answer.status.isFine: break
            case .success(let answer):
                logger.warning(
                    "A replica is not started",
                    metadata: [
                        "broker": "\(broker)", "group": "\(request.start.group)", "status": "\(answer.status)",
                        "reason": "\(answer.message)",
                    ])
            case .failure(let error):
                logger.warning(
                    "A broker does not say that it started a replica",
                    metadata: ["broker": "\(broker)", "group": "\(request.start.group)", "error": "\(error)"])
            }
            then()
        }
    }

    /// Has the replicas of a deleted topic stopped; `then` runs when all have answered or their time is up.
    func stopEverywhere(_ topic: TopicRecord, then: @escaping () -> Void) {
        let operation = controller.state.lastOperation
        let pairs = topic.partitions.flatMap { partition in partition.hosts.map { (partition.group, $0) } }
            .filter { $0.1 != node }
        var waiting = pairs.count
        guard waiting > 0 else { return then() }
        for (group, broker) in pairs {
            let request = StopReplicaRequest(group: group, operation: operation)
            ask(
                broker, .stopPartitionRaftGroup, request.buffer, ReplicaAnswer.self, timeout: context.timing.answer
            ) { _ in
                waiting -= 1
                if waiting == 0 { then() }
            }
        }
    }
}
