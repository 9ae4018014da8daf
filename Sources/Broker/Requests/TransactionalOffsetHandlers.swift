// SPDX-License-Identifier: Apache-2.0
//
// TransactionalOffsetHandlers.swift
// TxnOffsetCommit: the group's coordinator and the transaction's are one, so one broker decides about both.

import KafkaProtocol
import Model
import Settings

extension Broker {
    func txnOffsetCommit(_ request: TxnOffsetCommitRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        let entries = request.topics.flatMap { topic in
            topic.partitions.map { partition in
                OffsetCommitBatch.Entry(
                    partition: TopicPartition(
                        topic: topic.name, partition: PartitionIndex(rawValue: partition.index)),
                    offset: partition.committedOffset, leaderEpoch: partition.committedLeaderEpoch,
                    metadata: partition.committedMetadata ?? "")
            }
        }
        let longest = settings.groups.offsetMetadataMaxBytes.bytes
        let refused = entries.map { entry -> KafkaErrorCode? in
            if image.topics[entry.partition.topic]?.partition(entry.partition.partition.rawValue) == nil {
                return .unknownTopicOrPartition
            }
            return entry.metadata.utf8.count > longest ? .offsetMetadataTooLarge : nil
        }
        let commit = OffsetCommit(
            group: request.groupID,
            claim: MemberClaim(
                memberID: request.memberID, instanceID: request.groupInstanceID, generation: request.generationID),
            entries: zip(entries, refused).filter { $0.1 == nil }.map(\.0))
        commitInTransaction(request, commit, call) { code in
            call.respond(Self.answer(request, refused.map { $0 ?? code }))
        }
    }

    private func commitInTransaction(
        _ request: TxnOffsetCommitRequest, _ commit: OffsetCommit, _ call: Call,
        then: @escaping @Sendable (KafkaErrorCode) -> Void
    ) {
        let claim = ProducerClaim(
            producerID: ProducerID(rawValue: request.producerID), epoch: request.producerEpoch)
        let version = call.version
        let now = clock.wallTime()
        withTransactions { coordinator in
            let answer = { @Sendable (code: KafkaErrorCode) in
                switch code {
                // Clients before version 2 do not know that a coordinator may have to load.
                case .coordinatorLoadInProgress where version < 2: then(.coordinatorNotAvailable)
                // Not every client of this request knows that the end of a transaction may take its time.
                case .concurrentTransactions where version >= 5: then(.coordinatorLoadInProgress)
                // As with records, so with offsets: this is how a producer learns that it is fenced.
                case .producerFenced: then(.invalidProducerEpoch)
                default: then(code)
                }
            }
            if let refusal = coordinator.groups.transactionalRefusal(of: commit) { return answer(refusal.code) }
            guard !commit.entries.isEmpty else { return answer(.none) }
            let batch = OffsetCommitBatch(
                group: commit.group, committedAt: now, expiresAt: nil, entries: commit.entries)
            coordinator.commitOffsets(
                request.transactionalID, claim, batch, addsGroup: version >= 5, then: answer)
        }
    }

    private static func answer(
        _ request: TxnOffsetCommitRequest, _ codes: [KafkaErrorCode]
    ) -> TxnOffsetCommitResponse {
        var codes = codes[...]
        let topics = request.topics.map { topic in
            let partitions = topic.partitions.map {
                TxnOffsetCommitResponse.Partition(
                    index: $0.index, errorCode: codes.popFirst() ?? .unknownServerError)
            }
            return TxnOffsetCommitResponse.Topic(name: topic.name, partitions: partitions)
        }
        return TxnOffsetCommitResponse(topics: topics)
    }
}
