// SPDX-License-Identifier: Apache-2.0
//
// ClusterContext.swift
// What the controller of a broker among others needs of its surroundings.

import Model
import NIOCore
import Replication

/// The surroundings of a controller that has peers; all of it on the controller's event loop.
struct ClusterContext {
    /// The way to the other brokers.
    let link: any PeerLink
    /// The requests that this broker serves.
    let requests: PeerRequestTable
    /// What this broker says of itself.
    let registration: BrokerRegistration
    /// Who leads what, as this broker has heard.
    let leaders: () -> LeaderTable
    /// The brokers that can be spoken to now.
    let connected: () -> [NodeID]
    /// Learns where a broker can be reached.
    let know: (NodeID, BrokerEndpoint) -> Void
    /// The coordinator's group, whose members follow the same rules as the controller's.
    let coordinator: ReplicaGroup
    let timing: ClusterTiming
    let loop: any EventLoop
}

/// When things are done, in milliseconds.
struct ClusterTiming: Sendable {
    /// Between two heartbeats to the controller's leader, or attempts to register.
    var heartbeat: Int64 = 500
    /// Between two looks at the replicas that change their members, and at the brokers' silence.
    var look: Int64 = 250
    /// Looks between two that regard every replica, move leaders and plan.
    var looksPerSweep = 4
    /// How long an answer of a broker is waited for.
    var answer: Int64 = 5_000
    /// How long a probe is waited for.
    var probe: Int64 = 1_000
    /// How long a broker is active before leaders move to it.
    var settle: Int64 = 3_000
}

extension ClusterTiming {
    /// A time that is meant for the usual timing, in proportion to this one.
    func scaled(_ milliseconds: Int64) -> Int64 { milliseconds * heartbeat / ClusterTiming().heartbeat }

    /// In step with the replicas: where their unit of time is shorter than usual, so is everything that happens often.
    init(_ hosting: GroupHostSettings) {
        let usual = Int64(GroupHostSettings().tickMilliseconds)
        let ticks = Int64(hosting.tickMilliseconds)
        guard ticks < usual else { return }
        heartbeat = max(10, heartbeat * ticks / usual)
        look = max(10, look * ticks / usual)
        settle = settle * ticks / usual
    }
}

extension Duration {
    /// A wait in milliseconds.
    static func of(_ milliseconds: Int64) -> Duration { .milliseconds(milliseconds) }
}
