// SPDX-License-Identifier: Apache-2.0
//
// BrokerRecord.swift
// A broker as the controller knows it: where it is, which life it is in, and whether it may hold leaders.

package import Model

/// Where a broker can be reached, as it says when it registers.
package struct BrokerEndpoint: Equatable, Sendable {
    package var host: String
    package var port: Int32

    package init(host: String, port: Int32) {
        self.host = host
        self.port = port
    }
}

/// What a broker says about itself when it registers.
package struct BrokerRegistration: Equatable, Sendable {
    package var id: NodeID
    /// A random number of this process; a restarted broker has another.
    package var incarnation: UInt64
    /// A random number of its data directory; another one says that everything the broker had stored is lost.
    package var storeID: UInt64
    /// Where clients connect.
    package var kafka: BrokerEndpoint
    /// Where other brokers connect.
    package var peer: BrokerEndpoint
    package var rack: String?
    /// Whether the directory was empty when this process began, and so is no member of anything, whatever others know.
    package var isBlank: Bool

    package init(
        id: NodeID, incarnation: UInt64, storeID: UInt64, kafka: BrokerEndpoint, peer: BrokerEndpoint,
        rack: String? = nil, isBlank: Bool = false
    ) {
        self.id = id
        self.incarnation = incarnation
        self.storeID = storeID
        self.kafka = kafka
        self.peer = peer
        self.rack = rack
        self.isBlank = isBlank
    }
}

/// Whether a broker answers, as the controller has decided.
package enum BrokerHealth: UInt8, Equatable, Sendable, CaseIterable {
    /// Registered in this life, not yet ready to hold leaders.
    case starting = 1
    /// Answers heartbeats and takes part.
    case active = 2
    /// Fenced: holds no leaders, and its replicas are replaced after the grace period.
    case failed = 3
}

/// What an operator wants to become of a broker's replicas.
package enum DrainMode: UInt8, Equatable, Sendable, CaseIterable {
    /// Leaders leave, replicas stay: for a restart.
    case leaders = 1
    /// Leaders leave, then replicas, as far as other brokers have a place for them.
    case replicas = 2
    /// As `replicas`; the broker is unregistered once it is empty.
    case decommission = 3
}

/// What people are told of a broker's state, the most important of what applies.
package enum BrokerState: String, Equatable, Sendable, CaseIterable {
    case starting
    case active
    case draining
    case failed
}

/// A registered broker.
package struct BrokerRecord: Equatable, Sendable {
    package var registration: BrokerRegistration
    package var health: BrokerHealth
    /// Nil unless an operator drains the broker.
    package var drain: DrainMode?
    /// When health or drain changed last.
    package var since: WallTime
    /// The first group that did not exist when the broker registered with its present data directory.
    ///
    /// A replica of an older group that is not in the directory is not new, but lost.
    package var storeBegan: GroupID
    /// Groups of the brokers themselves whose replica is lost and still counts as a member.
    package var lostGroups: [GroupID]

    package init(
        registration: BrokerRegistration, health: BrokerHealth = .starting, drain: DrainMode? = nil, since: WallTime,
        storeBegan: GroupID = .firstPartition, lostGroups: [GroupID] = []
    ) {
        self.registration = registration
        self.health = health
        self.drain = drain
        self.since = since
        self.storeBegan = storeBegan
        self.lostGroups = lostGroups
    }

    /// Whatever the broker had stored is gone, and what it had promised with it.
    mutating func lose(before nextGroup: GroupID) {
        storeBegan = nextGroup
        lostGroups = [.controller, .coordinator]
    }

    package var id: NodeID { registration.id }
    package var rack: String? { registration.rack }

    /// The state people are told.
    package var state: BrokerState {
        switch health {
        case .failed: .failed
        case .starting: .starting
        case .active: drain == nil ? .active : .draining
        }
    }

    /// Whether new leaders and replicas may be placed here.
    package var acceptsReplicas: Bool { health == .active && drain == nil }
}
