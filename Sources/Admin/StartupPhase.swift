// SPDX-License-Identifier: Apache-2.0
//
// StartupPhase.swift
// How far a start has come, in logs and in `/health`.

import Model

/// The steps of a start, in order.
public enum StartupPhase: String, CaseIterable, Sendable {
    /// The configuration is valid.
    case configuration
    /// The data directory exists and is this broker's.
    case directories
    /// The store is open, its journal replayed.
    case store
    /// Other brokers' addresses are known.
    case discovery
    /// The listener for other brokers is open, and this broker is entered where brokers are found.
    case registration
    /// It is known whether there is a cluster, and this broker has its place in it.
    case membership
    /// The controller's group runs.
    case controller
    /// Partitions and consumer groups are recovered.
    case groups
    /// Clients can connect.
    case listeners
    /// The broker takes part.
    case active

    /// What a broker does that is alone.
    public static let withoutCluster: [StartupPhase] = allCases.filter {
        ![.discovery, .registration, .membership, .controller].contains($0)
    }
}

/// The steps that are done, each with when it was.
struct StartupProgress: Sendable {
    private(set) var done: [(phase: StartupPhase, at: Instant)] = []
    let began: Instant
    /// The steps this broker takes, in order.
    let phases: [StartupPhase]

    init(began: Instant, phases: [StartupPhase]) {
        self.began = began
        self.phases = phases
    }

    mutating func finish(_ phase: StartupPhase, at now: Instant) { done.append((phase, now)) }

    /// What is being done; nil when everything is.
    var current: StartupPhase? { phases.first { phase in !done.contains { $0.phase == phase } } }
}
