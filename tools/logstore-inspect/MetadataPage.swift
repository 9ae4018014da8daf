// SPDX-License-Identifier: Apache-2.0
//
// MetadataPage.swift
// The tables of the cluster's metadata, and the same as one object for programs.

import Broker
import LogStore
import Model
import Terminal

/// Prints the parts of the metadata in the order they have on the page: they are one JSON object together.
struct MetadataPage {
    /// How far the state goes, and how far the log.
    struct Position {
        let applied: AppliedPosition?
        let last: LogIndex
        /// The last entry of a snapshot that takes the place of the state.
        let pending: LogIndex?
    }

    let options: DirectoryOptions
    let metadata: StoredClusterState
    let selection: ClusterSelection

    // MARK: Cluster

    func printCluster(_ position: Position) throws(OutputError) {
        let facts = facts(position)
        if options.json {
            let object = JSONValue.object(facts.map { ($0.key, $0.json) }).line
            return try FileOutput.standardOutput.write("{\"cluster\": \(object),\n")
        }
        var list = FactList()
        for fact in facts {
            guard let text = fact.text else { continue }
            let name = Self.factNames[fact.key] ?? fact.key
            list.add(name, TableCell(Folding.standardOutput.cut(text.text, taken: 20), state: text.state))
        }
        try FileOutput.standardOutput.write(list.text(palette: options.palette))
    }

    private static let factNames = [
        "clusterId": "cluster", "appliedIndex": "applied", "lastOperation": "last operation",
        "nextGroup": "next group", "nextProducerId": "next producer id", "isBalanceDue": "balance",
        "retired": "retired", "floors": "floors",
    ]

    private func facts(_ position: Position) -> [RowCell] {
        let counters = metadata.counters
        let applied = position.applied.map { "entry \($0.index) of term \($0.term)" } ?? "nothing"
        let behind = position.last > position.applied?.index ?? .zero
        let end = behind ? "; the log has entries up to \(position.last)" : ""
        let retired = counters?.retired.sorted { $0.key < $1.key } ?? []
        let floors = counters?.ownFloors.sorted { $0.key < $1.key } ?? []
        return [
            .text("clusterId", counters?.clusterID),
            RowCell("appliedIndex", Self.json(position.applied?.index.rawValue), applied + end),
            .hidden("appliedTerm", Self.json(position.applied?.term.rawValue)),
            .hidden("lastIndex", Self.json(position.last.rawValue)),
            .hidden("pendingSnapshot", Self.json(position.pending?.rawValue)),
            .number("lastOperation", counters.map { Int64(clamping: $0.lastOperation) }),
            .number("nextGroup", counters.map { Int64(clamping: $0.nextGroup.rawValue) }),
            .number("nextProducerId", counters?.nextProducerID),
            RowCell(
                "isBalanceDue", counters.map { .boolean($0.isBalanceDue) } ?? .null,
                counters.map { $0.isBalanceDue ? "due" : "not due" } ?? "-"),
            RowCell(
                "retired",
                .array(
                    retired.map {
                        .object([("broker", .integer($0.key.rawValue)), ("storeId", .string(Self.hex($0.value)))])
                    }),
                retired.isEmpty
                    ? nil : retired.map { "broker \($0.key) with \(Self.hex($0.value))" }.joined(separator: ", ")),
            RowCell(
                "floors",
                .array(
                    floors.map {
                        .object([("group", Self.json($0.key.rawValue))] + Self.members($0.value))
                    }),
                floors.isEmpty
                    ? nil
                    : floors.map { "\(InspectedGroup.name(of: $0.key, nil)) from \(Self.text($0.value))" }
                        .joined(separator: ", ")),
        ]
    }

    // MARK: Brokers

    func printBrokers() throws(OutputError) {
        let brokers = metadata.brokers.filter { selection.includes($0) }
        var printer = try printer(
            "brokers", isEmpty: brokers.isEmpty,
            [
                RowColumn("BROKER", right: true), RowColumn("STATE"), RowColumn("SINCE"),
                RowColumn("CLIENTS", flexible: true), RowColumn("BROKERS", flexible: true),
                RowColumn("RACK", flexible: true), RowColumn("REPLICAS", right: true), RowColumn("LOST"),
            ])
        for broker in brokers { try printer?.add(row(broker)) }
        try printer?.finish()
    }

    private func row(_ broker: BrokerRecord) -> [RowCell] {
        let registration = broker.registration
        let replicas = metadata.topics.reduce(0) { count, topic in
            count + topic.partitions.count { $0.hosts.contains(broker.id) }
        }
        let colour: StateColour =
            switch broker.state {
            case .active: .healthy
            case .starting, .draining: .degraded
            case .failed: .failed
            }
        let drain = broker.drain.map { ", drain \($0)" } ?? ""
        let lost = broker.lostGroups.map { InspectedGroup.name(of: $0, nil) }
        return [
            .number("broker", broker.id.rawValue),
            .text("state", broker.state.rawValue, state: colour).shown(broker.state.rawValue + drain),
            .hidden("health", .string("\(broker.health)")), .hidden("drain", .optional(broker.drain.map { "\($0)" })),
            .time("since", broker.since.milliseconds, short: true), .text("address", registration.kafka.text),
            .text("peerAddress", registration.peer.text), .text("rack", registration.rack),
            .hidden("incarnation", .string(Self.hex(registration.incarnation))),
            .hidden("storeId", .string(Self.hex(registration.storeID))),
            .hidden("isBlank", .boolean(registration.isBlank)),
            .hidden("storeBegan", Self.json(broker.storeBegan.rawValue)), .number("replicas", replicas),
            RowCell(
                "lostGroups", .array(broker.lostGroups.map { Self.json($0.rawValue) }),
                lost.isEmpty ? "-" : lost.joined(separator: ",")),
        ]
    }

    // MARK: Topics

    func printTopics() throws(OutputError) {
        let topics = metadata.topics.filter { selection.includes($0) }
        var printer = try printer(
            "topics", isEmpty: topics.isEmpty,
            [
                RowColumn("TOPIC", flexible: true), RowColumn("ID"), RowColumn("PARTITIONS", right: true),
                RowColumn("CONFIGURATION", flexible: true),
            ])
        for topic in topics {
            try printer?.add([
                .text("topic", topic.name), .text("id", "\(topic.id)"), .number("partitions", topic.partitions.count),
                Self.configuration(topic.configuration),
            ])
        }
        try printer?.finish()
    }

    /// Consumer groups and share groups that have a configuration; none when only some topics or brokers are asked for.
    func printGroups() throws(OutputError) {
        let groups = selection.isEverything ? metadata.groups : []
        var printer = try printer(
            "groups", isEmpty: groups.isEmpty,
            [RowColumn("CONSUMER OR SHARE GROUP", flexible: true), RowColumn("CONFIGURATION", flexible: true)])
        for group in groups {
            try printer?.add([.text("groupId", group.name), Self.configuration(group.configuration)])
        }
        try printer?.finish()
    }

    private static func configuration(_ configuration: [String: String]) -> RowCell {
        let sorted = configuration.sorted { $0.key < $1.key }
        return RowCell(
            "configuration", .object(sorted.map { ($0.key, .string($0.value)) }),
            sorted.isEmpty ? "-" : sorted.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
    }

    /// `term` gives the term that this directory's own replica knows; nil where it has none.
    func printPartitions(term: (GroupID) throws -> Term?) throws {
        let topics = metadata.topics.filter { selection.includes($0) }
        var printer = try printer(
            "partitions", isEmpty: topics.allSatisfy(\.partitions.isEmpty),
            [
                RowColumn("PARTITION", flexible: true), RowColumn("GROUP", right: true), RowColumn("REPLICAS"),
                RowColumn("PREFERRED", right: true), RowColumn("TERM HERE", right: true), RowColumn("REJOINING"),
                RowColumn("CHANGE", flexible: true),
            ])
        for topic in topics {
            for (number, partition) in topic.partitions.enumerated() where selection.includes(partition) {
                try printer?.add(Self.row(topic, number, partition, term: try term(partition.group)))
            }
        }
        try printer?.finish()
    }

    private static func row(
        _ topic: TopicRecord, _ number: Int, _ partition: PartitionRecord, term: Term?
    ) -> [RowCell] {
        let change = partition.reassignment
        return [
            .text("partition", "\(topic.name)/\(number)"), .hidden("topic", .string(topic.name)),
            .hidden("partitionIndex", .integer(number)), .number("group", partition.group.rawValue),
            nodes("replicas", partition.replicas),
            .number("preferredLeader", partition.preferredLeader.map { Int64($0.rawValue) }),
            .number("term", term.map { Int64(clamping: $0.rawValue) }),
            nodes("rejoining", partition.rejoining),
            .hidden("founders", nodes("", partition.founders).json),
            .hidden("floor", partition.floor.map { .object(members($0)) } ?? .null),
            RowCell(
                "reassignment",
                change.map { change in
                    .object([
                        ("phase", .string("\(change.phase)")), ("target", nodes("", change.target).json),
                        ("adding", nodes("", partition.adding).json), ("removing", nodes("", partition.removing).json),
                        ("since", .integer(change.since.milliseconds)),
                    ])
                } ?? .null,
                change.map {
                    "\($0.phase) to \($0.target.map { "\($0)" }.joined(separator: ",")) since "
                        + $0.since.rfc3339.spaced(short: true)
                } ?? "-"),
        ]
    }

    // MARK: Operations

    func printOperations() throws(OutputError) {
        var printer = try printer(
            "operations", isEmpty: metadata.operations.isEmpty,
            [
                RowColumn("OPERATION", right: true), RowColumn("TIME"), RowColumn("ACTOR", flexible: true),
                RowColumn("COMMAND"), RowColumn("ABOUT", flexible: true),
            ], isLast: true)
        for operation in metadata.operations {
            let text = operation.entry.command.text
            // Entries of the first format have neither time nor actor.
            let time = operation.entry.time.milliseconds
            try printer?.add([
                .number("operation", operation.id), .time("time", time == 0 ? -1 : time),
                .text("actor", operation.entry.actor.isEmpty ? nil : operation.entry.actor),
                .text("command", text.kind), .text("about", text.detail.isEmpty ? nil : text.detail),
            ])
        }
        try printer?.finish()
    }

    // MARK: Pieces

    /// A printer of one part; nil when there is nothing to print for people.
    private func printer(
        _ name: String, isEmpty: Bool, _ columns: [RowColumn], isLast: Bool = false
    ) throws(OutputError) -> RowPrinter? {
        if !options.json {
            guard !isEmpty else { return nil }
            try FileOutput.standardOutput.write("\n")
        }
        return RowPrinter(options, columns, opening: "\"\(name)\": [", closing: isLast ? "]}\n" : "],\n")
    }

    private static func nodes(_ key: String, _ nodes: [NodeID]) -> RowCell {
        let text = nodes.map { "\($0)" }.joined(separator: ",")
        return RowCell(key, .array(nodes.map { .integer($0.rawValue) }), text.isEmpty ? "-" : text)
    }

    private static func members(_ floor: JoinFloor) -> [(String, JSONValue)] {
        [("term", json(floor.term.rawValue)), ("index", json(floor.index.rawValue))]
    }

    private static func text(_ floor: JoinFloor) -> String { "entry \(floor.index) of term \(floor.term)" }

    private static func json(_ number: UInt64?) -> JSONValue { number.map { .integer(Int64(clamping: $0)) } ?? .null }

    /// A number that was drawn at random; too large for the numbers of JSON.
    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension RowCell {
    /// The same value with other words for people.
    fileprivate func shown(_ text: String) -> RowCell { RowCell(key, json, text, state: self.text?.state) }
}
