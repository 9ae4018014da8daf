// SPDX-License-Identifier: Apache-2.0
//
// FetchHandler.swift
// Fetch: turns a request into a FetchOperation. Sessions are refused (id 0), which every client copes with (KIP-227).

import KafkaProtocol
import Model
import NIOCore
import Settings
import Telemetry

extension Broker {
    func fetch(_ request: FetchRequest, _ call: Call) {
        if request.sessionID != 0, request.sessionEpoch > 0 {
            metrics.error(.fetchSessionIDNotFound).increment()
            return call.respond(FetchResponse(errorCode: .fetchSessionIDNotFound))
        }
        let shard = shards.shard(on: call.loop)
        let image = shard.image
        let rackNodes = request.rackID.isEmpty ? nil : view(for: call).nodes(inRack: request.rackID)
        let targets = request.topics.flatMap { topic in
            let known = image.topics[topic.name]
            return topic.partitions.map { target($0, in: known, rackNodes) }
        }
        let limits = FetchLimits(
            waitMilliseconds: Int64(min(max(0, request.maxWaitMilliseconds), 60_000)),
            bytesMin: Int(max(0, request.minBytes)),
            bytesMax: min(max(1, Int(request.maxBytes)), shard.settings.typed.limits.maxFetchBytes.bytes))
        let shape = request.topics.map { ($0.name, $0.partitions.map(\.index)) }
        let operation = FetchOperation(targets: targets, limits: limits, shards: shards, loop: call.loop) { results in
            self.answerFetch(results, shape, call)
        }
        let bound = NIOLoopBound(operation, eventLoop: call.loop)
        call.answer.onDisconnect {
            if call.loop.inEventLoop { bound.value.cancel() } else { call.loop.execute { bound.value.cancel() } }
        }
        operation.start()
    }

    private func target(
        _ partition: FetchRequest.Partition, in topic: TopicImage?, _ rackNodes: [NodeID]?
    ) -> FetchTarget {
        let fetch = FetchCall(
            offset: Offset(partition.fetchOffset), bytesMax: Int(max(0, partition.partitionMaxBytes)),
            currentLeaderEpoch: partition.currentLeaderEpoch, lastFetchedEpoch: partition.lastFetchedEpoch,
            rackNodes: rackNodes)
        return FetchTarget(
            handle: topic?.partition(partition.index), call: fetch, refusal: .unknownTopicOrPartition)
    }

    private func answerFetch(_ results: [FetchResult], _ shape: [(name: String, partitions: [Int32])], _ call: Call) {
        metrics.fetchLatency.record(from: call.receivedAt, to: clock.now())
        var slot = 0
        let topics = shape.map { topic in
            let partitions = topic.partitions.map { index in
                defer { slot += 1 }
                return answer(results[slot], topic: topic.name, index: index, call)
            }
            return FetchResponse.Topic(name: topic.name, partitions: partitions)
        }
        call.respond(FetchResponse(topics: topics))
    }

    private func answer(
        _ result: FetchResult, topic: String, index: Int32, _ call: Call
    ) -> FetchResponse.Partition {
        if result.error != .none { metrics.error(result.error).increment() }
        var partition = FetchResponse.Partition(
            index: index, errorCode: result.error, highWatermark: result.highWatermark)
        partition.lastStableOffset = result.highWatermark
        partition.logStartOffset = result.logStartOffset
        partition.records = RecordSlices(result.records)
        if let preferred = result.preferredReplica { partition.preferredReadReplica = preferred.rawValue }
        if let diverging = result.divergingEpoch {
            partition.divergingEpoch = .init(epoch: diverging.epoch, endOffset: diverging.endOffset)
        }
        if result.error == .notLeaderOrFollower || result.error == .fencedLeaderEpoch {
            partition.currentLeader = leaderHint(topic, index, call)
        }
        return partition
    }

    /// Who leads instead, for clients that ask in version 12; nil when that is not known either.
    private func leaderHint(_ topic: String, _ index: Int32, _ call: Call) -> FetchResponse.LeaderAndEpoch? {
        guard let handle = shards.shard(on: call.loop).image.topics[topic]?.partition(index) else { return nil }
        let hint = view(for: call).leaderHint(handle)
        return hint.leader < 0 ? nil : .init(leaderID: hint.leader, leaderEpoch: hint.epoch)
    }
}
