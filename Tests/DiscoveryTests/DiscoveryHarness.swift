// SPDX-License-Identifier: Apache-2.0
//
// DiscoveryHarness.swift
// Runs discoveries beside each other and waits for what they find.

import Model
import NIOCore
import NIOPosix
import Settings
import Telemetry
import TestSupport

@testable import Discovery

/// One broker's discovery, with what it found.
final class RunningDiscovery: Sendable {
    let discovery: Discovery
    let metrics = MetricRegistry()
    private let changes: AsyncStream<[PeerAddress]>
    private let task: Task<Void, Never>

    init(id: Int, settings: String) throws {
        let yaml = "cluster:\n  peers: [1, 2, 3]\n" + settings
        let resolved = try SettingsLoader.resolve(
            files: [("test", yaml)],
            commandLine: [("node.id", "\(id)"), ("listeners.peer", "broker-\(id).test:9\(id)")])
        guard let cluster = resolved.typed().cluster else { throw HarnessError.noCluster }
        let (stream, continuation) = AsyncStream.makeStream(of: [PeerAddress].self)
        changes = stream
        let discovery = Discovery(
            node: NodeID(rawValue: Int32(id)), cluster: cluster, loop: MultiThreadedEventLoopGroup.singleton.next(),
            metrics: metrics, logger: .silent,
            onChange: { continuation.yield($0) })
        self.discovery = discovery
        task = Task { await discovery.run() }
    }

    /// Waits until the addresses of `ids` are known.
    func waitForBrokers(_ ids: [Int32]) async {
        let wanted = Set(ids.map { NodeID(rawValue: $0) })
        if wanted.isSubset(of: discovery.addresses.keys) { return }
        for await _ in changes where wanted.isSubset(of: discovery.addresses.keys) { return }
    }

    func address(of id: Int32) -> String? { discovery.addresses[NodeID(rawValue: id)]?.description }

    /// Ends in order, with the entry withdrawn.
    func stop() async {
        discovery.stop()
        await task.value
    }
}

enum HarnessError: Error { case noCluster, noPort, notReady }
