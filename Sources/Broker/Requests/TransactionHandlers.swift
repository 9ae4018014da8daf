// SPDX-License-Identifier: Apache-2.0
//
// TransactionHandlers.swift
// InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn; DescribeTransactions, ListTransactions.

import KafkaProtocol
import Model

extension Broker {
    // MARK: Producer ids

    func initProducerID(_ request: InitProducerIDRequest, _ call: Call) {
        guard let id = request.transactionalID else { return initIdempotentProducer(call) }
        // Transactions that another system decides about (KIP-939) are not to be had; so Kafka answers where they are off.
        if request.enablesTwoPhaseCommit || request.keepsPreparedTransaction {
            let code: KafkaErrorCode =
                request.enablesTwoPhaseCommit ? .transactionalIDAuthorizationFailed : .unsupportedVersion
            return call.respond(InitProducerIDResponse(errorCode: code, producerID: -1, producerEpoch: -1))
        }
        let isNew = request.producerID < 0 && request.producerEpoch < 0
        guard isNew || (request.producerID >= 0 && request.producerEpoch >= 0) else {
            return call.respond(InitProducerIDResponse(errorCode: .invalidRequest, producerID: -1, producerEpoch: -1))
        }
        let claim = ProducerClaim(
            producerID: ProducerID(rawValue: request.producerID), epoch: request.producerEpoch)
        withTransactions { coordinator in
            coordinator.initialise(
                id, claim: isNew ? nil : claim, timeoutMilliseconds: request.transactionTimeoutMilliseconds
            ) { result in
                switch result {
                case .success(let claim):
                    call.respond(
                        InitProducerIDResponse(producerID: claim.producerID.rawValue, producerEpoch: claim.epoch))
                case .failure(let code):
                    let code = code.known(to: call, fencedSince: 4)
                    call.respond(InitProducerIDResponse(errorCode: code, producerID: -1, producerEpoch: -1))
                }
            }
        }
    }

    private func initIdempotentProducer(_ call: Call) {
        producerIDs { id in
            guard let id else {
                return call.respond(
                    InitProducerIDResponse(errorCode: .coordinatorLoadInProgress, producerID: -1, producerEpoch: -1))
            }
            call.respond(InitProducerIDResponse(producerID: id.rawValue, producerEpoch: 0))
        }
    }

    // MARK: Partitions

    func addPartitionsToTxn(_ request: AddPartitionsToTxnRequest, _ call: Call) {
        guard call.version < 4 else { return addPartitionsOfMany(request, call) }
        let one = AddPartitionsToTxnRequest.Transaction(
            transactionalID: request.transactionalID, producerID: request.producerID,
            producerEpoch: request.producerEpoch, verifyOnly: false, topics: request.topics)
        addPartitions(one, version: 1, call) { topics in
            call.respond(AddPartitionsToTxnResponse(topics: topics))
        }
    }

    /// From version 4 on brokers ask, for transactions of version 2 and to verify those of version 1.
    private func addPartitionsOfMany(_ request: AddPartitionsToTxnRequest, _ call: Call) {
        guard !request.transactions.isEmpty else { return call.respond(AddPartitionsToTxnResponse()) }
        let gathering = Gathering<[AddPartitionsToTxnResponse.Topic]>(count: request.transactions.count) { answers in
            let transactions = zip(request.transactions, answers).map {
                AddPartitionsToTxnResponse.Transaction(transactionalID: $0.transactionalID, topics: $1)
            }
            call.respond(AddPartitionsToTxnResponse(transactions: transactions))
        }
        for (place, one) in request.transactions.enumerated() {
            addPartitions(one, version: 2, call) { gathering.set(place, $0) }
        }
    }

    private func addPartitions(
        _ one: AddPartitionsToTxnRequest.Transaction, version: UInt8, _ call: Call,
        then: @escaping @Sendable ([AddPartitionsToTxnResponse.Topic]) -> Void
    ) {
        let image = shards.shard(on: call.loop).image
        let partitions = one.topics.flatMap { topic in
            topic.partitionIndexes.map {
                TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: $0))
            }
        }
        let claim = ProducerClaim(producerID: ProducerID(rawValue: one.producerID), epoch: one.producerEpoch)
        let answer = { @Sendable (codes: [KafkaErrorCode]) in
            var codes = codes[...]
            then(
                one.topics.map { topic in
                    let answers = topic.partitionIndexes.map {
                        let code = (codes.popFirst() ?? .unknownServerError).known(to: call, fencedSince: 2)
                        return AddPartitionsToTxnResponse.Partition(index: $0, errorCode: code)
                    }
                    return AddPartitionsToTxnResponse.Topic(name: topic.name, partitions: answers)
                })
        }
        if one.verifyOnly {
            return withTransactions { $0.verify(one.transactionalID, claim, partitions, then: answer) }
        }
        let isKnown = partitions.map { image.topics[$0.topic]?.partition($0.partition.rawValue) != nil }
        // One bad partition, and nothing is added.
        guard !isKnown.contains(false) else {
            return answer(isKnown.map { $0 ? .operationNotAttempted : .unknownTopicOrPartition })
        }
        withTransactions { coordinator in
            coordinator.add(
                one.transactionalID, claim, partitions: partitions, version: version, waitsForEnd: version >= 2
            ) { code in
                answer(partitions.map { _ in code })
            }
        }
    }

    // MARK: Offsets and the end

    func addOffsetsToTxn(_ request: AddOffsetsToTxnRequest, _ call: Call) {
        guard GroupTable.isValid(request.groupID) else {
            return call.respond(AddOffsetsToTxnResponse(errorCode: .invalidGroupID))
        }
        let claim = ProducerClaim(
            producerID: ProducerID(rawValue: request.producerID), epoch: request.producerEpoch)
        withTransactions { coordinator in
            coordinator.add(request.transactionalID, claim, groups: [request.groupID], version: 1) { code in
                call.respond(AddOffsetsToTxnResponse(errorCode: code.known(to: call, fencedSince: 2)))
            }
        }
    }

    func endTxn(_ request: EndTxnRequest, _ call: Call) {
        let claim = ProducerClaim(
            producerID: ProducerID(rawValue: request.producerID), epoch: request.producerEpoch)
        let raisesEpoch = call.version >= 5
        withTransactions { coordinator in
            coordinator.end(
                request.transactionalID, claim, isCommit: request.committed, raisesEpoch: raisesEpoch
            ) { result in
                switch result {
                case .success(let next) where raisesEpoch:
                    call.respond(EndTxnResponse(producerID: next.producerID.rawValue, producerEpoch: next.epoch))
                case .success: call.respond(EndTxnResponse())
                case .failure(let code):
                    call.respond(EndTxnResponse(errorCode: code.known(to: call, fencedSince: 2)))
                }
            }
        }
    }

    // MARK: Operators

    func describeTransactions(_ request: DescribeTransactionsRequest, _ call: Call) {
        withTransactions { coordinator in
            var answers = [DescribeTransactionsResponse.Transaction?](
                repeating: nil, count: request.transactionalIDs.count)
            var missing = answers.count
            guard missing > 0 else { return call.respond(DescribeTransactionsResponse()) }
            for (place, id) in request.transactionalIDs.enumerated() {
                coordinator.describe(id) { result in
                    answers[place] = DescribeTransactionsResponse.Transaction(id, result)
                    missing -= 1
                    guard missing == 0 else { return }
                    call.respond(DescribeTransactionsResponse(transactions: answers.compactMap { $0 }))
                }
            }
        }
    }

    func listTransactions(_ request: ListTransactionsRequest, _ call: Call) {
        let names = Set(TransactionState.allCases.map(\.name) + Self.statesNeverSeen)
        let unknown = request.stateFilters.filter { !names.contains($0) }
        var filter = TransactionCoordinator.Filter(
            states: Set(request.stateFilters), producerIDs: Set(request.producerIDFilters),
            durationMilliseconds: request.durationFilterMilliseconds)
        if let pattern = request.transactionalIDPattern, !pattern.isEmpty {
            do throws(TopicPatternError) {
                filter.pattern = try TopicPattern(pattern)
            } catch {
                return call.respond(ListTransactionsResponse(errorCode: .invalidRegularExpression))
            }
        }
        if unknown.count == request.stateFilters.count, !unknown.isEmpty { filter.states = ["unknown"] }
        withTransactions { [filter] coordinator in
            let found = coordinator.list(filter).map { id, record in
                ListTransactionsResponse.Transaction(
                    transactionalID: id, producerID: record.producerID.rawValue, state: record.state.name)
            }
            call.respond(ListTransactionsResponse(unknownStateFilters: unknown, transactions: found))
        }
    }

    /// States that Kafka's coordinator has and this one passes in one step.
    private static let statesNeverSeen = ["Dead", "PrepareEpochFence"]
}

extension DescribeTransactionsResponse.Transaction {
    fileprivate init(_ id: String, _ result: Result<TransactionRecord, KafkaErrorCode>) {
        switch result {
        case .failure(let code):
            self.init(
                errorCode: code, transactionalID: id, state: "", timeoutMilliseconds: 0, startTimeMilliseconds: -1,
                producerID: -1, producerEpoch: -1)
        case .success(let record):
            self.init(
                transactionalID: id, state: record.state.name, timeoutMilliseconds: record.timeoutMilliseconds,
                startTimeMilliseconds: record.startedAt?.milliseconds ?? -1, producerID: record.producerID.rawValue,
                producerEpoch: record.epoch,
                topics: record.partitions.byTopic.map { .init(name: $0.topic, partitionIndexes: $0.indexes) })
        }
    }
}

extension KafkaErrorCode {
    /// The code as clients of the version of `call` know it: old ones know INVALID_PRODUCER_EPOCH for PRODUCER_FENCED
    /// (KIP-588), and AddPartitionsToTxn has TRANSACTION_ABORTABLE from version 5 on.
    fileprivate func known(to call: Call, fencedSince version: Int16) -> KafkaErrorCode {
        switch self {
        case .producerFenced where call.version < version: .invalidProducerEpoch
        case .transactionAbortable where call.header.key == .addPartitionsToTxn && call.version < 5: .invalidTxnState
        default: self
        }
    }
}
