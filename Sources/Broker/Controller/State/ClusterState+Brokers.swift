// SPDX-License-Identifier: Apache-2.0
//
// ClusterState+Brokers.swift
// Commands about brokers: their lives, their health, draining.

package import Model

extension ClusterState {
    /// Makes a broker known; the same life again changes addresses only.
    mutating func register(_ registration: BrokerRegistration, at time: WallTime) -> ClusterChange {
        guard var known = brokers[registration.id] else {
            let record = BrokerRecord(registration: registration, since: time)
            brokers[registration.id] = record
            return .brokerChanged(record)
        }
        if known.registration.incarnation != registration.incarnation {
            known.health = .starting
            known.since = time
        }
        known.registration = registration
        brokers[registration.id] = known
        return .brokerChanged(known)
    }

    /// Forgets a broker that no partition needs.
    mutating func unregister(_ id: NodeID) throws(ClusterRefusal) -> ClusterChange {
        guard let known = brokers[id] else { throw .unknownBroker(id) }
        let count = partitionCount(of: id)
        guard count == 0 else { throw .brokerInUse(id, partitions: count) }
        brokers.removeValue(forKey: id)
        return .brokerRemoved(known)
    }

    /// Says whether this life of a broker answers.
    mutating func setHealth(
        _ health: BrokerHealth, of id: NodeID, incarnation: UInt64, at time: WallTime
    ) throws(ClusterRefusal) -> ClusterChange {
        guard var known = brokers[id] else { throw .unknownBroker(id) }
        guard known.registration.incarnation == incarnation else { throw .staleIncarnation(id) }
        guard known.health != health else { return .none }
        known.health = health
        known.since = time
        brokers[id] = known
        return .brokerChanged(known)
    }

    /// Begins or ends draining.
    mutating func setDrain(
        _ mode: DrainMode?, of id: NodeID, at time: WallTime
    ) throws(ClusterRefusal) -> ClusterChange {
        guard var known = brokers[id] else { throw .unknownBroker(id) }
        guard known.drain != mode else { return .none }
        known.drain = mode
        known.since = time
        brokers[id] = known
        return .brokerChanged(known)
    }

    /// How many partitions have a replica on `node`, or are to have one.
    package func partitionCount(of node: NodeID) -> Int {
        topics.values.reduce(into: 0) { count, topic in
            for partition in topic.partitions
            where partition.hosts.contains(node) || partition.adding.contains(node) {
                count += 1
            }
        }
    }
}
