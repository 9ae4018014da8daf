// SPDX-License-Identifier: Apache-2.0
//
// TopicDescribeCommand.swift
// `goulette topic describe`: partitions with their replicas and offsets, and the settings.

import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import Terminal

struct TopicDescribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe", abstract: "Show the partitions and the settings of topics.")

    @Argument(help: "The names of the topics.")
    var names: [String]

    @Flag(help: "Show every setting, not only those that differ from the defaults.")
    var configs = false

    @OptionGroup var output: OutputOptions
    @OptionGroup var connection: ConnectionOptions

    /// What is known of one topic.
    private struct Description: Sendable {
        let topic: ClusterMetadata.Topic
        let starts: [TopicPartition: Offset?]
        let ends: [TopicPartition: Offset?]
        let settings: [ConfigEntry]
    }

    func run() async throws {
        let descriptions = try await connection.withClient("cannot describe \(names.joined(separator: ", "))") {
            client in
            var descriptions: [Description] = []
            for name in names { descriptions.append(try await describe(name, client)) }
            return descriptions
        }
        try output.print(
            text: descriptions.map(text).joined(separator: "\n"), json: .array(descriptions.map(json)))
    }

    private func describe(_ name: String, _ client: KafkaClient) async throws(ClientError) -> Description {
        let metadata = try await client.metadata(topics: [name])
        guard let topic = metadata.topics[name], topic.errorCode == .none else {
            let code = metadata.topics[name]?.errorCode ?? .unknownTopicOrPartition
            throw ClientError(refused: code, attempted: "describe topic", place: "topic \(name)")
        }
        // Partitions without a leader have no offsets now; the others are shown nevertheless.
        let led = topic.partitions.filter { $0.leader != nil }.map { TopicPartition(topic: name, partition: $0.index) }
        var (starts, ends): ([TopicPartition: Offset?], [TopicPartition: Offset?]) = ([:], [:])
        if led.count == topic.partitions.count {
            starts = try await client.offsets(.earliest, of: led)
            ends = try await client.offsets(.latest, of: led)
        }
        let settings = try await client.topicConfigs(name)
        return Description(
            topic: topic, starts: starts, ends: ends, settings: settings.filter { configs || $0.isOverride })
    }

    private func text(_ description: Description) -> String {
        let topic = description.topic
        var facts = FactList()
        facts.add("topic", TableCell(topic.name))
        facts.add("partitions", .number(topic.partitions.count))
        facts.add("replicas", .number(topic.partitions.map(\.replicas.count).max() ?? 0))
        var table = Table(
            [.init("partition", .right)] + ClusterMetadata.Partition.columns
                + [.init("start", .right), .init("end", .right), .init("records", .right)])
        for partition in topic.partitions { table.add(row(partition, description)) }
        var text = facts.text(palette: connection.palette) + "\n" + table.text(palette: connection.palette)
        if !description.settings.isEmpty {
            var settings = Table([.init("setting"), .init("value"), .init("source")])
            for entry in description.settings {
                let value = entry.isSensitive ? "(hidden)" : entry.value ?? "(none)"
                let source = entry.source.map { "\($0)" } ?? "unknown"
                settings.add([
                    TableCell(entry.name), TableCell(value), TableCell(source, state: entry.isOverride ? nil : .dim),
                ])
            }
            text += "\n" + settings.text(palette: connection.palette)
        }
        return text
    }

    private func row(_ partition: ClusterMetadata.Partition, _ description: Description) -> [TableCell] {
        let key = TopicPartition(topic: description.topic.name, partition: partition.index)
        let (start, end) = (description.starts[key] ?? nil, description.ends[key] ?? nil)
        var cells = [TableCell.number(partition.index.rawValue)] + partition.cells
        cells.append(start.map { .number($0.rawValue) } ?? "-")
        cells.append(end.map { .number($0.rawValue) } ?? "-")
        cells.append(start.flatMap { start in end.map { .number($0 - start) } } ?? "-")
        return cells
    }

    private func json(_ description: Description) -> JSONValue {
        let name = description.topic.name
        let partitions = description.topic.partitions.map { partition -> JSONValue in
            let key = TopicPartition(topic: name, partition: partition.index)
            func offset(_ offsets: [TopicPartition: Offset?]) -> JSONValue {
                (offsets[key] ?? nil).map { .integer($0.rawValue) } ?? .null
            }
            return .object(
                partition.members + [
                    ("startOffset", offset(description.starts)), ("endOffset", offset(description.ends)),
                ])
        }
        let settings = description.settings.map { entry -> JSONValue in
            .object([
                ("name", .string(entry.name)), ("value", .optional(entry.value)),
                ("source", .optional(entry.source.map { "\($0)" })), ("readOnly", .boolean(entry.isReadOnly)),
            ])
        }
        return .object([
            ("name", .string(name)), ("internal", .boolean(description.topic.isInternal)),
            ("partitions", .array(partitions)), ("settings", .array(settings)),
        ])
    }
}
