// SPDX-License-Identifier: Apache-2.0
//
// OperationReplay.swift
// Exported operations of the controller, replayed into an empty state without any broker.

import Broker
import Foundation
import Model
import Terminal

/// What comes of the operations in a file.
struct OperationReplay {
    private let state: ClusterState
    private let count: Int

    /// The part of an exported operation that matters here.
    private struct Exported: Decodable {
        var id: UInt64
        var entry: String
    }

    /// Reads and replays `file`; what it has must begin with the first operation and have no gaps.
    init(file: String) throws {
        func failure(_ reason: String) -> Failure {
            Failure(
                "cannot replay \(file)", place: reason,
                advice: "Export with: goulette cluster operations --all -o json", exitCode: .failed)
        }
        let exported: [Exported]
        do {
            exported = try JSONDecoder().decode([Exported].self, from: Data(contentsOf: URL(filePath: file)))
        } catch {
            throw failure("it is not a list of operations: \(error.localizedDescription)")
        }
        do throws(OperationHistory.Finding) {
            let history = try OperationHistory(
                exported: exported.map { (id: $0.id, bytes: Data(base64Encoded: $0.entry).map(Array.init) ?? []) })
            state = try history.replayed()
        } catch {
            throw failure("\(error)")
        }
        count = exported.count
    }

    /// Prints the outcome.
    func print(_ output: OutputOptions, palette: Palette) throws {
        let brokers = state.brokers.values.sorted { $0.id < $1.id }
        let topics = state.topics.values.sorted { $0.name < $1.name }
        var facts = FactList()
        facts.add("operations", .number(count))
        facts.add("cluster", TableCell(state.clusterID ?? "unnamed"))
        facts.add("brokers", TableCell(brokers.map { "\($0.id) \($0.state.rawValue)" }.joined(separator: ", ")))
        facts.add("topics", .number(topics.count))
        facts.add("partitions", .number(state.partitionCount))
        facts.add("reassigning", .number(state.reassigning.count))
        facts.add("next producer id", TableCell("\(state.nextProducerID)"))
        try output.print(
            text: facts.text(palette: palette),
            json: .object([
                ("operations", .integer(count)), ("clusterId", .optional(state.clusterID)),
                (
                    "brokers",
                    .array(
                        brokers.map {
                            .object([("id", .integer($0.id.rawValue)), ("state", .string($0.state.rawValue))])
                        })
                ),
                (
                    "topics",
                    .array(
                        topics.map { topic in
                            let replicas = topic.partitions.map { partition in
                                JSONValue.array(partition.replicas.map { .integer($0.rawValue) })
                            }
                            return .object([("name", .string(topic.name)), ("replicas", .array(replicas))])
                        })
                ),
            ]))
    }
}
