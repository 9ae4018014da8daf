// SPDX-License-Identifier: Apache-2.0
//
// ClusterRecordsTests.swift
// The controller's stored records: what is written is read, and those of the first format stay readable.

import LogStore
import Model
import Replication
import Testing

@testable import Broker

@Suite struct ClusterRecordsTests {
    @Test func readsStoredRecordsOfTheFirstFormat() throws {
        var state = ClusterState()
        try ClusterRecords.restore(
            bytes("63"),
            bytes("01010000001671383376456a5257654a43727a6538534e465a346b41" + "000000000000040300000000000003e8"),
            into: &state)
        try ClusterRecords.restore(
            bytes("7401020304050607081112131415161718"),
            bytes(
                "01000000066f7264657273010203040506070811121314151617180000000300000000000004000000000100000001"
                    + "000000000000040100000001000000010000000000000402000000010000000100000001"
                    + "0000000c726574656e74696f6e2e6d730000000135"), into: &state)
        #expect(state.clusterID == "q83vEjRWeJCrze8SNFZ4kA")
        #expect(
            state.nextGroup == ClusterCodingTests.group(1027) && state.nextProducerID == 1000
                && state.lastOperation == 0)
        #expect(state.topic(named: "orders")?.partitions.map(\.group.rawValue) == [1024, 1025, 1026])
        #expect(state.partitionCount == 3)
        #expect(state.partition(ClusterCodingTests.group(1026))?.replicas == ClusterCodingTests.nodes(1))
    }

    /// The record of a configured group; one whose configuration was taken away has none.
    @Test func groupsHaveARecordAsLongAsSomethingIsSet() throws {
        var state = ClusterState()
        let key = bytes("67" + "6a6f6273")
        let change = state.apply(.configureGroup("jobs", ["share.session.timeout.ms": "9000"]))
        #expect(change == .groupConfigured("jobs"))
        let written = ClusterRecords.writes(after: change, state: state).first { $0.key == key }
        let golden = bytes(
            "03" + "00000001" + "0000001873686172652e73657373696f6e2e74696d656f75742e6d73" + "0000000439303030")
        #expect(written?.value == golden)
        var loaded = ClusterState()
        try ClusterRecords.restore(key, golden, into: &loaded)
        #expect(loaded.groupConfigurations == state.groupConfigurations)
        #expect(loaded.differences(from: ClusterState()) == ["configuration of group jobs"])
        let emptied = state.apply(.configureGroup("jobs", [:]))
        let writes = ClusterRecords.writes(after: emptied, state: state)
        #expect(writes.contains { $0.key == key && $0.value == nil } && state.groupConfigurations.isEmpty)
        #expect(throws: BinaryCodingError.self) { try ClusterRecords.restore([0x67, 0xFF], golden, into: &loaded) }
    }

    @Test func whatIsWrittenIsRead() throws {
        var random = SeededRandom(seed: 11)
        var writer = RandomCommands()
        var state = ClusterState()
        var stored: [[UInt8]: [UInt8]] = [:]
        for step in 0..<2_000 {
            let command = writer.next(state, using: &random)
            let change = state.apply(command, at: Int64(step))
            for write in ClusterRecords.writes(after: change, state: state) { stored[write.key] = write.value }
        }
        var loaded = ClusterState()
        for (key, value) in stored { try ClusterRecords.restore(key, value, into: &loaded) }
        #expect(loaded.differences(from: state) == [])
        #expect(loaded == state)
    }
}
