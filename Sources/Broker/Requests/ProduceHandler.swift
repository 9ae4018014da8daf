// SPDX-License-Identifier: Apache-2.0
//
// ProduceHandler.swift
// Produce: hands each partition its batch and answers when all of them know their outcome.

import KafkaProtocol
import Model
import NIOCore
import Telemetry

extension Broker {
    /// What the answer needs of the request: names and numbers, not the records.
    private struct Shape: Sendable {
        var topics: [(name: String, id: TopicID, partitions: [Int32])]
    }

    func produce(_ request: ProduceRequest, _ call: Call) {
        let shape = Shape(topics: request.topics.map { ($0.name, $0.topicID, $0.partitions.map(\.index)) })
        let count = shape.topics.reduce(0) { $0 + $1.partitions.count }
        guard count > 0 else { return answerProduce([], shape, request.acks, call) }
        let acks = request.acks
        let pending = PendingProduce(count: count) { [self] outcomes in
            // Who leads instead is looked up on the loop of the connection.
            if call.loop.inEventLoop || !outcomes.contains(where: { $0.error == .notLeaderOrFollower }) {
                return answerProduce(outcomes, shape, acks, call)
            }
            call.loop.execute { [self] in answerProduce(outcomes, shape, acks, call) }
        }
        dispatch(request, call, pending)
    }

    private func dispatch(_ request: ProduceRequest, _ call: Call, _ pending: PendingProduce) {
        let image = shards.shard(on: call.loop).image
        let wallTime = clock.wallTime()
        let deadline = call.receivedAt.advanced(byMilliseconds: Int64(max(0, request.timeoutMilliseconds)))
        var slot = 0
        for topic in request.topics {
            let known = image.topic(topic.name, topic.topicID)
            // What is unknown is unknown by what it was called.
            let unknown: KafkaErrorCode = call.version >= 13 ? .unknownTopicID : .unknownTopicOrPartition
            for partition in topic.partitions {
                defer { slot += 1 }
                guard let handle = known?.partition(partition.index) else {
                    pending.complete(slot, .failure(known == nil ? unknown : .unknownTopicOrPartition))
                    continue
                }
                let produce = ProduceCall(
                    records: partition.records, acks: request.acks, version: call.version, receivedAt: call.receivedAt,
                    wallTime: wallTime, deadline: deadline, request: pending, slot: slot,
                    transactionalID: request.transactionalID)
                shards.execute(on: handle.shard) { shard in
                    guard let owner = shard.partitions[handle.group] else {
                        return produce.request.complete(produce.slot, .failure(.notLeaderOrFollower))
                    }
                    owner.produce(produce, context: shard.compression)
                }
            }
        }
    }

    private func answerProduce(_ outcomes: [ProduceOutcome], _ shape: Shape, _ acks: Int16, _ call: Call) {
        metrics.produceLatency.record(from: call.receivedAt, to: clock.now())
        if acks == 0 {
            if let bad = outcomes.first(where: { $0.error != .none }) {
                return call.answer.close("produce with acks=0 failed: \(bad.error.name)")
            }
            return call.answer.send(nil)
        }
        var slot = 0
        var endpoints: [NodeEndpoint] = []
        let topics = shape.topics.map { topic in
            let partitions = topic.partitions.map { index in
                defer { slot += 1 }
                let outcome = outcomes[slot]
                if outcome.error != .none { metrics.error(outcome.error).increment() }
                let leader = currentLeader(
                    outcome.error, (topic.name, topic.id), index, call, &endpoints)
                return ProduceResponse.Partition(
                    index: index, errorCode: outcome.error, baseOffset: outcome.baseOffset,
                    logAppendTimeMilliseconds: outcome.logAppendTime, logStartOffset: outcome.logStartOffset,
                    recordErrors: outcome.recordErrors, errorMessage: outcome.message, currentLeader: leader)
            }
            return ProduceResponse.Topic(name: topic.name, topicID: topic.id, partitions: partitions)
        }
        call.respond(ProduceResponse(topics: topics, nodeEndpoints: endpoints))
    }

    /// Who leads instead, for clients that ask in version 10 (KIP-951).
    private func currentLeader(
        _ error: KafkaErrorCode, _ topic: (name: String, id: TopicID), _ index: Int32, _ call: Call,
        _ endpoints: inout [NodeEndpoint]
    ) -> LeaderAndEpoch? {
        guard error == .notLeaderOrFollower, call.version >= 10,
            let handle = shards.shard(on: call.loop).image.topic(topic.name, topic.id)?.partition(index)
        else { return nil }
        return view(for: call).currentLeader(handle, &endpoints)
    }
}
