// SPDX-License-Identifier: Apache-2.0
//
// DirectoryTests.swift
// Discovery against a scripted Consul and a scripted name server, and without any.

import Foundation
import Model
import Synchronization
import TestSupport
import Testing

@testable import Discovery

@Suite(.timeLimit(.minutes(1))) struct DirectoryTests {
    @Test func aTemplateNamesEveryBroker() async throws {
        let one = try RunningDiscovery(
            id: 1, settings: "  discovery: dns\n  discovery_name: broker-{id}.example.com\n")
        await one.waitForBrokers([2, 3])
        #expect(one.address(of: 3) == "broker-3.example.com:91")
        #expect(one.discovery.isRegistered)
        await one.stop()
    }

    @Test func serviceRecordsAreAsked() async throws {
        let server = try await ScriptedNameServer(
            question: "_goulette._tcp.x.org", targets: [("b-1", 9191), ("b-2", 9192), ("b-7", 9197)])
        let one = try RunningDiscovery(
            id: 1,
            settings: """
                  discovery: dns
                  discovery_name: _goulette._tcp.x.org
                  discovery_endpoints: ["127.0.0.1:\(server.port)"]

                """)
        await one.waitForBrokers([2, 7])
        #expect(one.address(of: 7) == "b-7.x.org:9197")
        #expect(one.address(of: 1) == nil)
        await one.stop()
        try await server.stop()
    }

    @Test func brokersFindEachOtherInConsul() async throws {
        let consul = try await ScriptedConsul()
        let scratch = try Scratch()
        try scratch.write("secret\n", to: "token")
        let settings = """
              discovery: consul
              discovery_endpoints: ["127.0.0.1:1", "127.0.0.1:\(consul.port)"]
              discovery_interval: 100ms
              discovery_lease: 2s
              discovery_token_file: \(scratch.path("token"))

            """
        let one = try RunningDiscovery(id: 1, settings: settings)
        let two = try RunningDiscovery(id: 2, settings: settings)
        await one.waitForBrokers([2])
        await two.waitForBrokers([1])
        #expect(one.address(of: 2) == "broker-2.test:92")
        #expect(consul.state.withLock { $0.token } == "secret")
        // The agent lost its state: the next renewal fails, and both enter themselves again.
        consul.forget()
        let three = try RunningDiscovery(id: 3, settings: settings)
        await three.waitForBrokers([1, 2])
        for running in [one, two, three] { await running.stop() }
        #expect(consul.state.withLock { $0.services.isEmpty })
        try await consul.stop()
    }
}
