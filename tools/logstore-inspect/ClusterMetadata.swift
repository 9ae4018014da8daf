// SPDX-License-Identifier: Apache-2.0
//
// ClusterMetadata.swift
// The cluster's metadata as the controller's state machine has stored it here: brokers, topics, replicas, operations.

import ArgumentParser
import Broker
import LogStore
import Model
import Terminal

/// The command `metadata`.
struct ClusterMetadata: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metadata",
        abstract: "Brokers, topics, partitions and operations, as the controller's state in this directory has them.",
        discussion: """
            Shows what this broker had applied of the controller's log, which other brokers may have further. With \
            --topic or --broker, only what is about them.
            """)
    @OptionGroup var options: DirectoryOptions

    @Option(help: ArgumentHelp("Only this topic; may be repeated.", valueName: "name"))
    var topic: [String] = []

    @Option(help: ArgumentHelp("Only this broker and what has a replica there; may be repeated.", valueName: "id"))
    var broker: [Int32] = []

    @Option(help: "How many of the last operations to list; 0 for all.")
    var operations = 20

    func validate() throws {
        if operations < 0 { throw ValidationError("--operations \(operations) is negative") }
    }

    func run() throws {
        let reader = try options.open()
        defer { reader.close() }
        let group = try settled(reader)
        let (metadata, selection) = try options.reading { () throws(StoreError) in try read(reader, group) }
        try refuseUnknown(metadata)
        let page = MetadataPage(options: options, metadata: metadata, selection: selection)
        try page.printCluster(try options.reading { () throws(StoreError) in try position(reader, group) })
        try page.printBrokers()
        try page.printTopics()
        try page.printGroups()
        try page.printPartitions { id in
            try options.reading { () throws(StoreError) in try reader.group(id)?.hardState?.term }
        }
        try page.printOperations()
        try report(metadata, reader, group)
    }

    // MARK: Reading

    /// The controller's group at a moment when no snapshot takes the place of its state, if there is one soon.
    private func settled(_ reader: StoreReader) throws -> InspectedGroup {
        try options.reading { () throws(StoreError) in
            for _ in 0..<8 {
                guard let group = try reader.group(.controller), try reader.snapshot(of: group) != nil else { break }
                guard try reader.refresh() else { break }
            }
        }
        let found = try options.reading { () throws(StoreError) -> (group: InspectedGroup?, hasState: Bool) in
            guard let group = try reader.group(.controller) else { return (nil, false) }
            let applied = try reader.applied(of: group)
            let pending = try reader.snapshot(of: group)
            return (group, applied != nil || pending != nil)
        }
        if let group = found.group, found.hasState { return group }
        // A log without its beginning was compacted, and the state stood for what is gone.
        if let group = found.group, group.meta.firstIndex > LogIndex(1) {
            let reason = "no state, and the controller's log begins with entry \(group.meta.firstIndex)"
            throw Failure(
                "the cluster's metadata is lost", place: "\(options.path)/rocksdb: \(reason)",
                advice: "Run logstore-inspect verify \(options.directory).", exitCode: .corruptData)
        }
        throw Failure(
            "no cluster metadata", place: options.path,
            advice: "Look into the directory of a broker that was ready once; this one applied nothing.")
    }

    private func read(
        _ reader: StoreReader, _ group: InspectedGroup
    ) throws(StoreError) -> (StoredClusterState, ClusterSelection) {
        var metadata = StoredClusterState()
        try reader.state(in: .controller, of: group) { key, value in
            metadata.take(key, value)
            return true
        }
        metadata.check()
        let selection = ClusterSelection(
            topics: topic, brokers: broker.map { NodeID(rawValue: $0) }, among: metadata.topics)
        let limit = operations == 0 ? nil : operations
        try reader.state(StoredClusterState.operationPrefix, in: .controller, of: group) { key, value in
            metadata.takeOperation(key, value, limit: limit) { selection.includes($0) }
            return true
        }
        metadata.finishOperations(limit: limit)
        return (metadata, selection)
    }

    private func position(
        _ reader: StoreReader, _ group: InspectedGroup
    ) throws(StoreError) -> MetadataPage.Position {
        MetadataPage.Position(
            applied: try reader.applied(of: group), last: reader.lastIndex(of: group),
            pending: try reader.snapshot(of: group)?.index)
    }

    // MARK: Complaints

    /// Names that the metadata does not have; a damaged record may have been of them.
    private func refuseUnknown(_ metadata: StoredClusterState) throws {
        guard metadata.flaws.isEmpty else { return }
        let names = Set(metadata.topics.map(\.name))
        if let unknown = topic.first(where: { !names.contains($0) }) {
            throw Failure(
                "no such topic", place: "\(options.directory): \(unknown)",
                advice: "List them with: logstore-inspect metadata \(options.directory)")
        }
        // A broker alone is not registered anywhere.
        let known = Set(metadata.brokers.map(\.id.rawValue))
            .union(metadata.topics.flatMap { $0.partitions.flatMap { $0.replicas.map(\.rawValue) } })
        if let unknown = broker.first(where: { !known.contains($0) }) {
            throw Failure(
                "no such broker", place: "\(options.directory): \(unknown)",
                advice: "List them with: logstore-inspect metadata \(options.directory)")
        }
    }

    /// Says what was left out; while a snapshot takes the place of the state, that is no damage.
    private func report(_ metadata: StoredClusterState, _ reader: StoreReader, _ group: InspectedGroup) throws {
        if let snapshot = try options.reading({ () throws(StoreError) in try reader.snapshot(of: group) }) {
            let mark = Palette.standardError.paint("warning", as: .degraded)
            return try FileOutput.standardError.write(
                "\(mark)  a snapshot up to entry \(snapshot.index) takes the place of this state, which is not whole\n"
                    + "         until the broker starts again\n")
        }
        guard let first = metadata.flaws.first else { return }
        let listed = 20
        for flaw in metadata.flaws.prefix(listed) {
            try FileOutput.standardError.write(group.stateDamage(flaw).text(.standardError))
        }
        let count = metadata.flaws.count
        if count > listed { try FileOutput.standardError.write("         and \(count - listed) more\n") }
        throw Failure(
            count == 1 ? "the cluster's metadata is damaged" : "\(count) places of the cluster's metadata are damaged",
            place: "\(options.path)/rocksdb: \(first)",
            advice: "Other brokers have the same state; see docs/OPERATING.md.", exitCode: .corruptData)
    }
}
