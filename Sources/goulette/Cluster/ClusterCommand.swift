// SPDX-License-Identifier: Apache-2.0
//
// ClusterCommand.swift
// `goulette cluster`: who is there, whether all is well, and what was done to the cluster.

import Admin
import ArgumentParser
import KafkaClient
import Model
import Terminal

/// Everything about the cluster as a whole.
struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Show the cluster, its health and what was done to it.",
        subcommands: [Info.self, Health.self, Quorum.self, Operations.self])
}

extension ClusterCommand {
    struct Info: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the brokers and what they hold.")

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let metadata = try await connection.withClient("cannot describe the cluster") { try await $0.metadata() }
            let health = ClusterHealth(metadata)
            try output.print(text: text(metadata, health), json: json(metadata, health))
        }

        private func text(_ metadata: ClusterMetadata, _ health: ClusterHealth) -> String {
            var facts = FactList()
            facts.add("cluster", TableCell(metadata.clusterID ?? "unknown"))
            facts.add("controller", metadata.controller.map { .number($0.rawValue) } ?? "none")
            facts.add("topics", .number(metadata.topics.count))
            facts.add("partitions", .number(health.partitions))
            facts.add("state", health.verdict)
            var table = Table([
                .init("broker", .right), .init("address"), .init("rack"), .init("replicas", .right),
                .init("leaders", .right),
            ])
            for broker in metadata.brokers {
                let (replicas, leaders) = Self.holdings(of: broker.id, in: metadata)
                table.add([
                    .number(broker.id.rawValue), TableCell("\(broker.address)"), TableCell(broker.rack ?? "-"),
                    .number(replicas), .number(leaders),
                ])
            }
            return facts.text(palette: connection.palette) + "\n" + table.text(palette: connection.palette)
        }

        private func json(_ metadata: ClusterMetadata, _ health: ClusterHealth) -> JSONValue {
            let brokers = metadata.brokers.map { broker -> JSONValue in
                let (replicas, leaders) = Self.holdings(of: broker.id, in: metadata)
                return .object([
                    ("id", .integer(broker.id.rawValue)), ("address", .string("\(broker.address)")),
                    ("rack", .optional(broker.rack)), ("replicas", .integer(replicas)), ("leaders", .integer(leaders)),
                ])
            }
            return .object([
                ("clusterId", .optional(metadata.clusterID)),
                ("controller", metadata.controller.map { .integer($0.rawValue) } ?? .null),
                ("topics", .integer(metadata.topics.count)), ("partitions", .integer(health.partitions)),
                ("healthy", .boolean(health.isHealthy)), ("brokers", .array(brokers)),
            ])
        }

        /// How many partitions have a replica on `node`, and how many it leads.
        private static func holdings(of node: NodeID, in metadata: ClusterMetadata) -> (replicas: Int, leaders: Int) {
            let partitions = metadata.topics.values.flatMap(\.partitions)
            return (partitions.count { $0.replicas.contains(node) }, partitions.count { $0.leader == node })
        }
    }

    struct Health: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether all is well; exit 10 when it is not.",
            discussion: "A cluster is healthy when it has a controller and every replica of every partition is in sync."
        )

        @Flag(help: "Wait until it is healthy, as long as --timeout allows.")
        var wait = false

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let limit = try connection.settings().callTimeoutMilliseconds
            let health: ClusterHealth = try await connection.withClient("cannot learn the cluster's health") { client in
                let clock = Clock.system
                let began = clock.now()
                while true {
                    let health = ClusterHealth(try await client.metadata())
                    let isOver = clock.now().milliseconds(since: began) >= limit
                    if health.isHealthy || !wait || isOver { return health }
                    await client.pause(milliseconds: 200)
                }
            }
            try output.print(text: text(health), json: health.json)
            if !health.isHealthy { throw ExitCode(Terminal.ExitCode.unhealthy.rawValue) }
        }

        private func text(_ health: ClusterHealth) -> String {
            var facts = FactList()
            facts.add("state", health.verdict)
            facts.add("controller", health.controller.map { .number($0.rawValue) } ?? TableCell("none", state: .failed))
            facts.add("brokers", .list(health.brokers.map(\.rawValue)))
            func some(_ partitions: [TopicPartition]) -> String {
                partitions.prefix(10).map { "\($0)" }.joined(separator: " ")
                    + (partitions.count > 10 ? " and \(partitions.count - 10) more" : "")
            }
            if !health.leaderless.isEmpty { facts.add("leaderless", TableCell(some(health.leaderless))) }
            if !health.underReplicated.isEmpty {
                facts.add("under-replicated", TableCell(some(health.underReplicated)))
            }
            return facts.text(palette: connection.palette)
        }
    }

    struct Quorum: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the brokers that keep the cluster's metadata, and how far each has it.")

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let quorum = try await connection.withClient("cannot describe the quorum") { try await $0.metadataQuorum() }
            var facts = FactList()
            facts.add("leader", .number(quorum.leader.rawValue))
            facts.add("epoch", .number(quorum.epoch))
            facts.add("committed", .number(quorum.committed))
            var table = Table([.init("broker", .right), .init("role"), .init("end", .right), .init("behind", .right)])
            for member in quorum.members {
                table.add([
                    .number(member.id.rawValue), TableCell(member.isVoter ? "voter" : "learner"),
                    .number(member.endOffset), .number(max(0, quorum.committed - member.endOffset)),
                ])
            }
            try output.print(
                text: facts.text(palette: connection.palette) + "\n" + table.text(palette: connection.palette),
                json: Self.document(quorum))
        }

        private static func document(_ quorum: MetadataQuorum) -> JSONValue {
            let members = quorum.members.map { member in
                JSONValue.object([
                    ("broker", .integer(member.id.rawValue)), ("voter", .boolean(member.isVoter)),
                    ("endOffset", .integer(member.endOffset)),
                ])
            }
            return .object([
                ("leader", .integer(quorum.leader.rawValue)), ("epoch", .integer(quorum.epoch)),
                ("committed", .integer(quorum.committed)), ("members", .array(members)),
            ])
        }
    }

    struct Operations: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List what was done to the cluster, by whom and when.")

        @Option(help: "Only those with a higher number.")
        var after: UInt64 = 0

        @Option(name: .shortAndLong, help: "How many at most, 1 to 10000.")
        var number = 100

        @Flag(help: "All of them, however many.")
        var all = false

        @Option(
            help: """
                Replay what --all -o json has printed into an empty state, and show what comes of it. Asks no broker.
                """)
        var replay: String?

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: AdminOptions

        func run() async throws {
            if let replay { return try OperationReplay(file: replay).print(output, palette: connection.palette) }
            let operations: [OperationView] = try await connection.withAdmin("cannot list operations") { client in
                guard all else { return try await client.get("/v1/operations?after=\(after)&limit=\(number)") }
                var found: [OperationView] = []
                while true {
                    let last = found.last?.id ?? after
                    let next: [OperationView] = try await client.get("/v1/operations?after=\(last)&limit=10000")
                    guard !next.isEmpty else { return found }
                    found += next
                }
            }
            var table = Table([.init("number", .right), .init("time"), .init("actor"), .init("kind"), .init("detail")])
            for operation in operations {
                table.add([
                    .number(operation.id), TableCell(WallTime(milliseconds: operation.time).rfc3339),
                    TableCell(operation.actor), TableCell(operation.kind), TableCell(operation.detail),
                ])
            }
            try output.print(
                text: table.text(palette: connection.palette),
                json: .array(
                    operations.map {
                        .object([
                            ("id", .integer(Int64(clamping: $0.id))),
                            ("time", .string(WallTime(milliseconds: $0.time).rfc3339)),
                            ("timeMilliseconds", .integer($0.time)), ("actor", .string($0.actor)),
                            ("kind", .string($0.kind)), ("detail", .string($0.detail)),
                            ("entry", .string($0.entry)),
                        ])
                    }))
        }
    }
}
