// SPDX-License-Identifier: Apache-2.0
//
// ClusterWatch.swift
// Whether the cluster counts on this broker: what `/health` says of it, and the last step of a start.

import Admin
import Broker
import Model
import NIOCore
import Synchronization

/// Looks at the metadata a few times a second.
final class ClusterWatch: Sendable {
    private static let interval = TimeAmount.milliseconds(100)

    private struct State {
        var status = HealthStatus.unhealthy(reason: "the cluster has not taken this broker in yet")
        var isActive = false
        var clusterID = ""
        var task: RepeatedTask?
    }

    private let broker: Broker
    private let network: ClusterNetwork
    private let startup: Startup
    private let state = Mutex(State())

    init(_ broker: Broker, _ network: ClusterNetwork, _ startup: Startup) {
        self.broker = broker
        self.network = network
        self.startup = startup
    }

    /// Begins to look, and to answer for the check `cluster`.
    func start(on loop: any EventLoop) {
        startup.health.register("cluster") { [self] in state.withLock { $0.status } }
        let task = loop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.interval) { [self] _ in look() }
        state.withLock { $0.task = task }
    }

    /// Looks no more.
    func stop() { state.withLock { $0.task }?.cancel() }

    private func look() {
        let node = broker.node
        broker.shards.execute(on: 0) { [self] shard in
            let image = shard.image
            take(image.brokers[node]?.state, controller: image.controller, clusterID: image.clusterID)
        }
    }

    private func take(_ own: BrokerState?, controller: NodeID?, clusterID: String) {
        let (isFirst, isNamed) = state.withLock { state -> (Bool, Bool) in
            state.status = Self.status(own, controller: controller, wasActive: state.isActive)
            let isFirst = own == .active && !state.isActive
            let isNamed = !clusterID.isEmpty && state.clusterID != clusterID
            state.isActive = state.isActive || isFirst
            if isNamed { state.clusterID = clusterID }
            return (isFirst, isNamed)
        }
        if isNamed { network.belongs(to: clusterID) }
        if isFirst { startup.finish(.active) }
    }

    private static func status(_ own: BrokerState?, controller: NodeID?, wasActive: Bool) -> HealthStatus {
        switch own {
        case nil where wasActive: .unhealthy(reason: "this broker was decommissioned; it can be stopped")
        case nil: .unhealthy(reason: "the cluster has not taken this broker in yet")
        case .starting: .unhealthy(reason: "the cluster does not count on this broker yet")
        case .failed: .unhealthy(reason: "the cluster counts this broker as failed")
        case .draining: .degraded(reason: "this broker is being drained")
        case .active:
            controller == nil ? .degraded(reason: "nobody is known to lead the controller") : .healthy
        }
    }
}
