// SPDX-License-Identifier: Apache-2.0
//
// EtcdTests.swift
// Discovery against a real etcd, which each test starts on ports and in a directory of its own.

import Foundation
import Model
import NIOCore
import NIOPosix
import PlainHTTP
import Settings
import TestSupport
import Testing

@testable import Discovery

/// An etcd of one member.
final class RealEtcd {
    static let path = ["/usr/bin/etcd", "/usr/local/bin/etcd"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    let client: NetworkAddress
    private let peer: NetworkAddress
    private let scratch: Scratch
    private var process: ChildProcess?

    init() async throws {
        client = try await Self.freeAddress()
        peer = try await Self.freeAddress()
        scratch = try Scratch()
        try await start()
    }

    private static func freeAddress() async throws -> NetworkAddress {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        guard let port = channel.localAddress?.port else { throw HarnessError.noPort }
        try await channel.close()
        return NetworkAddress(host: "127.0.0.1", port: port)
    }

    /// Starts it and returns when it answers.
    func start() async throws {
        guard let path = Self.path else { return }
        process = try ChildProcess(
            path,
            [
                "--data-dir", scratch.path("etcd"), "--listen-client-urls", "http://\(client)",
                "--advertise-client-urls", "http://\(client)", "--listen-peer-urls", "http://\(peer)",
                "--initial-advertise-peer-urls", "http://\(peer)", "--initial-cluster", "default=http://\(peer)",
            ])
        let http = Endpoints(loop: MultiThreadedEventLoopGroup.singleton.next(), addresses: [client])
        for _ in 0..<200 {
            let body = Array(#"{"key":"eA=="}"#.utf8)
            let answer = try? await http.send(HTTPRequest("POST", "/v3/kv/range", body: body))
            if answer?.status == 200 { return }
            // Another program starts: it tells nobody when it answers, so it is asked again, 10 s at most.
            try await Task.sleep(for: .milliseconds(50))
        }
        throw HarnessError.notReady
    }

    /// Kills it; what it promised is on disk.
    func kill() {
        guard let process else { return }
        process.kill()
        process.wait()
        self.process = nil
    }

    var settings: String {
        """
          discovery: etcd
          discovery_endpoints: ["\(client)"]
          discovery_interval: 100ms
          discovery_lease: 2s

        """
    }

    func directory(id: Int32, address: String) throws -> EtcdDirectory {
        EtcdDirectory(
            client: Endpoints(loop: MultiThreadedEventLoopGroup.singleton.next(), addresses: [client]), prefix: "test",
            own: PeerAddress(id: NodeID(rawValue: id), address: try NetworkAddress(parsing: address)),
            lease: .seconds(2))
    }
}

@Suite(.serialized, .timeLimit(.minutes(1)), .enabled(if: RealEtcd.path != nil, "etcd-server is not installed"))
struct EtcdTests {
    @Test func brokersFindEachOtherAndLeave() async throws {
        let etcd = try await RealEtcd()
        defer { etcd.kill() }
        let one = try RunningDiscovery(id: 1, settings: etcd.settings)
        let two = try RunningDiscovery(id: 2, settings: etcd.settings)
        await one.waitForBrokers([2])
        await two.waitForBrokers([1])
        #expect(two.address(of: 1) == "broker-1.test:91")
        await two.stop()
        // A broker that was stopped in order has withdrawn its entry.
        let three = try RunningDiscovery(id: 3, settings: etcd.settings)
        await three.waitForBrokers([1])
        #expect(three.address(of: 2) == nil)
        await one.stop()
        await three.stop()
    }

    @Test func anEtcdThatRestartsIsWaitedFor() async throws {
        let etcd = try await RealEtcd()
        defer { etcd.kill() }
        let one = try RunningDiscovery(id: 1, settings: etcd.settings)
        let two = try RunningDiscovery(id: 2, settings: etcd.settings)
        await one.waitForBrokers([2])
        etcd.kill()
        // Nothing known is forgotten meanwhile.
        #expect(one.address(of: 2) != nil)
        try await etcd.start()
        let three = try RunningDiscovery(id: 3, settings: etcd.settings)
        await three.waitForBrokers([1, 2])
        await one.waitForBrokers([3])
        for running in [one, two, three] { await running.stop() }
    }

    @Test func aLostLeaseIsNoticedAndMadeAgain() async throws {
        let etcd = try await RealEtcd()
        defer { etcd.kill() }
        var one = try etcd.directory(id: 1, address: "a:1")
        var copy = one
        try await one.register()
        try await one.renew()
        copy = one
        // Someone revokes the lease behind the broker's back.
        await copy.withdraw()
        #expect(try await one.look().isEmpty)
        await #expect(throws: DiscoveryError.leaseLost) { try await one.renew() }
        try await one.register()
        try await one.renew()
        #expect(try await one.look()[NodeID(rawValue: 1)]?.description == "a:1")
    }

    @Test func anotherBrokerUnderTheSameIDIsRefused() async throws {
        let etcd = try await RealEtcd()
        defer { etcd.kill() }
        var one = try etcd.directory(id: 1, address: "a:1")
        var other = try etcd.directory(id: 1, address: "b:2")
        var lastLife = try etcd.directory(id: 1, address: "a:1")
        try await one.register()
        await #expect(throws: DiscoveryError.taken(by: "a:1")) { try await other.register() }
        #expect(try await one.look()[NodeID(rawValue: 1)]?.description == "a:1")
        // The same broker after a crash does not wait for its old lease.
        try await lastLife.register()
        try await lastLife.renew()
        await lastLife.withdraw()
        #expect(try await one.look().isEmpty)
    }

    @Test func entriesThatAreNoBrokersAreLeftOut() async throws {
        let etcd = try await RealEtcd()
        defer { etcd.kill() }
        var one = try etcd.directory(id: 1, address: "a:1")
        try await one.register()
        let http = Endpoints(loop: MultiThreadedEventLoopGroup.singleton.next(), addresses: [etcd.client])
        for (key, value) in [("test/x", "a:1"), ("test/4", "no address"), ("test0", "a:1"), ("test/-5", "a:1")] {
            let body = #"{"key":"\#(EtcdDirectory.base64(key))","value":"\#(EtcdDirectory.base64(value))"}"#
            _ = try await http.send(HTTPRequest("POST", "/v3/kv/put", body: Array(body.utf8)))
        }
        #expect(try await one.look().keys.map(\.rawValue) == [1])
    }
}
