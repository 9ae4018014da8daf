// SPDX-License-Identifier: Apache-2.0
//
// LogCommand.swift
// `goulette log`: how much of which disk the partitions take.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import Terminal

/// Everything about partitions' data on running brokers; logstore-inspect looks at the files of stopped ones.
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show how much of which disk partitions take.", subcommands: [Dirs.self])
}

extension LogCommand {
    struct Dirs: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List replicas with their sizes, the largest first.")

        @Argument(help: "Only these topics.")
        var topics: [String] = []

        @Option(help: "Only what lies on this broker.")
        var broker: Int32?

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let replicas = try await connection.withClient("cannot list replicas on disk") { client in
                let metadata = try await client.metadata()
                try checkNames(metadata)
                var found: [StoredReplica] = []
                for one in metadata.brokers where broker.map({ $0 == one.id.rawValue }) ?? true {
                    found += try await client.storedReplicas(on: one.id)
                }
                return found.filter { topics.isEmpty || topics.contains($0.partition.topic) }
                    .sorted { $0.byteCount > $1.byteCount }
            }
            var table = Table([
                .init("partition"), .init("broker", .right), .init("size", .right), .init("lag", .right),
                .init("directory"),
            ])
            for replica in replicas {
                table.add([
                    TableCell("\(replica.partition)"), .number(replica.broker.rawValue),
                    TableCell(Humanised.size(Int(replica.byteCount))), .number(replica.offsetLag),
                    TableCell(replica.directory),
                ])
            }
            try output.print(text: table.text(palette: connection.palette), json: .array(replicas.map(Self.document)))
        }

        /// An empty list would say that nothing lies there.
        private func checkNames(_ metadata: ClusterMetadata) throws(ClientError) {
            if let broker, !metadata.brokers.contains(where: { $0.id.rawValue == broker }) {
                throw ClientError(
                    .invalidArgument, attempted: "describe directories", place: "broker \(broker)",
                    detail: "is not in the cluster, or not running")
            }
            for name in topics where metadata.topics[name] == nil {
                throw ClientError(
                    refused: .unknownTopicOrPartition, attempted: "describe directories", place: "topic \(name)")
            }
        }

        private static func document(_ replica: StoredReplica) -> JSONValue {
            .object([
                ("topic", .string(replica.partition.topic)),
                ("partition", .integer(replica.partition.partition.rawValue)),
                ("broker", .integer(replica.broker.rawValue)), ("bytes", .integer(replica.byteCount)),
                ("lag", .integer(replica.offsetLag)), ("directory", .string(replica.directory)),
            ])
        }
    }
}
