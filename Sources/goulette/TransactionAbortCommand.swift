// SPDX-License-Identifier: Apache-2.0
//
// TransactionAbortCommand.swift
// `goulette transaction abort`: ends the transaction of a transactional id, or one in a partition that hangs.

import ArgumentParser
import KafkaClient
import Model
import Terminal

extension TransactionCommand {
    struct Abort: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Abort the open transaction of a transactional id, or one that hangs in a partition.",
            discussion: """
                With a transactional id its coordinator aborts the transaction everywhere, and its producer is fenced for \
                good. With --topic, --partition and --start-offset, as find-hanging prints them, a transaction that no \
                coordinator knows is ended in that partition.
                """)

        @Argument(help: "The transactional id.")
        var id: String?

        @Option(help: "The topic of a transaction that hangs.")
        var topic: String?

        @Option(help: "Its partition.")
        var partition: Int32?

        @Option(help: "The offset of its first record there.")
        var startOffset: Int64?

        @Flag(name: .shortAndLong, help: "Do not ask.")
        var yes = false

        @OptionGroup var connection: ConnectionOptions

        private enum Target {
            case id(String)
            case hanging(TopicPartition, startOffset: Offset)
        }

        func validate() throws { _ = try target() }

        private func target() throws -> Target {
            switch (id, topic, partition, startOffset) {
            case (let id?, nil, nil, nil): return .id(id)
            case (nil, let topic?, let partition?, let offset?) where offset >= 0:
                let partition = TopicPartition(topic: topic, partition: PartitionIndex(rawValue: partition))
                return .hanging(partition, startOffset: Offset(offset))
            default:
                throw ValidationError("Name a transactional id, or --topic, --partition and --start-offset.")
            }
        }

        func run() async throws {
            switch try target() {
            case .id(let id): try await abort(id)
            case .hanging(let partition, let startOffset): try await abandon(partition, startOffset)
            }
        }

        private func abort(_ id: String) async throws {
            guard yes else {
                throw ValidationError("Aborting fences the producer of \(id), which has to begin anew: say --yes.")
            }
            try await connection.withClient("cannot abort the transaction of \(id)") { client in
                let found = try await client.describeTransaction(id)
                guard found.state == "Ongoing" else {
                    throw Failure(
                        "nothing to abort", place: "transactional id \(id): its state is \(found.state)",
                        advice: "list what is open with: goulette transaction list --state Ongoing")
                }
                try await client.abortTransaction(id, timeoutMilliseconds: found.timeoutMilliseconds)
            }
            try FileOutput.standardOutput.write("aborted \(id)\n")
        }

        private func abandon(_ partition: TopicPartition, _ startOffset: Offset) async throws {
            let place = "\(partition) at offset \(startOffset)"
            guard yes else {
                throw ValidationError("Aborting hides the transaction's records in \(place) for good: say --yes.")
            }
            try await connection.withClient("cannot abort the transaction in \(place)") { client in
                let open = try await client.openTransactions(in: [partition]).filter { $0.startOffset == startOffset }
                guard let one = open.first else {
                    throw Failure(
                        "nothing to abort", place: "\(place): no transaction begins there that is open",
                        advice: "find what hangs with: goulette transaction find-hanging")
                }
                guard try await client.hanging(among: [one]) == [one] else {
                    throw Failure(
                        "the transaction does not hang", place: "\(place): its coordinator is going to end it",
                        advice: "abort it by its transactional id, which goulette transaction list shows "
                            + "for producer \(one.producerID.rawValue)")
                }
                try await client.abandon(one)
            }
            try FileOutput.standardOutput.write("aborted \(place)\n")
        }
    }
}
