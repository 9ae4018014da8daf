// SPDX-License-Identifier: Apache-2.0
//
// ReassignmentPlan.swift
// Which partitions are to be where: a file in the format of Kafka's tool, or made here.

import Foundation
import KafkaClient
import KafkaProtocol
import Model
import Terminal

/// Moves of partitions.
struct ReassignmentPlan: Sendable {
    /// One partition and the brokers that are to hold it.
    struct Move: Sendable, Equatable {
        let partition: TopicPartition
        let replicas: [NodeID]
    }

    var moves: [Move]

    init(moves: [Move]) { self.moves = moves }

    /// Reads `{"partitions":[{"topic":"t","partition":0,"replicas":[1,2,3]}]}`.
    init(file: String) throws {
        struct Document: Decodable {
            struct Entry: Decodable {
                let topic: String
                let partition: Int32
                let replicas: [Int32]
            }
            let partitions: [Entry]
        }
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: file))
            moves = try JSONDecoder().decode(Document.self, from: data).partitions.map {
                Move(
                    partition: TopicPartition(topic: $0.topic, partition: PartitionIndex(rawValue: $0.partition)),
                    replicas: $0.replicas.map { NodeID(rawValue: $0) })
            }
        } catch {
            throw Failure(
                "cannot read the plan", place: "\(file): \(error)",
                advice: "make one with: goulette partition reassign plan", exitCode: .usage)
        }
    }

    var json: JSONValue {
        .object([
            ("version", .integer(1 as Int64)),
            (
                "partitions",
                .array(
                    moves.map {
                        .object([
                            ("topic", .string($0.partition.topic)),
                            ("partition", .integer($0.partition.partition.rawValue)),
                            ("replicas", .array($0.replicas.map { .integer($0.rawValue) })),
                        ])
                    })
            ),
        ])
    }

    /// Spreads replicas and preferred leaders of the metadata's topics evenly over `brokers`, moving only what is above
    /// a broker's share or on no broker of the list.
    static func spreading(_ metadata: ClusterMetadata, over brokers: [NodeID]) -> ReassignmentPlan {
        let partitions = metadata.topics.values.filter { !$0.isInternal }.sorted { $0.name < $1.name }.flatMap {
            topic in
            topic.partitions.map {
                (name: TopicPartition(topic: topic.name, partition: $0.index), current: $0.replicas)
            }
        }
        let total = partitions.reduce(0) { $0 + min($1.current.count, brokers.count) }
        // The fair share, rounded up.
        let share = (total + brokers.count - 1) / brokers.count
        var load: [NodeID: Int] = Dictionary(uniqueKeysWithValues: brokers.map { ($0, 0) })
        var kept: [[NodeID]] = []
        for partition in partitions {
            let stays = partition.current.filter { node in
                guard let held = load[node], held < share else { return false }
                load[node] = held + 1
                return true
            }
            kept.append(stays)
        }
        var led: [NodeID: Int] = [:]
        var moves: [Move] = []
        for (partition, stays) in zip(partitions, kept) {
            var replicas = stays
            while replicas.count < min(partition.current.count, brokers.count) {
                let candidates = brokers.filter { !replicas.contains($0) }
                guard let next = candidates.min(by: { (load[$0, default: 0], $0) < (load[$1, default: 0], $1) })
                else { break }
                load[next, default: 0] += 1
                replicas.append(next)
            }
            // The one that leads least is preferred; at a tie, the one that is.
            if let best = replicas.enumerated().min(by: {
                (led[$0.element, default: 0], $0.offset) < (led[$1.element, default: 0], $1.offset)
            }) {
                replicas.remove(at: best.offset)
                replicas.insert(best.element, at: 0)
                led[best.element, default: 0] += 1
            }
            if replicas != partition.current { moves.append(Move(partition: partition.name, replicas: replicas)) }
        }
        return ReassignmentPlan(moves: moves)
    }

    /// Asks the cluster for all moves; those that it refuses are listed.
    func apply(_ client: KafkaClient) async throws {
        guard !moves.isEmpty else { return try FileOutput.standardOutput.write("there is nothing to move\n") }
        let outcomes = try await client.reassign(moves.map { ($0.partition, $0.replicas) })
        try Self.report(outcomes, done: nil)
    }

    /// Lists what was refused, and what was done when `done` says how to call it.
    static func report(_ outcomes: [PartitionOutcome], done: String?) throws {
        var refused: [PartitionOutcome] = []
        for outcome in outcomes {
            if outcome.errorCode != .none {
                refused.append(outcome)
                let reason = outcome.message ?? outcome.errorCode.meaning
                try FileOutput.standardError.write("\(outcome.partition): \(outcome.errorCode.name) (\(reason))\n")
            } else if let done {
                try FileOutput.standardOutput.write("\(outcome.partition): \(done)\n")
            }
        }
        guard !refused.isEmpty else { return }
        throw Failure(
            "cannot do it for all partitions", place: "\(refused.count) of \(outcomes.count), listed above",
            advice: "correct the plan, or wait until other moves are done",
            exitCode: refused.count < outcomes.count ? .partlyDone : .failed)
    }
}
