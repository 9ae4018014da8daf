// SPDX-License-Identifier: Apache-2.0
//
// KafkaClient+Transactions.swift
// Administrative calls about transactions: which there are, what they hold up, and their end.

import KafkaProtocol
public import Model

/// A transactional id as a list shows it.
public struct TransactionListing: Equatable, Sendable {
    /// The transactional id.
    public let id: String
    /// The producer id that belongs to it.
    public let producerID: ProducerID
    /// `Ongoing`, `CompleteCommit` and so on.
    public let state: String
    /// The broker that coordinates it.
    public let coordinator: NodeID
}

/// A transactional id and its transaction.
public struct TransactionDescription: Equatable, Sendable {
    /// The transactional id.
    public let id: String
    /// The producer id that belongs to it.
    public let producerID: ProducerID
    /// The producer's epoch.
    public let epoch: Int16
    /// `Ongoing`, `CompleteCommit` and so on.
    public let state: String
    /// How long a transaction may stay open.
    public let timeoutMilliseconds: Int32
    /// When the open transaction began, in milliseconds since 1970; nil when none is open.
    public let startMilliseconds: Int64?
    /// The broker that coordinates it.
    public let coordinator: NodeID
    /// The partitions of the open transaction, in order.
    public let partitions: [TopicPartition]
}

extension KafkaClient {
    /// Every transactional id of the cluster, by name; with `states`, those in one of them.
    public func listTransactions(states: [String] = []) async throws(ClientError) -> [TransactionListing] {
        let brokers = try await metadata(topics: []).brokers
        var found: [TransactionListing] = []
        for broker in brokers {
            let response = try await retrying { client throws(ClientError) in
                let request = ListTransactionsRequest(stateFilters: states)
                let response = try await client.call(request, to: .node(broker.id))
                try Self.check(response.errorCode, nil, "ListTransactions", "broker \(broker.id)")
                if let unknown = response.unknownStateFilters.first {
                    throw ClientError(
                        .invalidArgument, attempted: "ListTransactions", place: "state \(unknown)",
                        detail: "no transaction can be in it")
                }
                return response
            }
            found += response.transactions.map {
                TransactionListing(
                    id: $0.transactionalID, producerID: ProducerID(rawValue: $0.producerID), state: $0.state,
                    coordinator: broker.id)
            }
        }
        return found.sorted { $0.id < $1.id }
    }

    /// A transactional id with its transaction.
    public func describeTransaction(_ id: String) async throws(ClientError) -> TransactionDescription {
        try await retrying { client throws(ClientError) in
            let coordinator = try await client.coordinator(of: id, .transaction)
            let request = DescribeTransactionsRequest(transactionalIDs: [id])
            let response = try await client.call(request, to: .node(coordinator))
            guard let one = response.transactions.first else {
                throw ClientError(
                    .malformedResponse, attempted: "DescribeTransactions", place: id, detail: "no answer for it")
            }
            try Self.check(one.errorCode, nil, "DescribeTransactions", "transactional id \(id)")
            let partitions = one.topics.flatMap { topic in
                topic.partitionIndexes.map {
                    TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: $0))
                }
            }
            return TransactionDescription(
                id: id, producerID: ProducerID(rawValue: one.producerID), epoch: one.producerEpoch, state: one.state,
                timeoutMilliseconds: one.timeoutMilliseconds,
                startMilliseconds: one.startTimeMilliseconds >= 0 ? one.startTimeMilliseconds : nil,
                coordinator: coordinator,
                partitions: partitions.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) })
        }
    }

    /// Fences the producer of a transactional id, and so aborts its open transaction; returns once that is done.
    public func abortTransaction(_ id: String, timeoutMilliseconds: Int32) async throws(ClientError) {
        try await retrying { client throws(ClientError) in
            let coordinator = try await client.coordinator(of: id, .transaction)
            // A producer that begins ends what the one before it has left. Until then the answer is to ask again.
            let request = InitProducerIDRequest(
                transactionalID: id, transactionTimeoutMilliseconds: timeoutMilliseconds)
            let response = try await client.call(request, to: .node(coordinator))
            try Self.check(response.errorCode, nil, "abort transaction", "transactional id \(id)")
        }
    }
}
