// SPDX-License-Identifier: Apache-2.0
//
// PartitionCommand.swift
// `goulette partition`: where partitions are, and bringing them and their leaders elsewhere.

import Admin
import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import Terminal

/// Everything about single partitions.
struct PartitionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "partition", abstract: "List partitions, move their replicas and their leaders.",
        subcommands: [List.self, Move.self, Reassign.self, ElectLeader.self, Rebalance.self])
}

/// A partition on the command line, as `topic/3`.
struct PartitionName: ExpressibleByArgument {
    let partition: TopicPartition

    init?(argument: String) {
        guard let slash = argument.lastIndex(of: "/"), let number = Int32(argument[argument.index(after: slash)...]),
            number >= 0, slash != argument.startIndex
        else { return nil }
        partition = TopicPartition(
            topic: String(argument[..<slash]), partition: PartitionIndex(rawValue: number))
    }
}

extension PartitionCommand {
    struct Rebalance: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Even out replicas over the brokers, and preferred leaders when replicas are even.",
            discussion: "The cluster moves partitions by and by; look with: goulette partition reassign status")

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: AdminOptions

        func run() async throws {
            let begun: RebalanceView = try await connection.withAdmin("cannot rebalance") {
                try await $0.post("/v1/rebalance")
            }
            let text = begun.partitions == 0 ? "partitions are even\n" : "\(begun.partitions) partitions change\n"
            try output.print(text: text, json: .object([("partitions", .integer(begun.partitions))]))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List partitions with their replicas.")

        @Argument(help: "Only these topics.")
        var topics: [String] = []

        @Flag(help: "Only those with a replica that is not in sync.")
        var underReplicated = false

        @Option(help: "Only those with a replica on this broker.")
        var broker: Int32?

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let metadata = try await connection.withClient("cannot list partitions") {
                try await $0.metadata(topics: topics.isEmpty ? nil : topics)
            }
            var table = Table([.init("partition")] + ClusterMetadata.Partition.columns)
            var documents: [JSONValue] = []
            for topic in metadata.topics.values.sorted(by: { $0.name < $1.name }) {
                for partition in topic.partitions where isWanted(partition) {
                    table.add([TableCell("\(topic.name)/\(partition.index)")] + partition.cells)
                    documents.append(.object([("topic", .string(topic.name))] + partition.members))
                }
            }
            try output.print(text: table.text(palette: connection.palette), json: .array(documents))
        }

        private func isWanted(_ partition: ClusterMetadata.Partition) -> Bool {
            if underReplicated, partition.inSync.count >= partition.replicas.count { return false }
            return broker.map { id in partition.replicas.contains { $0.rawValue == id } } ?? true
        }
    }

    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give one partition other replicas, and wait until they have its data.")

        @Argument(help: "The partition, as topic/3.")
        var partition: PartitionName

        @Option(help: "The brokers that are to hold it, preferred leader first, as 1,2,3.")
        var to: String

        @OptionGroup var wait: ReassignmentWait
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let replicas = to.split(separator: ",").compactMap { Int32($0) }
            guard !replicas.isEmpty, replicas.count == to.split(separator: ",").count else {
                throw ValidationError("'\(to)' is not a list of brokers, such as 1,2,3")
            }
            let plan = ReassignmentPlan(moves: [
                .init(partition: partition.partition, replicas: replicas.map { NodeID(rawValue: $0) })
            ])
            try await connection.withClient("cannot move \(partition.partition)") { client in
                try await plan.apply(client)
                try await wait.untilDone(plan, client)
            }
        }
    }

    struct ElectLeader: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "elect-leader", abstract: "Bring leaders back to their preferred replicas.")

        @Argument(help: "The partitions, as topic/3; all of them otherwise.")
        var partitions: [PartitionName] = []

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let names = partitions.map(\.partition)
            let outcomes = try await connection.withClient("cannot elect leaders") {
                try await $0.electPreferredLeaders(names.isEmpty ? nil : names)
            }
            var failed = 0
            for outcome in outcomes {
                switch outcome.errorCode {
                case .none: try FileOutput.standardOutput.write("\(outcome.partition): elected\n")
                case .electionNotNeeded: continue
                default:
                    failed += 1
                    let reason = outcome.message ?? outcome.errorCode.meaning
                    try FileOutput.standardError.write(
                        "\(outcome.partition): \(outcome.errorCode.name) (\(reason))\n")
                }
            }
            guard failed > 0 else { return }
            throw Failure(
                "cannot elect all leaders", place: "\(failed) of \(outcomes.count) partitions, listed above",
                advice: "see whether their preferred replicas are in sync: goulette partition list",
                exitCode: failed < outcomes.count ? .partlyDone : .failed)
        }
    }
}
