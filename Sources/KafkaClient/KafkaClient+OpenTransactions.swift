// SPDX-License-Identifier: Apache-2.0
//
// KafkaClient+OpenTransactions.swift
// Transactions from the side of the partitions: what is open there, what of it hangs, and how that is ended (KIP-664).

import KafkaProtocol
public import Model

extension KafkaClient {
    /// The transactions that are open in `partitions`, as their leaders see it; by partition, then by offset.
    public func openTransactions(
        in partitions: [TopicPartition]
    ) async throws(ClientError) -> [OpenTransaction] {
        try await retrying { client throws(ClientError) in
            let metadata = try await client.readyMetadata(topics: Set(partitions.map(\.topic)).sorted())
            var byLeader: [NodeID: [TopicPartition]] = [:]
            for partition in partitions {
                guard let known = metadata[partition] else {
                    throw ClientError(
                        refused: .unknownTopicOrPartition, attempted: "DescribeProducers", place: "\(partition)")
                }
                guard let leader = known.leader else {
                    throw ClientError(
                        refused: .leaderNotAvailable, attempted: "DescribeProducers", place: "\(partition)")
                }
                byLeader[leader, default: []].append(partition)
            }
            var found: [OpenTransaction] = []
            for (leader, members) in byLeader.sorted(by: { $0.key < $1.key }) {
                for start in stride(from: 0, to: members.count, by: Self.partitionsOfRequest) {
                    let some = Array(members[start..<min(start + Self.partitionsOfRequest, members.count)])
                    found += try await client.openTransactions(in: some, at: leader)
                }
            }
            return found.sorted {
                ($0.partition.topic, $0.partition.partition, $0.startOffset)
                    < ($1.partition.topic, $1.partition.partition, $1.startOffset)
            }
        }
    }

    /// Partitions that one request asks about: a leader answers with all producers that it remembers.
    private static let partitionsOfRequest = 100

    private func openTransactions(
        in partitions: [TopicPartition], at leader: NodeID
    ) async throws(ClientError) -> [OpenTransaction] {
        let request = DescribeProducersRequest(
            topics: partitions.groupedByTopic.map { topic, members in
                .init(name: topic, partitionIndexes: members.map(\.rawValue))
            })
        var found: [OpenTransaction] = []
        for topic in try await call(request, to: .node(leader)).topics {
            for answer in topic.partitions {
                let partition = TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: answer.index))
                try Self.check(answer.errorCode, answer.errorMessage, "DescribeProducers", "\(partition)")
                for producer in answer.producers where producer.currentTransactionStartOffset >= 0 {
                    found.append(
                        OpenTransaction(
                            partition: partition, producerID: ProducerID(rawValue: producer.producerID),
                            producerEpoch: Int16(clamping: producer.producerEpoch),
                            coordinatorEpoch: producer.coordinatorEpoch,
                            startOffset: Offset(producer.currentTransactionStartOffset),
                            lastMilliseconds: producer.lastTimestamp))
                }
            }
        }
        return found
    }

    /// Those of `open` that their coordinator does not know as open, and that are still there afterwards.
    ///
    /// The partitions are asked once more at the end: a transaction may end while its coordinator is asked.
    public func hanging(among open: [OpenTransaction]) async throws(ClientError) -> [OpenTransaction] {
        guard !open.isEmpty else { return [] }
        let known = try await describeTransactions(of: Set(open.map(\.producerID)))
        let suspects = open.filter { one in !known.contains { one.isAwaited(by: $0) } }
        guard !suspects.isEmpty else { return [] }
        let still = try await openTransactions(in: Array(Set(suspects.map(\.partition))))
        return suspects.filter { one in still.contains { $0.isSame(as: one) } }
    }

    /// What the coordinators know of producers; nothing of those that belong to no transactional id.
    private func describeTransactions(
        of producers: Set<ProducerID>
    ) async throws(ClientError) -> [TransactionDescription] {
        let brokers = try await metadata(topics: []).brokers
        return try await retrying { client throws(ClientError) in
            // A broker that does not coordinate has nothing to list, so a coordinator has to be there before and behind.
            try await client.checkCoordinator()
            var found: [TransactionDescription] = []
            for broker in brokers {
                let request = ListTransactionsRequest(producerIDFilters: producers.map(\.rawValue).sorted())
                let response = try await client.call(request, to: .node(broker.id))
                try Self.check(response.errorCode, nil, "ListTransactions", "broker \(broker.id)")
                for one in response.transactions {
                    do throws(ClientError) {
                        found.append(try await client.describeTransaction(one.transactionalID))
                    } catch {
                        // It may have expired meanwhile: then nothing of it was open.
                        guard error.kafka == .transactionalIDNotFound else { throw error }
                    }
                }
            }
            try await client.checkCoordinator()
            return found
        }
    }

    /// Fails unless there is a coordinator that a quorum agrees with.
    private func checkCoordinator() async throws(ClientError) {
        let id = "goulette-nobody"
        let coordinator = try await coordinator(of: id, .transaction)
        let response = try await call(DescribeTransactionsRequest(transactionalIDs: [id]), to: .node(coordinator))
        let code = response.transactions.first?.errorCode
        if code != .transactionalIDNotFound {
            try Self.check(code, nil, "DescribeTransactions", "broker \(coordinator)")
        }
    }

    /// Ends a transaction in one partition without its coordinator; returns once the marker is committed.
    ///
    /// Only for one that hangs: the coordinator of another one may commit the rest of it.
    public func abandon(_ open: OpenTransaction) async throws(ClientError) {
        let partition = open.partition
        // Whoever never had a marker has had no coordinator either; the first one's term is not below 0.
        let marker = WriteTxnMarkersRequest.Marker(
            producerID: open.producerID.rawValue, producerEpoch: open.producerEpoch, committed: false,
            topics: [.init(name: partition.topic, partitionIndexes: [partition.partition.rawValue])],
            coordinatorEpoch: max(0, open.coordinatorEpoch))
        try await retrying { client throws(ClientError) in
            let metadata = try await client.readyMetadata(topics: [partition.topic])
            guard let leader = metadata[partition]?.leader else {
                throw ClientError(refused: .leaderNotAvailable, attempted: "WriteTxnMarkers", place: "\(partition)")
            }
            let response = try await client.call(WriteTxnMarkersRequest(markers: [marker]), to: .node(leader))
            let answer = response.markers.first?.topics.first?.partitions.first
            try Self.check(answer?.errorCode, nil, "WriteTxnMarkers", "\(partition)")
        }
    }
}
