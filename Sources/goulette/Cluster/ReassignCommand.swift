// SPDX-License-Identifier: Apache-2.0
//
// ReassignCommand.swift
// `goulette partition reassign`: plan, apply, follow and cancel moves of many partitions.

import ArgumentParser
import Foundation
import KafkaClient
import KafkaProtocol
import Model
import Terminal

extension PartitionCommand {
    /// Moves of many partitions, by a plan that can be read and changed before it is applied.
    struct Reassign: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reassign", abstract: "Move many partitions by a plan.",
            subcommands: [Plan.self, Apply.self, Status.self, Cancel.self])
    }
}

extension PartitionCommand.Reassign {
    struct Plan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a plan that spreads partitions evenly over brokers.",
            discussion: """
                The plan is in the format of Kafka's own tool. Replicas stay where they are as far as the spread allows.
                """)

        @Argument(help: "Only these topics.")
        var topics: [String] = []

        @Option(help: "The brokers to use, as 1,2,3; all of them otherwise.")
        var to: String?

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let metadata = try await connection.withClient("cannot make a plan") {
                try await $0.metadata(topics: topics.isEmpty ? nil : topics)
            }
            let wanted = to.map { Set($0.split(separator: ",").compactMap { Int32($0) }) }
            let brokers = metadata.brokers.map(\.id).filter { wanted?.contains($0.rawValue) ?? true }
            guard !brokers.isEmpty, wanted.map({ $0.count == brokers.count }) ?? true else {
                throw ValidationError("--to names brokers that are not there")
            }
            let plan = ReassignmentPlan.spreading(metadata, over: brokers)
            try FileOutput.standardOutput.write(plan.json.indented + "\n")
        }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Carry out a plan, and wait until it is done.")

        @Argument(help: "The file with the plan.")
        var file: String

        @OptionGroup var wait: ReassignmentWait
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let plan = try ReassignmentPlan(file: file)
            try await connection.withClient("cannot carry out the plan") { client in
                try await plan.apply(client)
                try await wait.untilDone(plan, client)
            }
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the moves that are under way.")

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let moves = try await connection.withClient("cannot list moves") { try await $0.reassignments() }
            var table = Table([.init("partition"), .init("replicas"), .init("adding"), .init("removing")])
            for move in moves {
                table.add([
                    TableCell("\(move.partition)"), .list(move.replicas.map(\.rawValue)),
                    .list(move.adding.map(\.rawValue)), .list(move.removing.map(\.rawValue)),
                ])
            }
            func numbers(_ nodes: [NodeID]) -> JSONValue { .array(nodes.map { .integer($0.rawValue) }) }
            try output.print(
                text: moves.isEmpty ? "no moves are under way\n" : table.text(palette: connection.palette),
                json: .array(
                    moves.map {
                        .object([
                            ("topic", .string($0.partition.topic)),
                            ("partition", .integer($0.partition.partition.rawValue)),
                            ("replicas", numbers($0.replicas)),
                            ("adding", numbers($0.adding)), ("removing", numbers($0.removing)),
                        ])
                    }))
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Turn back moves that are under way.")

        @Argument(help: "The partitions, as topic/3; all that move otherwise.")
        var partitions: [PartitionName] = []

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            try await connection.withClient("cannot cancel moves") { client in
                let moving = try await client.reassignments().map(\.partition)
                let names = partitions.isEmpty ? moving : partitions.map(\.partition)
                guard !names.isEmpty else { return try FileOutput.standardOutput.write("no moves are under way\n") }
                let outcomes = try await client.reassign(names.map { ($0, nil) })
                try ReassignmentPlan.report(outcomes, done: "turned back")
            }
        }
    }
}

/// Whether and how long to wait for moves.
struct ReassignmentWait: ParsableArguments {
    @Flag(help: "Begin the moves, and do not wait for them.")
    var noWait = false

    @Option(help: "How long to wait: 30s, 10m, 2h.")
    var waitAtMost = "2h"

    /// Follows the moves of `plan` with a progress line until none is left.
    func untilDone(_ plan: ReassignmentPlan, _ client: KafkaClient) async throws {
        guard let limit = Humanised.milliseconds(parsing: waitAtMost) else {
            throw ValidationError("'\(waitAtMost)' is not a time, such as 30s or 10m")
        }
        guard !noWait else { return }
        let names = Set(plan.moves.map(\.partition))
        let elapsed = try await WorkProgress(total: names.count, limitMilliseconds: limit).follow(
            { "\($0) of \(names.count) partitions left, \($1)" },
            late: { left in
                Failure(
                    "the moves are not done yet", place: "\(left) of \(names.count) partitions left",
                    advice: "they go on; look with: goulette partition reassign status", exitCode: .tryAgain)
            },
            pause: { await client.pause(milliseconds: $0) },
            left: {
                let left = try await client.reassignments().count { names.contains($0.partition) }
                return left > 0 ? left : nil
            })
        let time = Humanised.duration(nanoseconds: elapsed)
        try FileOutput.standardOutput.write("\(names.count) partitions moved in \(time)\n")
    }
}
