// SPDX-License-Identifier: Apache-2.0
//
// ShareFetchHandlers.swift
// ShareFetch and ShareAcknowledge (KIP-932): sessions, acknowledgements at the leaders of partitions, then records.

import KafkaProtocol
import Logging
import Model
import NIOCore
import Settings
import Telemetry

/// A member's acknowledgements for one partition.
private struct ShareWord: Sendable {
    var partition: SharedPartition
    var acknowledgements: [ShareAcknowledgement]

    /// Those of a request, in its order; partitions without any are left out.
    static func all(_ topics: [ShareFetchRequest.Topic]) -> [ShareWord] {
        topics.flatMap { topic in
            topic.partitions.filter { !$0.acknowledgementBatches.isEmpty }.map { partition in
                ShareWord(
                    partition: SharedPartition(topicID: topic.topicID, index: partition.index),
                    acknowledgements: partition.acknowledgementBatches.map {
                        ShareAcknowledgement(first: $0.firstOffset, last: $0.lastOffset, types: $0.acknowledgeTypes)
                    })
            }
        }
    }
}

extension Broker {
    /// Gives the shards what they need for share groups; after that requests may come.
    func serveShareGroups() {
        let numbers = ShareChangeNumbers()
        for number in 0..<shards.count {
            let (metrics, clock, logger, store) = (shareMetrics, clock, logger, shareStates)
            let count = shards.count
            shards.execute(on: number) { shard in
                shard.shares = SharePartitionTable(
                    loopCount: count,
                    ShareEnvironment(
                        loop: shard.loop, clock: clock, metrics: metrics, logger: logger, store: store,
                        numbers: numbers))
            }
        }
    }

    // MARK: ShareFetch

    func shareFetch(_ request: ShareFetchRequest, _ call: Call) {
        let settings = shards.shard(on: call.loop).shareSettings(of: request.groupID)
        func refuse(_ code: KafkaErrorCode) {
            metrics.error(code).increment()
            call.respond(ShareFetchResponse(errorCode: code))
        }
        let words = ShareWord.all(request.topics)
        guard let member = Self.member(request.groupID, request.memberID),
            request.shareSessionEpoch != 0 || words.isEmpty,
            request.shareAcquireMode == 0 || request.shareAcquireMode == 1
        else { return refuse(.invalidRequest) }
        let admission = shareSessions.fetch(
            member, request, sessionsMax: settings.maxSessions, connection: call.connection)
        guard case .success(let session) = admission else {
            if case .failure(let code) = admission { refuse(code) }
            return
        }
        if session.isFirstOfConnection, let connection = call.connection { watch(connection) }
        acknowledge(words, by: member, allowsRenewal: request.isRenewAck, call) { [self] outcomes in
            if session.isFinal {
                release(session.partitions, of: member, call)
                return answer([], outcomes, settings, call)
            }
            // A request that renews locks is not to wait for records.
            guard !request.isRenewAck, request.maxRecords > 0 else { return answer([], outcomes, settings, call) }
            fetch(session.partitions, member, request, call) { [self] in answer($0, outcomes, settings, call) }
        }
    }

    private func fetch(
        _ partitions: [SharedPartition], _ member: ShareMember, _ request: ShareFetchRequest, _ call: Call,
        then: @escaping ([(SharedPartition, ShareAcquireResult)]) -> Void
    ) {
        let shard = shards.shard(on: call.loop)
        let image = shard.image
        let limits = ShareFetchLimits(
            waitMilliseconds: Int64(min(max(0, request.maxWaitMilliseconds), 60_000)),
            bytesMin: Int(max(0, request.minBytes)),
            bytesMax: min(max(1, Int(request.maxBytes)), shard.settings.typed.limits.maxFetchBytes.bytes),
            recordsMax: Int(request.maxRecords), isStrict: request.shareAcquireMode == 1)
        let new = Set(
            request.topics.flatMap { topic in
                topic.partitions.filter(\.acknowledgementBatches.isEmpty).map {
                    SharedPartition(topicID: topic.topicID, index: $0.index)
                }
            })
        let targets = partitions.map { partition in
            let topic = image.topic(nil, partition.topicID)
            return ShareFetchTarget(
                partition: partition, handle: topic?.partition(partition.index),
                refusal: topic == nil ? .unknownTopicID : .unknownTopicOrPartition, isNew: new.contains(partition))
        }
        let operation = ShareFetchOperation(member, targets, limits, shards: shards, loop: call.loop) { results in
            then(Array(zip(partitions, results)))
        }
        let bound = NIOLoopBound(operation, eventLoop: call.loop)
        call.answer.onDisconnect {
            if call.loop.inEventLoop { bound.value.cancel() } else { call.loop.execute { bound.value.cancel() } }
        }
        operation.start()
    }

    /// Answers what the client does not know yet: records, errors, and what became of its acknowledgements.
    private func answer(
        _ results: [(SharedPartition, ShareAcquireResult)], _ outcomes: [(SharedPartition, KafkaErrorCode)],
        _ settings: BrokerSettings.ShareGroups, _ call: Call
    ) {
        var endpoints: [NodeEndpoint] = []
        var answers = ShareAnswers()
        for (partition, result) in results where result.error != .none || !result.acquired.isEmpty {
            answers.change(partition) {
                $0.errorCode = result.error
                $0.records = RecordSlices(result.records)
                $0.acquiredRecords = result.acquired.map {
                    .init(firstOffset: $0.first, lastOffset: $0.last, deliveryCount: $0.deliveryCount)
                }
            }
        }
        for (partition, code) in outcomes { answers.change(partition) { $0.acknowledgeErrorCode = code } }
        for (partition, known) in answers.entries {
            for code in [known.errorCode, known.acknowledgeErrorCode] where code != .none {
                metrics.error(code).increment()
                guard let leader = currentLeader(partition, code, call, &endpoints) else { continue }
                answers.change(partition) { $0.currentLeader = leader }
            }
        }
        call.respond(
            ShareFetchResponse(
                acquisitionLockTimeoutMilliseconds: Int32(clamping: settings.recordLockDuration.milliseconds),
                topics: answers.topics, nodeEndpoints: endpoints))
    }

    // MARK: ShareAcknowledge

    func shareAcknowledge(_ request: ShareAcknowledgeRequest, _ call: Call) {
        let settings = shards.shard(on: call.loop).shareSettings(of: request.groupID)
        func refuse(_ code: KafkaErrorCode) {
            metrics.error(code).increment()
            call.respond(ShareAcknowledgeResponse(errorCode: code))
        }
        guard let member = Self.member(request.groupID, request.memberID) else { return refuse(.invalidRequest) }
        let admission = shareSessions.acknowledge(member, epoch: request.shareSessionEpoch)
        guard case .success(let session) = admission else {
            if case .failure(let code) = admission { refuse(code) }
            return
        }
        let words = ShareWord.all(request.topics)
        acknowledge(words, by: member, allowsRenewal: request.isRenewAck, call) { [self] outcomes in
            if session.isFinal { release(session.partitions, of: member, call) }
            var endpoints: [NodeEndpoint] = []
            var topics: [ShareAcknowledgeResponse.Topic] = []
            for (partition, code) in outcomes {
                if code != .none { metrics.error(code).increment() }
                let leader = currentLeader(partition, code, call, &endpoints) ?? LeaderAndEpoch()
                let answer = ShareAcknowledgeResponse.Partition(
                    index: partition.index, errorCode: code, currentLeader: leader)
                if topics.last?.topicID == partition.topicID {
                    topics[topics.count - 1].partitions.append(answer)
                } else {
                    topics.append(.init(topicID: partition.topicID, partitions: [answer]))
                }
            }
            call.respond(
                ShareAcknowledgeResponse(
                    acquisitionLockTimeoutMilliseconds: Int32(clamping: settings.recordLockDuration.milliseconds),
                    topics: topics, nodeEndpoints: endpoints))
        }
    }

    // MARK: Both

    private static func member(_ groupID: String?, _ memberID: String?) -> ShareMember? {
        guard let groupID, let memberID, !groupID.isEmpty, !memberID.isEmpty else { return nil }
        return ShareMember(groupID: groupID, memberID: memberID)
    }

    /// Asks the partitions' leaders to take note; `then` runs on the call's loop when every one of them has answered.
    private func acknowledge(
        _ words: [ShareWord], by member: ShareMember, allowsRenewal: Bool, _ call: Call,
        then: @escaping ([(SharedPartition, KafkaErrorCode)]) -> Void
    ) {
        guard !words.isEmpty else { return then([]) }
        let image = shards.shard(on: call.loop).image
        let back = NIOLoopBound(then, eventLoop: call.loop)
        let gathering = Gathering<KafkaErrorCode>(count: words.count) { codes in
            // All answers come on the call's loop.
            back.value(zip(words, codes).map { ($0.partition, $1) })
        }
        for (slot, word) in words.enumerated() {
            let topic = image.topic(nil, word.partition.topicID)
            guard let handle = topic?.partition(word.partition.index) else {
                gathering.set(slot, topic == nil ? .unknownTopicID : .unknownTopicOrPartition)
                continue
            }
            let key = ShareKey(
                groupID: member.groupID, topicID: word.partition.topicID, partition: word.partition.index)
            shards.withShare(key, handle, from: call.loop) { found, reply in
                switch found {
                case .failure(let code): reply(code)
                case .success(let leader):
                    leader.acknowledge(
                        word.acknowledgements, by: member.memberID, allowsRenewal: allowsRenewal, completion: reply)
                }
            } then: {
                gathering.set(slot, $0)
            }
        }
    }

    /// Where the client should have asked.
    private func currentLeader(
        _ partition: SharedPartition, _ code: KafkaErrorCode, _ call: Call, _ endpoints: inout [NodeEndpoint]
    ) -> LeaderAndEpoch? {
        guard code == .notLeaderOrFollower || code == .fencedLeaderEpoch else { return nil }
        let topic = shards.shard(on: call.loop).image.topic(nil, partition.topicID)
        return topic?.partition(partition.index).flatMap { view(for: call).currentLeader($0, &endpoints) }
    }

    /// Has what a member acquired given back; on the loop of `call`.
    private func release(_ partitions: [SharedPartition], of member: ShareMember, _ call: Call) {
        release(partitions, of: member, shards.shard(on: call.loop).image)
    }

    private func release(_ partitions: [SharedPartition], of member: ShareMember, _ image: ClusterImage) {
        for partition in partitions {
            guard let handle = image.topic(nil, partition.topicID)?.partition(partition.index) else { continue }
            let key = ShareKey(groupID: member.groupID, topicID: partition.topicID, partition: partition.index)
            shards.execute(on: handle.shard) { $0.shares?.existing(key)?.release(member.memberID) }
        }
    }

    /// Ends the sessions of a connection when it closes.
    private func watch(_ connection: ConnectionEnd) {
        let id = ObjectIdentifier(connection)
        connection.then { [weak self] in
            guard let self else { return }
            let ended = shareSessions.disconnect(id)
            guard !ended.isEmpty else { return }
            shards.execute(on: 0) { [self] shard in
                for (member, partitions) in ended { release(partitions, of: member, shard.image) }
            }
        }
    }
}

/// The answers of a share fetch by partition, in the order in which they came.
private struct ShareAnswers {
    private(set) var entries: [(partition: SharedPartition, answer: ShareFetchResponse.Partition)] = []
    private var places: [SharedPartition: Int] = [:]

    mutating func change(_ partition: SharedPartition, _ body: (inout ShareFetchResponse.Partition) -> Void) {
        let place = places[partition] ?? entries.count
        if place == entries.count {
            entries.append((partition, ShareFetchResponse.Partition(index: partition.index)))
            places[partition] = place
        }
        body(&entries[place].answer)
    }

    /// By topic, each once.
    var topics: [ShareFetchResponse.Topic] {
        var topics: [ShareFetchResponse.Topic] = []
        var topicPlaces: [TopicID: Int] = [:]
        for entry in entries {
            let place = topicPlaces[entry.partition.topicID] ?? topics.count
            if place == topics.count {
                topics.append(.init(topicID: entry.partition.topicID, partitions: []))
                topicPlaces[entry.partition.topicID] = place
            }
            topics[place].partitions.append(entry.answer)
        }
        return topics
    }
}
