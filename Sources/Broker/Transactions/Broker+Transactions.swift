// SPDX-License-Identifier: Apache-2.0
//
// Broker+Transactions.swift
// What the transaction coordinator has around it: where partitions are led, and producer ids of the controller.

import KafkaProtocol
import Model
import NIOCore
import Replication
import Settings

extension Broker {
    /// Runs `body` with the transaction coordinator on its loop.
    func withTransactions(_ body: @escaping @Sendable (TransactionCoordinator) -> Void) {
        if home.inEventLoop { return body(control.value.transactions) }
        home.execute { [control] in body(control.value.transactions) }
    }

    /// Where a partition is led, as the coordinator's loop knows it; on that loop.
    ///
    /// It is gone when this broker knows all groups that were handed out while the partition was there, and not the
    /// partition: no group is handed out twice, so it was deleted. Metadata that is behind says nothing.
    func place(of partition: TopicPartition, groupsEnd: GroupID) -> MarkerQueue.Place {
        let shard = shards.shard(on: home)
        guard shard.image.topics[partition.topic]?.partition(partition.partition.rawValue) != nil else {
            let state = control.value.controller.state
            let isAhead = state.clusterID != nil && state.nextGroup >= groupsEnd
            let count = state.topic(named: partition.topic)?.partitions.count ?? 0
            return isAhead && Int(partition.partition.rawValue) >= count ? .gone : .unknown
        }
        return knownLeader(of: partition).map { .broker($0) } ?? .unknown
    }

    /// Who leads a partition, as far as the coordinator's loop knows; on that loop.
    func knownLeader(of partition: TopicPartition) -> NodeID? {
        let shard = shards.shard(on: home)
        guard let handle = shard.image.topics[partition.topic]?.partition(partition.partition.rawValue) else {
            return nil
        }
        return isAlone ? node : shard.leaders[handle.group]?.leader
    }

    /// Gives a producer id for a transactional id, of the controller's when that is led elsewhere.
    func transactionalProducerID(_ then: @escaping @Sendable (ProducerID?) -> Void) {
        if leadsController(on: home) { return producerIDs(then) }
        askController(InitProducerIDRequest(transactionTimeoutMilliseconds: 0), version: 4, ownCall()) { answer in
            guard let answer, answer.errorCode == .none else { return then(nil) }
            then(ProducerID(rawValue: answer.producerID))
        }
    }

    /// A call that no client made: what it asks for, this broker asks for.
    private func ownCall(
        _ header: RequestHeader = RequestHeader(apiKey: 0, version: 0, correlationID: 0, clientID: "goulette"),
        _ answer: Answer = Answer(send: { _ in }, close: { _ in }, onDisconnect: { _ in })
    ) -> Call {
        let address = settings.listeners.advertised
        return Call(
            header: header, loop: home,
            advertised: BrokerAddress(id: node, host: address.host, port: Int32(address.port)), peer: "",
            receivedAt: clock.now(), answer: answer, isForwarded: true)
    }
}

// MARK: - Partitions

extension Broker {
    /// Gives the transaction coordinator its surroundings, and partitions the way to coordinators; on the first loop.
    func surroundTransactions(_ coordinator: TransactionCoordinator) {
        let home = home
        coordinator.surroundings = TransactionSurroundings(
            place: { [weak self] in self?.place(of: $0, groupsEnd: $1) ?? .unknown },
            groupsEnd: { [weak self] in self?.control.value.controller.state.nextGroup ?? GroupID(rawValue: 0) },
            send: { [weak self] node, batches, epoch, then in
                guard let self else { return then(nil) }
                let bound = NIOLoopBound(then, eventLoop: home)
                send(batches, coordinatorEpoch: epoch, to: node) { answers in
                    home.execute {
                        guard let answers else { return bound.value(nil) }
                        bound.value { answers[$0]?[$1] ?? .unknownServerError }
                    }
                }
            },
            producerID: { [weak self] then in
                guard let self else { return then(nil) }
                let bound = NIOLoopBound(then, eventLoop: home)
                transactionalProducerID { id in home.execute { bound.value(id) } }
            })
        let questions = NIOLoopBoundBox(VerificationQueue(), eventLoop: home)
        let verifier = TransactionVerifier { [weak self] question, then in
            guard let self else { return then(.coordinatorNotAvailable) }
            home.execute {
                guard let request = questions.value.add(question, then: then) else { return }
                self.verify(request, questions)
            }
        }
        for number in 0..<shards.count { shards.execute(on: number) { $0.transactionVerifier = verifier } }
    }

    /// Sends markers to the broker that leads their partitions; `then` runs on any thread, with nil for no answer.
    private func send(
        _ batches: [MarkerBatch], coordinatorEpoch: Int32, to target: NodeID,
        then: @escaping @Sendable ([ProducerID: [TopicPartition: KafkaErrorCode]]?) -> Void
    ) {
        let markers = batches.map { batch in
            WriteTxnMarkersRequest.Marker(
                producerID: batch.end.producerID.rawValue, producerEpoch: batch.end.epoch,
                committed: batch.end.isCommit,
                topics: batch.partitions.byTopic.map { .init(name: $0.topic, partitionIndexes: $0.indexes) },
                coordinatorEpoch: coordinatorEpoch, transactionVersion: Int8(batch.end.version))
        }
        ask(WriteTxnMarkersRequest(markers: markers), version: 2, of: target) { response in
            guard let response else { return then(nil) }
            var answers: [ProducerID: [TopicPartition: KafkaErrorCode]] = [:]
            for marker in response.markers {
                for topic in marker.topics {
                    for one in topic.partitions {
                        let partition = TopicPartition(
                            topic: topic.name, partition: PartitionIndex(rawValue: one.index))
                        answers[ProducerID(rawValue: marker.producerID), default: [:]][partition] = one.errorCode
                    }
                }
            }
            then(answers)
        }
    }

    // MARK: Verification

    /// Asks the coordinator of a transaction, here or at another broker, and then what has gathered; on the first loop.
    private func verify(_ request: VerificationQueue.Request, _ questions: NIOLoopBoundBox<VerificationQueue>) {
        askCoordinator(request.question) { [self] codes in
            for (answer, code) in zip(request.answers, codes) { answer(code) }
            home.execute {
                if let next = questions.value.next(request.subject) { self.verify(next, questions) }
            }
        }
    }

    /// `then` runs on any thread, with one answer for each partition.
    private func askCoordinator(
        _ question: TransactionVerification, _ then: @escaping @Sendable ([KafkaErrorCode]) -> Void
    ) {
        let all = { @Sendable (code: KafkaErrorCode) in then(question.partitions.map { _ in code }) }
        let claim = ProducerClaim(producerID: question.producerID, epoch: question.producerEpoch)
        let leader = isAlone ? node : shards.shard(on: home).leaders[.coordinator]?.leader
        guard let leader else { return all(.coordinatorNotAvailable) }
        guard leader == node else { return askCoordinator(question, at: leader, then) }
        withTransactions { coordinator in
            if question.addsMissing {
                coordinator.add(
                    question.transactionalID, claim, partitions: question.partitions, version: 2, waitsForEnd: true,
                    then: all)
            } else {
                coordinator.verify(question.transactionalID, claim, question.partitions, then: then)
            }
        }
    }

    private func askCoordinator(
        _ question: TransactionVerification, at leader: NodeID, _ then: @escaping @Sendable ([KafkaErrorCode]) -> Void
    ) {
        let topics = question.partitions.byTopic.map {
            AddPartitionsToTxnRequest.Topic(name: $0.topic, partitionIndexes: $0.indexes)
        }
        let one = AddPartitionsToTxnRequest.Transaction(
            transactionalID: question.transactionalID, producerID: question.producerID.rawValue,
            producerEpoch: question.producerEpoch, verifyOnly: !question.addsMissing, topics: topics)
        ask(AddPartitionsToTxnRequest(transactions: [one]), version: 5, of: leader) { response in
            let answers = response?.transactions.flatMap(\.topics).flatMap(\.partitions) ?? []
            guard answers.count == question.partitions.count else {
                return then(question.partitions.map { _ in .coordinatorNotAvailable })
            }
            then(answers.map(\.errorCode))
        }
    }

    // MARK: Brokers

    /// How long a broker may take to answer another one.
    private static let askTimeout = Duration.seconds(30)

    /// Makes a request of a broker, which may be this one; `then` runs on any thread, with nil when there is no answer.
    func ask<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, of target: NodeID, then: @escaping @Sendable (Request.Response?) -> Void
    ) {
        var writer = WireWriter()
        request.encode(to: &writer, version: version)
        let body = writer.finishContiguous()
        let header = RequestHeader(
            apiKey: Request.apiKey.rawValue, version: version, correlationID: 0, clientID: "goulette")
        let decode = { @Sendable (body: ByteBuffer) in
            try? ResponseDecoder.decode(Request.Response.self, from: body, version: version)
        }
        if target == node {
            let answer = Answer(
                send: { response in then(response.flatMap { decode($0.contiguous()) }) }, close: { _ in then(nil) },
                onDisconnect: { _ in })
            let call = ownCall(header, answer)
            return home.execute { [self] in handle(call, body: body) }
        }
        guard let link = forwarder?.link else { return then(nil) }
        let forwarded = ForwardedRequest(header: header, peer: "", body: body).encoded()
        link.call(.forwardKafkaRequest, forwarded, to: target, timeout: Self.askTimeout) { result in
            then((try? result.get()).flatMap(decode))
        }
    }
}
