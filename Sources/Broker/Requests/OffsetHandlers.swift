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
    /// One topic of a request, with a question for each of its partitions.
    typealias Asked<Question> = (name: String, questions: [Question])

    /// Asks the partitions of a request on their shards, and passes on the answers in the order and shape of the request.
    ///
    /// - Parameters:
    ///   - index: the partition that a question is for.
    ///   - refuse: the answer to a question that no partition gets.
    ///   - ask: puts the question to a partition, on its loop; answers once.
    func gather<Question: Sendable, Answer: Sendable>(
        _ topics: [Asked<Question>], _ call: Call, refusingRepeats: Bool = false,
        index: (Question) -> Int32, refuse: @escaping @Sendable (Question, KafkaErrorCode) -> Answer,
        ask: @escaping @Sendable (Partition, Question, _ then: @escaping @Sendable (Answer) -> Void) -> Void,
        finish: @escaping @Sendable ([(name: String, answers: [Answer])]) -> Void
    ) {
        let shape = topics.map { (name: $0.name, count: $0.questions.count) }
        let gathering = Gathering<Answer>(count: shape.reduce(0) { $0 + $1.count }) { answers in
            var rest = answers[...]
            finish(
                shape.map { name, count in
                    defer { rest = rest.dropFirst(count) }
                    return (name, Array(rest.prefix(count)))
                })
        }
        let image = shards.shard(on: call.loop).image
        var next = 0
        for (name, questions) in topics {
            var seen = Set<Int32>()
            for question in questions {
                let slot = next
                next += 1
                if refusingRepeats, !seen.insert(index(question)).inserted {
                    gathering.set(slot, refuse(question, .invalidRequest))
                    continue
                }
                guard let handle = image.topics[name]?.partition(index(question)) else {
                    gathering.set(slot, refuse(question, .unknownTopicOrPartition))
                    continue
                }
                shards.execute(on: handle.shard) { shard in
                    guard let partition = shard.partitions[handle.group] else {
                        return gathering.set(slot, refuse(question, .notLeaderOrFollower))
                    }
                    ask(partition, question) { gathering.set(slot, $0) }
                }
            }
        }
    }

    func listOffsets(_ request: ListOffsetsRequest, _ call: Call) {
        typealias Answer = ListOffsetsResponse.Partition
        let isolation = IsolationLevel(rawValue: request.isolationLevel) ?? .readUncommitted
        gather(
            request.topics.map { ($0.name, $0.partitions) }, call, refusingRepeats: true, index: \.index,
            refuse: { Answer(index: $0.index, errorCode: $1) },
            ask: { partition, question, then in
                if let refusal = partition.refusal ?? partition.epochRefusal(question.currentLeaderEpoch) {
                    return then(Answer(index: question.index, errorCode: refusal))
                }
                guard Self.isKnown(question.timestamp, version: call.version) else {
                    return then(Answer(index: question.index, errorCode: .unsupportedVersion))
                }
                partition.listOffset(question.timestamp, isolation: isolation) { error, offset, timestamp, epoch in
                    then(
                        Answer(
                            index: question.index, errorCode: error, timestamp: timestamp, offset: offset,
                            leaderEpoch: epoch))
                }
            },
            finish: { topics in
                call.respond(ListOffsetsResponse(topics: topics.map { .init(name: $0.name, partitions: $0.answers) }))
            })
    }

    /// Whether a version of ListOffsets knows a special value; any other value is a time.
    private static func isKnown(_ timestamp: Int64, version: Int16) -> Bool {
        switch timestamp {
        case 0..., ListOffsetsTimestamp.latest, ListOffsetsTimestamp.earliest: true
        case ListOffsetsTimestamp.maxTimestamp: version >= 7
        case ListOffsetsTimestamp.earliestLocal: version >= 8
        case ListOffsetsTimestamp.latestTiered: version >= 9
        case ListOffsetsTimestamp.earliestPendingUpload: version >= 11
        default: false
        }
    }

    func offsetForLeaderEpoch(_ request: OffsetForLeaderEpochRequest, _ call: Call) {
        typealias Answer = OffsetForLeaderEpochResponse.Partition
        gather(
            request.topics.map { ($0.name, $0.partitions) }, call, index: \.index,
            refuse: { Answer(errorCode: $1, index: $0.index) },
            ask: { partition, question, then in
                if let refusal = partition.refusal ?? partition.epochRefusal(question.currentLeaderEpoch) {
                    return then(Answer(errorCode: refusal, index: question.index))
                }
                let end = partition.epochEnd(question.leaderEpoch)
                then(Answer(errorCode: .none, index: question.index, leaderEpoch: end.epoch, endOffset: end.offset))
            },
            finish: { topics in
                call.respond(
                    OffsetForLeaderEpochResponse(topics: topics.map { .init(name: $0.name, partitions: $0.answers) }))
            })
    }

    func deleteRecords(_ request: DeleteRecordsRequest, _ call: Call) {
        typealias Answer = DeleteRecordsResponse.Partition
        gather(
            request.topics.map { ($0.name, $0.partitions) }, call, index: \.index,
            refuse: { Answer(index: $0.index, lowWatermark: -1, errorCode: $1) },
            ask: { partition, question, then in
                partition.deleteRecords(before: question.offset) { error, lowWatermark in
                    then(Answer(index: question.index, lowWatermark: lowWatermark, errorCode: error))
                }
            },
            finish: { topics in
                call.respond(DeleteRecordsResponse(topics: topics.map { .init(name: $0.name, partitions: $0.answers) }))
            })
    }
}
