// SPDX-License-Identifier: Apache-2.0
//
// TransactionCommand.swift
// `goulette transaction`: which transactions there are, what they hold up, and how to end one whose producer is gone.

import ArgumentParser
import KafkaClient
import Model
import Terminal

/// Everything about transactions.
struct TransactionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transaction", abstract: "List, describe and abort transactions, and find those that hang.",
        subcommands: [List.self, Describe.self, FindHanging.self, Abort.self])
}

extension TransactionCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List transactional ids.")

        @Option(help: "Only those in this state, such as Ongoing; may be given more than once.")
        var state: [String] = []

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let found = try await connection.withClient("cannot list transactions") { [state] client in
                try await client.listTransactions(states: state)
            }
            var table = Table([
                .init("transactional id"), .init("state"), .init("producer", .right), .init("coordinator", .right),
            ])
            for one in found {
                table.add([
                    TableCell(one.id), TableCell(one.state), .number(one.producerID.rawValue),
                    .number(one.coordinator.rawValue),
                ])
            }
            try output.print(
                text: table.text(palette: connection.palette),
                json: .array(
                    found.map {
                        .object([
                            ("transactionalId", .string($0.id)), ("state", .string($0.state)),
                            ("producerId", .integer($0.producerID.rawValue)),
                            ("coordinator", .integer($0.coordinator.rawValue)),
                        ])
                    }))
        }
    }

    struct Describe: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the transaction of a transactional id, and the partitions it holds up.")

        @Argument(help: "The transactional id.")
        var id: String

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let found = try await connection.withClient("cannot describe transaction \(id)") { [id] client in
                try await client.describeTransaction(id)
            }
            try output.print(text: text(found), json: json(found))
        }

        private func text(_ found: TransactionDescription) -> String {
            var facts = FactList()
            facts.add("transactional id", TableCell(found.id))
            facts.add("state", TableCell(found.state))
            facts.add("producer", TableCell("\(found.producerID.rawValue), epoch \(found.epoch)"))
            facts.add("timeout", TableCell("\(found.timeoutMilliseconds) ms"))
            facts.add("began", TableCell(found.startMilliseconds.map { "\($0)" } ?? "-"))
            facts.add("coordinator", .number(found.coordinator.rawValue))
            facts.add("partitions", .number(found.partitions.count))
            var table = Table([.init("topic"), .init("partition", .right)])
            for partition in found.partitions {
                table.add([TableCell(partition.topic), .number(partition.partition.rawValue)])
            }
            let text = facts.text(palette: connection.palette)
            return found.partitions.isEmpty ? text : text + "\n" + table.text(palette: connection.palette)
        }

        private func json(_ found: TransactionDescription) -> JSONValue {
            .object([
                ("transactionalId", .string(found.id)), ("state", .string(found.state)),
                ("producerId", .integer(found.producerID.rawValue)), ("producerEpoch", .integer(Int32(found.epoch))),
                ("timeoutMs", .integer(found.timeoutMilliseconds)),
                ("startTimeMs", found.startMilliseconds.map { .integer($0) } ?? .null),
                ("coordinator", .integer(found.coordinator.rawValue)),
                (
                    "partitions",
                    .array(
                        found.partitions.map {
                            .object([
                                ("topic", .string($0.topic)), ("partition", .integer($0.partition.rawValue)),
                            ])
                        })
                ),
            ])
        }
    }
}
