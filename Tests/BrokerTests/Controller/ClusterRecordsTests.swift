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
