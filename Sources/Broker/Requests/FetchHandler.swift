// SPDX-License-Identifier: Apache-2.0
//
// FetchHandler.swift
// Fetch: turns a request, or the session it goes on with, into a FetchOperation.

import KafkaProtocol
import Model
import NIOCore
import Settings
import Telemetry

/// One topic of a fetch's answer: how the client names it, and which of its partitions.
private typealias FetchShape = (name: String, topicID: TopicID, partitions: [Int32])

/// What all partitions of a fetch have to know of who asks.
private struct FetchClient {
    /// The brokers in the client's rack, when it says that it has one.
    var rackNodes: [NodeID]?
    /// Versions below 10 come from clients that may not know the codec.
    var allowsZstd: Bool
    /// Whether records of transactions that are open or were aborted are wanted.
    var isolation: IsolationLevel
}

extension Broker {
    func fetch(_ request: FetchRequest, _ call: Call) {
        guard request.sessionID != 0 || request.sessionEpoch != -1 else { return fetchNamed(request, call) }
        let usesTopicIDs = call.version >= 13
        let now = clock.now()
        let admission = withSessions(call) { $0.admit(request, usesTopicIDs: usesTopicIDs, now: now) }
        switch admission {
        case .sessionless: fetchNamed(request, call)
        case .full:
            metrics.fetchesFull.increment()
            fetchNamed(request, call) { [self] results in
                withSessions(call) {
                    $0.create(for: request.topics, usesTopicIDs: usesTopicIDs, results, now: clock.now())
                }
            }
        case .incremental(let entries):
            metrics.fetchesIncremental.increment()
            fetchSession(entries, request, call)
        case .refused(let code): refuse(code, call)
        }
    }

    private func refuse(_ code: KafkaErrorCode, _ call: Call) {
        metrics.error(code).increment()
        call.respond(FetchResponse(errorCode: code))
    }

    /// Serves the partitions that the request names; `makeSession` gives the id for the answer.
    private func fetchNamed(
        _ request: FetchRequest, _ call: Call, makeSession: (([FetchResult]) -> Int32)? = nil
    ) {
        let image = shards.shard(on: call.loop).image
        let client = fetchClient(of: request, call)
        let targets = request.topics.flatMap { topic in
            let known = image.topic(topic.name, topic.topicID)
            return topic.partitions.map { target($0, in: known, topic.topicID, client) }
        }
        let shape: [FetchShape] = request.topics.map { ($0.name, $0.topicID, $0.partitions.map(\.index)) }
        run(targets, request, call) { [self] results in
            answerFetch(results, shape, session: makeSession?(results) ?? 0, call)
        }
    }

    /// Serves the partitions of a session and answers those with news.
    private func fetchSession(_ entries: [FetchSessionTable.Entry], _ request: FetchRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        let client = fetchClient(of: request, call)
        var topic: TopicImage?
        var last: FetchSessionTable.Entry?
        let targets = entries.map { entry in
            // Partitions of a topic mostly stand together.
            if entry.name != last?.name || entry.topicID != last?.topicID {
                topic = image.topic(entry.name, entry.topicID)
            }
            last = entry
            return target(entry.request, in: topic, entry.topicID, client)
        }
        run(targets, request, call) { [self] results in
            let (id, epoch) = (request.sessionID, request.sessionEpoch)
            switch withSessions(call, { $0.conclude(id, epoch: epoch, entries, results) }) {
            case .failure(let refusal): refuse(refusal.code, call)
            case .success(let told):
                var shape: [FetchShape] = []
                for entry in told.lazy.map({ entries[$0] }) {
                    if let last = shape.last, last.name == entry.name, last.topicID == entry.topicID {
                        shape[shape.count - 1].partitions.append(entry.request.index)
                    } else {
                        shape.append((entry.name, entry.topicID, [entry.request.index]))
                    }
                }
                answerFetch(told.map { results[$0] }, shape, session: id, call)
            }
        }
    }

    /// Runs `body` with the sessions of the call's loop, and counts what it changes.
    private func withSessions<Answer>(_ call: Call, _ body: (inout FetchSessionTable) -> Answer) -> Answer {
        let shard = shards.shard(on: call.loop)
        shard.fetchSessions.limits = FetchSessionTable.Limits(
            sessionsMax: shard.settings.typed.limits.maxFetchSessions
        ).share(of: shards.count)
        let (count, partitions) = (shard.fetchSessions.count, shard.fetchSessions.partitionCount)
        let evictions = shard.fetchSessions.evictions
        let answer = body(&shard.fetchSessions)
        metrics.fetchSessions.add(shard.fetchSessions.count - count)
        metrics.fetchSessionPartitions.add(shard.fetchSessions.partitionCount - partitions)
        metrics.fetchSessionEvictions.increment(by: shard.fetchSessions.evictions - evictions)
        return answer
    }

    // MARK: Reading

    private func fetchClient(of request: FetchRequest, _ call: Call) -> FetchClient {
        FetchClient(
            rackNodes: request.rackID.isEmpty ? nil : view(for: call).nodes(inRack: request.rackID),
            allowsZstd: call.version >= 10,
            isolation: IsolationLevel(rawValue: request.isolationLevel) ?? .readUncommitted)
    }

    private func run(
        _ targets: [FetchTarget], _ request: FetchRequest, _ call: Call, finish: @escaping ([FetchResult]) -> Void
    ) {
        let shard = shards.shard(on: call.loop)
        let limits = FetchLimits(
            waitMilliseconds: Int64(min(max(0, request.maxWaitMilliseconds), 60_000)),
            bytesMin: Int(max(0, request.minBytes)),
            bytesMax: min(max(1, Int(request.maxBytes)), shard.settings.typed.limits.maxFetchBytes.bytes))
        let operation = FetchOperation(
            targets: targets, limits: limits, shards: shards, loop: call.loop, finish: finish)
        let bound = NIOLoopBound(operation, eventLoop: call.loop)
        call.answer.onDisconnect {
            if call.loop.inEventLoop { bound.value.cancel() } else { call.loop.execute { bound.value.cancel() } }
        }
        operation.start()
    }

    private func target(
        _ partition: FetchRequest.Partition, in topic: TopicImage?, _ topicID: TopicID, _ client: FetchClient
    ) -> FetchTarget {
        let fetch = FetchCall(
            offset: Offset(partition.fetchOffset), bytesMax: Int(max(0, partition.partitionMaxBytes)),
            currentLeaderEpoch: partition.currentLeaderEpoch, lastFetchedEpoch: partition.lastFetchedEpoch,
            rackNodes: client.rackNodes, isolation: client.isolation, allowsZstd: client.allowsZstd)
        let isUnknownID = topic == nil && topicID != .zero
        return FetchTarget(
            handle: topic?.partition(partition.index), call: fetch,
            refusal: isUnknownID ? .unknownTopicID : .unknownTopicOrPartition)
    }

    // MARK: Answering

    private func answerFetch(_ results: [FetchResult], _ shape: [FetchShape], session: Int32, _ call: Call) {
        metrics.fetchLatency.record(from: call.receivedAt, to: clock.now())
        var slot = 0
        var endpoints: [NodeEndpoint] = []
        let topics = shape.map { topic in
            let partitions = topic.partitions.map { index in
                defer { slot += 1 }
                return answer(results[slot], topic, index: index, call, &endpoints)
            }
            return FetchResponse.Topic(name: topic.name, topicID: topic.topicID, partitions: partitions)
        }
        call.respond(FetchResponse(sessionID: session, topics: topics, nodeEndpoints: endpoints))
    }

    private func answer(
        _ result: FetchResult, _ topic: FetchShape, index: Int32, _ call: Call, _ endpoints: inout [NodeEndpoint]
    ) -> FetchResponse.Partition {
        if result.error != .none { metrics.error(result.error).increment() }
        var partition = FetchResponse.Partition(
            index: index, errorCode: result.error, highWatermark: result.highWatermark)
        partition.lastStableOffset = result.lastStableOffset
        partition.abortedTransactions = result.aborted
        partition.logStartOffset = result.logStartOffset
        partition.records = RecordSlices(result.records)
        if let preferred = result.preferredReplica { partition.preferredReadReplica = preferred.rawValue }
        if let diverging = result.divergingEpoch {
            partition.divergingEpoch = .init(epoch: diverging.epoch, endOffset: diverging.endOffset)
        }
        if result.error == .notLeaderOrFollower || result.error == .fencedLeaderEpoch, call.version >= 12,
            let handle = shards.shard(on: call.loop).image.topic(topic.name, topic.topicID)?.partition(index)
        {
            partition.currentLeader = view(for: call).currentLeader(handle, &endpoints)
        }
        return partition
    }
}
