// SPDX-License-Identifier: Apache-2.0
//
// OffsetHandlers.swift
// ListOffsets, OffsetForLeaderEpoch and DeleteRecords: one question to each partition, one answer to the client.

import KafkaProtocol
import Model
import Synchronization

/// Collects one answer for each question of a request; the questions go to several shards.
final class Gathering<Element: Sendable>: Sendable {
    private let state: Mutex<(answers: [Element?], missing: Int)>
    private let finish: @Sendable ([Element]) -> Void

    /// Waits for `count` answers, then calls `finish` once; at once when there is nothing to ask.
    init(count: Int, finish: @escaping @Sendable ([Element]) -> Void) {
        self.state = Mutex((Array(repeating: nil, count: count), count))
        self.finish = finish
        if count == 0 { finish([]) }
    }

    func set(_ slot: Int, _ answer: Element) {
        let done: [Element]? = state.withLock { state in
            precondition(state.answers[slot] == nil, "two answers to one question")
            state.answers[slot] = answer
            state.missing -= 1
            return state.missing == 0 ? state.answers.compactMap { $0 } : nil
        }
        if let done { finish(done) }
    }
}

extension Broker {
    func listOffsets(_ request: ListOffsetsRequest, _ call: Call) {
        typealias Answer = ListOffsetsResponse.Partition
        let shape = request.topics.map { ($0.name, $0.partitions) }
        let asked = shape.reduce(0) { $0 + $1.1.count }
        let gathering = Gathering<Answer>(count: asked) { answers in
            var rest = answers[...]
            call.respond(
                ListOffsetsResponse(
                    topics: shape.map { name, partitions in
                        let mine = rest.prefix(partitions.count)
                        rest = rest.dropFirst(partitions.count)
                        return .init(name: name, partitions: Array(mine))
                    }))
        }
        let image = shards.shard(on: call.loop).image
        var slot = 0
        for (name, partitions) in shape {
            var seen = Set<Int32>()
            for partition in partitions {
                let position = slot
                slot += 1
                guard seen.insert(partition.index).inserted else {
                    gathering.set(position, Answer(index: partition.index, errorCode: .invalidRequest))
                    continue
                }
                guard let handle = image.topics[name]?.partition(partition.index) else {
                    gathering.set(position, Answer(index: partition.index, errorCode: .unknownTopicOrPartition))
                    continue
                }
                askOffset(handle, partition) { gathering.set(position, $0) }
            }
        }
    }

    private func askOffset(
        _ handle: PartitionHandle, _ question: ListOffsetsRequest.Partition,
        then: @escaping @Sendable (ListOffsetsResponse.Partition) -> Void
    ) {
        shards.execute(on: handle.shard) { shard in
            guard let partition = shard.partitions[handle.group] else {
                return then(.init(index: question.index, errorCode: .unknownTopicOrPartition))
            }
            if let refusal = partition.refusal ?? partition.epochRefusal(question.currentLeaderEpoch) {
                return then(.init(index: question.index, errorCode: refusal))
            }
            partition.listOffset(question.timestamp) { error, offset, timestamp, epoch in
                then(
                    .init(
                        index: question.index, errorCode: error, timestamp: timestamp, offset: offset,
                        leaderEpoch: epoch))
            }
        }
    }

    func offsetForLeaderEpoch(_ request: OffsetForLeaderEpochRequest, _ call: Call) {
        typealias Answer = OffsetForLeaderEpochResponse.Partition
        let shape = request.topics.map { ($0.name, $0.partitions) }
        let gathering = Gathering<Answer>(count: shape.reduce(0) { $0 + $1.1.count }) { answers in
            var rest = answers[...]
            call.respond(
                OffsetForLeaderEpochResponse(
                    topics: shape.map { name, partitions in
                        let mine = rest.prefix(partitions.count)
                        rest = rest.dropFirst(partitions.count)
                        return .init(name: name, partitions: Array(mine))
                    }))
        }
        let image = shards.shard(on: call.loop).image
        var slot = 0
        for (name, partitions) in shape {
            for question in partitions {
                let position = slot
                slot += 1
                guard let handle = image.topics[name]?.partition(question.index) else {
                    gathering.set(position, Answer(errorCode: .unknownTopicOrPartition, index: question.index))
                    continue
                }
                shards.execute(on: handle.shard) { shard in
                    let partition = shard.partitions[handle.group]
                    let refusal = partition.map { $0.refusal ?? $0.epochRefusal(question.currentLeaderEpoch) }
                    guard let partition, refusal == .some(nil) else {
                        let code = (refusal ?? nil) ?? .unknownTopicOrPartition
                        return gathering.set(position, Answer(errorCode: code, index: question.index))
                    }
                    let end = partition.epochEnd(question.leaderEpoch)
                    gathering.set(
                        position,
                        Answer(errorCode: .none, index: question.index, leaderEpoch: end.epoch, endOffset: end.offset))
                }
            }
        }
    }

    func deleteRecords(_ request: DeleteRecordsRequest, _ call: Call) {
        typealias Answer = DeleteRecordsResponse.Partition
        let shape = request.topics.map { ($0.name, $0.partitions) }
        let gathering = Gathering<Answer>(count: shape.reduce(0) { $0 + $1.1.count }) { answers in
            var rest = answers[...]
            call.respond(
                DeleteRecordsResponse(
                    topics: shape.map { name, partitions in
                        let mine = rest.prefix(partitions.count)
                        rest = rest.dropFirst(partitions.count)
                        return .init(name: name, partitions: Array(mine))
                    }))
        }
        let image = shards.shard(on: call.loop).image
        var slot = 0
        for (name, partitions) in shape {
            for question in partitions {
                let position = slot
                slot += 1
                guard let handle = image.topics[name]?.partition(question.index) else {
                    gathering.set(
                        position, Answer(index: question.index, lowWatermark: -1, errorCode: .unknownTopicOrPartition))
                    continue
                }
                shards.execute(on: handle.shard) { shard in
                    let result =
                        shard.partitions[handle.group]?.deleteRecords(before: question.offset)
                        ?? (.unknownTopicOrPartition, -1)
                    gathering.set(
                        position,
                        Answer(index: question.index, lowWatermark: result.lowWatermark, errorCode: result.error))
                }
            }
        }
    }
}
