// SPDX-License-Identifier: Apache-2.0
//
// GroupCommand.swift
// `goulette group`: who reads what, and how far behind they are.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import Terminal

/// Everything about consumer groups and share groups.
struct GroupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group", abstract: "List, describe and delete consumer groups and share groups.",
        subcommands: [List.self, Describe.self, Delete.self])
}

extension GroupCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List consumer groups and share groups.")

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let groups = try await connection.withClient("cannot list groups") { try await $0.listGroups() }
            var table = Table([
                .init("group"), .init("type"), .init("state"), .init("protocol"), .init("coordinator", .right),
            ])
            for group in groups {
                table.add([
                    TableCell(group.id), TableCell(group.type), TableCell(group.state), TableCell(group.protocolType),
                    .number(group.coordinator.rawValue),
                ])
            }
            try output.print(
                text: table.text(palette: connection.palette),
                json: .array(
                    groups.map {
                        .object([
                            ("group", .string($0.id)), ("type", .string($0.type)), ("state", .string($0.state)),
                            ("protocolType", .string($0.protocolType)),
                            ("coordinator", .integer($0.coordinator.rawValue)),
                        ])
                    }))
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a group without members, with its offsets.")

        @Argument(help: "The name of the group.")
        var name: String

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            try await connection.withClient("cannot delete group \(name)") { try await $0.deleteGroup(name) }
            try FileOutput.standardOutput.write("deleted \(name)\n")
        }
    }

    struct Describe: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the members of a group, how far it is and its lag.")

        @Argument(help: "The name of the group.")
        var name: String

        @OptionGroup var output: OutputOptions
        @OptionGroup var connection: ConnectionOptions

        /// One partition that the group reads or has read.
        private struct Row: Sendable {
            let partition: TopicPartition
            /// What is committed; in a share group the first record that it may still get.
            let committed: Offset?
            let end: Offset?
            /// Who reads it; several only in a share group.
            let members: [GroupDescription.Member]
            /// In a share group, of which records behind the first one may be done.
            var sharedLag: Int64?

            var lag: Int64? {
                sharedLag ?? committed.flatMap { committed in end.map { max(0, $0 - committed) } }
            }

            /// A fact of every member, or a number for many.
            func text(_ fact: (GroupDescription.Member) -> String) -> TableCell {
                let facts = Set(members.map(fact))
                if facts.isEmpty { return "-" }
                return TableCell(facts.count <= 3 ? facts.sorted().joined(separator: ", ") : "\(facts.count) of them")
            }
        }

        private struct Found: Sendable {
            let group: GroupDescription
            let rows: [Row]
        }

        func run() async throws {
            let found: Found = try await connection.withClient("cannot describe group \(name)") { client in
                let group = try await client.describeGroup(name)
                return Found(group: group, rows: try await self.rows(of: group, client))
            }
            let (group, rows) = (found.group, found.rows)
            if group.state == "Dead", rows.isEmpty {
                throw Failure(
                    "cannot describe group \(name)", place: "broker \(group.coordinator): GROUP_ID_NOT_FOUND",
                    advice: "list the groups with: goulette group list")
            }
            try output.print(text: text(group, rows), json: json(group, rows))
        }

        private func rows(of group: GroupDescription, _ client: KafkaClient) async throws(ClientError) -> [Row] {
            let shared = group.type == "share" ? try await client.shareOffsets(group: name) : [:]
            let committed =
                group.type == "share"
                ? shared.mapValues(\.start) : try await client.committedOffsets(group: name).mapValues(\.offset)
            let owners = group.members.reduce(into: [TopicPartition: [GroupDescription.Member]]()) { owners, member in
                for partition in member.assignment { owners[partition, default: []].append(member) }
            }
            let partitions = Set(committed.keys).union(owners.keys).sorted {
                ($0.topic, $0.partition) < ($1.topic, $1.partition)
            }
            guard !partitions.isEmpty else { return [] }
            // Offsets of deleted topics outlive them; they have no end and no lag.
            let topics = try await client.metadata(topics: Set(partitions.map(\.topic)).sorted()).topics
            let alive = partitions.filter { topics[$0.topic]?.errorCode == KafkaErrorCode.none }
            let ends = alive.isEmpty ? [:] : try await client.offsets(.latest, of: alive)
            return partitions.map {
                Row(
                    partition: $0, committed: committed[$0], end: ends[$0] ?? nil, members: owners[$0] ?? [],
                    sharedLag: shared[$0]?.lag)
            }
        }

        private func text(_ group: GroupDescription, _ rows: [Row]) -> String {
            var facts = FactList()
            facts.add("group", TableCell(group.id))
            facts.add("state", TableCell(group.state, state: group.state == "Stable" ? .healthy : nil))
            facts.add("type", TableCell(group.type))
            if let epoch = group.epoch { facts.add("epoch", .number(epoch)) }
            facts.add("assignor", TableCell(group.assignor.isEmpty ? "-" : group.assignor))
            facts.add("coordinator", .number(group.coordinator.rawValue))
            facts.add("members", .number(group.members.count))
            facts.add("lag", .number(rows.reduce(0) { $0 + ($1.lag ?? 0) }))
            var table = Table([
                .init("topic"), .init("partition", .right),
                .init(group.type == "share" ? "start" : "committed", .right), .init("end", .right),
                .init("lag", .right), .init("client"), .init("host"), .init("member"),
            ])
            for row in rows {
                table.add([
                    TableCell(row.partition.topic), .number(row.partition.partition.rawValue),
                    row.committed.map { .number($0.rawValue) } ?? "-", row.end.map { .number($0.rawValue) } ?? "-",
                    row.lag.map { .number($0) } ?? "-", row.text(\.clientID), row.text(\.host), row.text(\.id),
                ])
            }
            let text = facts.text(palette: connection.palette)
            return rows.isEmpty ? text : text + "\n" + table.text(palette: connection.palette)
        }

        private func json(_ group: GroupDescription, _ rows: [Row]) -> JSONValue {
            .object([
                ("group", .string(group.id)), ("type", .string(group.type)), ("state", .string(group.state)),
                ("epoch", group.epoch.map { .integer($0) } ?? .null), ("assignor", .string(group.assignor)),
                ("coordinator", .integer(group.coordinator.rawValue)),
                (
                    "members",
                    .array(
                        group.members.map {
                            .object([
                                ("member", .string($0.id)), ("instance", .optional($0.instanceID)),
                                ("client", .string($0.clientID)), ("host", .string($0.host)),
                                ("epoch", $0.epoch.map { .integer($0) } ?? .null),
                            ])
                        })
                ),
                (
                    "partitions",
                    .array(
                        rows.map { row in
                            .object([
                                ("topic", .string(row.partition.topic)),
                                ("partition", .integer(row.partition.partition.rawValue)),
                                (
                                    group.type == "share" ? "startOffset" : "committedOffset",
                                    row.committed.map { .integer($0.rawValue) } ?? .null
                                ),
                                ("endOffset", row.end.map { .integer($0.rawValue) } ?? .null),
                                ("lag", row.lag.map { .integer($0) } ?? .null),
                                group.type == "share"
                                    ? ("members", .array(row.members.map { .string($0.id) }))
                                    : ("member", .optional(row.members.first?.id)),
                            ])
                        })
                ),
            ])
        }
    }
}
