// SPDX-License-Identifier: Apache-2.0
//
// KafkaClient+Offsets.swift
// Where partitions begin and end, and where a time is in them.

import KafkaProtocol
public import Model

/// What to look up in a partition.
public enum OffsetQuery: Hashable, Sendable {
    /// The first offset that is kept.
    case earliest
    /// The offset after the last record that consumers may read.
    case latest
    /// The first record at or after a time.
    case time(WallTime)

    var wireValue: Int64 {
        switch self {
        case .earliest: ListOffsetsTimestamp.earliest
        case .latest: ListOffsetsTimestamp.latest
        case .time(let time): time.milliseconds
        }
    }
}

extension KafkaClient {
    /// Looks up one position in each of `partitions`.
    ///
    /// A time after the last record has no position: its value is nil. With `committedOnly` the end of a partition, and what
    /// is searched for a time, is where the first open transaction begins.
    public func offsets(
        _ query: OffsetQuery, of partitions: [TopicPartition], committedOnly: Bool = false
    ) async throws(ClientError) -> [TopicPartition: Offset?] {
        try await retrying { client throws(ClientError) in
            let topics = Set(partitions.map(\.topic)).sorted()
            let metadata = try await client.readyMetadata(topics: topics)
            var byLeader: [NodeID: [TopicPartition]] = [:]
            for partition in partitions {
                guard let leader = metadata[partition]?.leader else {
                    throw ClientError(
                        refused: .unknownTopicOrPartition, attempted: "ListOffsets", place: "\(partition)")
                }
                byLeader[leader, default: []].append(partition)
            }
            var offsets: [TopicPartition: Offset?] = [:]
            for (leader, members) in byLeader.sorted(by: { $0.key < $1.key }) {
                let found = try await client.offsets(query, of: members, at: leader, committedOnly)
                offsets.merge(found) { _, new in new }
            }
            return offsets
        }
    }

    private func offsets(
        _ query: OffsetQuery, of partitions: [TopicPartition], at leader: NodeID, _ committedOnly: Bool
    ) async throws(ClientError) -> [TopicPartition: Offset?] {
        let isolation = committedOnly ? IsolationLevel.readCommitted : .readUncommitted
        let request = ListOffsetsRequest(
            replicaID: -1, isolationLevel: isolation.rawValue,
            topics: partitions.groupedByTopic.map { topic, members in
                .init(name: topic, partitions: members.map { .init(index: $0.rawValue, timestamp: query.wireValue) })
            })
        var offsets: [TopicPartition: Offset?] = [:]
        for topic in try await call(request, to: .node(leader)).topics {
            for answer in topic.partitions {
                let partition = TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: answer.index))
                try Self.check(answer.errorCode, nil, "ListOffsets", "\(partition)")
                offsets[partition] = .some(answer.offset < 0 ? nil : Offset(answer.offset))
            }
        }
        for partition in partitions where offsets[partition] == nil {
            throw ClientError(
                .malformedResponse, attempted: "ListOffsets", place: "\(partition)", detail: "no answer for it")
        }
        return offsets
    }
}

extension Sequence<TopicPartition> {
    /// The partitions under their topics, both in rising order, as requests list them.
    var groupedByTopic: [(topic: String, partitions: [PartitionIndex])] {
        var groups: [String: [PartitionIndex]] = [:]
        for member in self { groups[member.topic, default: []].append(member.partition) }
        return groups.map { ($0.key, $0.value.sorted()) }.sorted { $0.topic < $1.topic }
    }
}
