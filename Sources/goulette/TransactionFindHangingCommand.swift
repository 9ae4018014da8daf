// SPDX-License-Identifier: Apache-2.0
//
// TransactionFindHangingCommand.swift
// `goulette transaction find-hanging`: transactions that hold up readers and that no coordinator will end (KIP-664).

import ArgumentParser
import KafkaClient
import Model
import Terminal

extension TransactionCommand {
    struct FindHanging: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "find-hanging",
            abstract: "Find transactions that no coordinator will end; exit 10 when there are any.",
            discussion: """
                A transaction hangs when a partition has it open, its producer has not written for longer than any \
                transaction may last, and its coordinator does not know it as open. Without --broker-id and --topic \
                every partition is looked at. What is found can be ended with: goulette transaction abort --topic …
                """)

        @Option(help: "Only partitions that have a replica on this broker.")
        var brokerID: Int32?

        @Option(help: "Only partitions of this topic.")
        var topic: String?

        @Option(help: "Only this partition of --topic.")
        var partition: Int32?

        @Option(help: "The longest time that any transaction may take, as transactions.max_timeout says: 90s, 15m.")
        var maxTransactionTimeout = "15m"

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func validate() throws {
            if partition != nil, topic == nil { throw ValidationError("--partition needs --topic") }
            if brokerID != nil, topic != nil { throw ValidationError("either --broker-id or --topic") }
            _ = try longest()
        }

        private func longest() throws -> Int64 {
            guard let milliseconds = Humanised.milliseconds(parsing: maxTransactionTimeout), milliseconds >= 0 else {
                throw ValidationError("'\(maxTransactionTimeout)' is not a time, such as 90s or 15m")
            }
            return milliseconds
        }

        func run() async throws {
            let latest = Clock.system.wallTime().milliseconds - (try longest())
            let found = try await connection.withClient("cannot look for hanging transactions") { client in
                let partitions = try await self.partitions(client)
                guard !partitions.isEmpty else { return [OpenTransaction]() }
                let open = try await client.openTransactions(in: partitions)
                return try await client.hanging(among: open.filter { $0.lastMilliseconds <= latest })
            }
            try output.print(text: Self.text(found, connection.palette), json: .array(found.map(Self.document)))
            if !found.isEmpty { throw ExitCode(Terminal.ExitCode.unhealthy.rawValue) }
        }

        private func partitions(_ client: KafkaClient) async throws -> [TopicPartition] {
            if let topic, let partition {
                return [TopicPartition(topic: topic, partition: PartitionIndex(rawValue: partition))]
            }
            let metadata =
                if let topic {
                    try await client.readyMetadata(topics: [topic])
                } else {
                    try await client.metadata()
                }
            let topics = metadata.topics.filter { topic == nil || $0.key == topic }
            return topics.sorted { $0.key < $1.key }.flatMap { name, described in
                described.partitions.filter { one in
                    brokerID.map { one.replicas.contains(NodeID(rawValue: $0)) } ?? true
                }.map { TopicPartition(topic: name, partition: $0.index) }
            }
        }

        private static func text(_ found: [OpenTransaction], _ palette: Palette) -> String {
            guard !found.isEmpty else { return "no transaction hangs\n" }
            var table = Table([
                .init("topic"), .init("partition", .right), .init("start offset", .right), .init("producer", .right),
                .init("epoch", .right), .init("coordinator epoch", .right), .init("last written"),
            ])
            for one in found {
                table.add([
                    TableCell(one.partition.topic), .number(one.partition.partition.rawValue),
                    .number(one.startOffset.rawValue), .number(one.producerID.rawValue), .number(one.producerEpoch),
                    .number(one.coordinatorEpoch), TableCell(WallTime(milliseconds: one.lastMilliseconds).rfc3339),
                ])
            }
            return table.text(palette: palette)
        }

        private static func document(_ one: OpenTransaction) -> JSONValue {
            .object([
                ("topic", .string(one.partition.topic)), ("partition", .integer(one.partition.partition.rawValue)),
                ("startOffset", .integer(one.startOffset.rawValue)), ("producerId", .integer(one.producerID.rawValue)),
                ("producerEpoch", .integer(Int32(one.producerEpoch))),
                ("coordinatorEpoch", .integer(one.coordinatorEpoch)), ("lastWrittenMs", .integer(one.lastMilliseconds)),
            ])
        }
    }
}
