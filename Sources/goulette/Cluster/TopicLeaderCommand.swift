// SPDX-License-Identifier: Apache-2.0
//
// TopicLeaderCommand.swift
// `goulette topic leader`: who leads, and a hint that some brokers cannot be reached from here.

import Admin
import ArgumentParser
import Terminal

struct TopicLeaderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leader", abstract: "Show who leads a topic's partitions.",
        discussion: """
            With --unreachable the cluster tries the named brokers itself. Those that it cannot reach either are treated as \
            failed at once, and their partitions get other leaders.
            """)

    @Argument(help: "The name of the topic.")
    var name: String

    @Option(help: "Brokers that cannot be reached from here, as 1,2.")
    var unreachable: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup var connection: AdminOptions

    func run() async throws {
        let ids = (unreachable ?? "").split(separator: ",").map(String.init)
        guard ids.allSatisfy({ Int32($0) != nil }) else { throw ValidationError("--unreachable is a list of numbers") }
        let query = ids.isEmpty ? "" : "?unreachable=" + ids.joined(separator: ",")
        let view: TopicLeadersView = try await connection.withAdmin("cannot find the leaders of \(name)") {
            try await $0.get("/v1/topics/\(name.pathComponent)/leader\(query)")
        }
        var table = Table([
            .init("partition", .right), .init("leader", .right), .init("epoch", .right), .init("address"),
        ])
        for partition in view.partitions {
            table.add([
                .number(partition.partition),
                partition.leader.map { .number($0) } ?? TableCell("none", state: .failed), .number(partition.epoch),
                TableCell(partition.address ?? "-"),
            ])
        }
        var text = table.text(palette: connection.palette)
        if !view.failed.isEmpty {
            text += "\nThe cluster cannot reach these either: "
            text += view.failed.map { "\($0)" }.joined(separator: ", ") + "\n"
        }
        if !view.reachable.isEmpty {
            text += "\nThe cluster reaches these; look at the network between here and them: "
            text += view.reachable.map { "\($0)" }.joined(separator: ", ") + "\n"
        }
        try output.print(text: text, json: json(view))
    }

    private func json(_ view: TopicLeadersView) -> JSONValue {
        let partitions = view.partitions.map { partition -> JSONValue in
            .object([
                ("partition", .integer(partition.partition)),
                ("leader", partition.leader.map { .integer($0) } ?? .null),
                ("epoch", .integer(partition.epoch)), ("address", .optional(partition.address)),
            ])
        }
        return .object([
            ("topic", .string(view.topic)), ("partitions", .array(partitions)),
            ("failed", .array(view.failed.map { .integer($0) })),
            ("reachable", .array(view.reachable.map { .integer($0) })),
        ])
    }
}
