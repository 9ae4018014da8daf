// SPDX-License-Identifier: Apache-2.0
//
// TopicCommand.swift
// `goulette topic`: create, list, delete and alter topics. `describe` stands in TopicDescribeCommand.swift.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import Terminal

/// Everything about topics.
struct TopicCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topic", abstract: "Create, list, describe, alter and delete topics.",
        subcommands: [
            Create.self, List.self, TopicDescribeCommand.self, Alter.self, Delete.self,
            TopicLeaderCommand.self,
        ])
}

/// Does something to several topics and remembers which of them failed.
private func forEachTopic(
    _ names: [String], _ what: String, _ body: (String) async throws -> Void
) async throws {
    var failures: [Failure] = []
    for name in names {
        do {
            try await body(name)
        } catch let error as ClientError {
            failures.append(Failure(error, what: "cannot \(what) topic \(name)"))
        }
    }
    guard var last = failures.popLast() else { return }
    let palette = Palette(isEnabled: false)
    for failure in failures { try FileOutput.standardError.write(failure.text(palette: palette)) }
    if failures.count + 1 < names.count { last.exitCode = .partlyDone }
    throw last
}

extension TopicCommand {
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Create topics.")

        @Argument(help: "The names of the topics.")
        var names: [String]

        @Option(name: .shortAndLong, help: "How many partitions; the broker's default otherwise.")
        var partitions: Int32?

        @Option(name: .shortAndLong, help: "How many replicas of each; the broker's default otherwise.")
        var replicas: Int16?

        @Option(name: .shortAndLong, help: "A setting, as key=value. May be repeated.")
        var config: [Assignment] = []

        @Flag(help: "Check everything, create nothing.")
        var dryRun = false

        @Flag(help: "Do not fail when a topic exists.")
        var ifNotExists = false

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            try await connection.withClient("cannot create topics") { client in
                try await forEachTopic(names, "create") { name in
                    let topic = NewTopic(
                        name, partitions: partitions, replicas: replicas, configs: config.map { ($0.name, $0.value) })
                    var verb = dryRun ? "would create" : "created"
                    do throws(ClientError) {
                        try await client.createTopic(topic, validateOnly: dryRun)
                    } catch {
                        guard ifNotExists, error.kafka == .topicAlreadyExists else { throw error }
                        verb = "exists"
                    }
                    try FileOutput.standardOutput.write("\(verb) \(name)\n")
                }
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List topics.")

        @Flag(help: "Also list the cluster's own topics.")
        var `internal` = false

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let metadata = try await connection.withClient("cannot list topics") { try await $0.metadata() }
            let topics = metadata.topics.values.filter { self.internal || !$0.isInternal }.sorted { $0.name < $1.name }
            var table = Table([.init("name"), .init("partitions", .right), .init("replicas", .right), .init("state")])
            for topic in topics {
                let leaderless = topic.partitions.count { $0.leader == nil }
                let lagging = topic.partitions.count { $0.inSync.count < $0.replicas.count }
                let state =
                    leaderless > 0
                    ? TableCell("\(leaderless) without leader", state: .failed)
                    : lagging > 0 ? TableCell("\(lagging) under-replicated", state: .degraded) : "healthy"
                let replicas = topic.partitions.map(\.replicas.count).max() ?? 0
                table.add([TableCell(topic.name), .number(topic.partitions.count), .number(replicas), state])
            }
            try output.print(
                text: table.text(palette: connection.palette),
                json: .array(
                    topics.map { topic in
                        .object([
                            ("name", .string(topic.name)), ("partitions", .integer(topic.partitions.count)),
                            ("replicas", .integer(topic.partitions.map(\.replicas.count).max() ?? 0)),
                            ("internal", .boolean(topic.isInternal)),
                        ])
                    }))
        }
    }

    struct Alter: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change settings of a topic, or give it more partitions.")

        @Argument(help: "The name of the topic.")
        var name: String

        @Option(name: .shortAndLong, help: "The new number of partitions, more than there are.")
        var partitions: Int32?

        @Option(name: .shortAndLong, help: "A setting, as key=value. May be repeated.")
        var config: [Assignment] = []

        @Option(help: "A setting that goes back to its default. May be repeated.")
        var unset: [String] = []

        @OptionGroup var connection: ConnectionOptions

        func validate() throws {
            guard partitions == nil, config.isEmpty, unset.isEmpty else { return }
            throw ValidationError("Nothing to change: give --config, --unset or --partitions.")
        }

        func run() async throws {
            try await connection.withClient("cannot alter topic \(name)") { client in
                let changes =
                    config.map { ConfigChange($0.name, to: $0.value) } + unset.map { ConfigChange($0, to: nil) }
                if !changes.isEmpty { try await client.alterTopic(name, changes) }
                if let partitions { try await client.setPartitionCount(name, to: partitions) }
            }
            try FileOutput.standardOutput.write("altered \(name)\n")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete topics and all their records.")

        @Argument(help: "The names of the topics.")
        var names: [String]

        @Flag(name: .shortAndLong, help: "Do not ask.")
        var yes = false

        @Flag(help: "Do not fail when a topic does not exist.")
        var ifExists = false

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            if !yes { for name in names { try confirm(name) } }
            try await connection.withClient("cannot delete topics") { client in
                try await forEachTopic(names, "delete") { name in
                    var verb = "deleted"
                    do throws(ClientError) {
                        try await client.deleteTopic(name)
                    } catch {
                        guard ifExists, error.kafka == .unknownTopicOrPartition else { throw error }
                        verb = "absent"
                    }
                    try FileOutput.standardOutput.write("\(verb) \(name)\n")
                }
            }
        }

        /// Data goes for good, so the name has to be typed.
        private func confirm(_ name: String) throws {
            guard FileInput.standardInput.isTerminal else {
                throw ValidationError("Deleting \(name) needs a terminal to confirm, or --yes.")
            }
            try FileOutput.standardError.write("Deletes topic \(name) and all its records. Type its name to go on: ")
            guard readLine() == name else {
                throw Failure(
                    "topic \(name) was not deleted", place: "your answer", advice: "type exactly the name, or use --yes"
                )
            }
        }
    }
}
