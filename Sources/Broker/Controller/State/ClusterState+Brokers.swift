// SPDX-License-Identifier: Apache-2.0
//
// ClusterState+Brokers.swift
// Commands about brokers: their lives, their health, draining.

import LogStore
package import Model

extension ClusterState {
    /// Makes a broker known; the same life again changes addresses only.
    mutating func register(
        _ registration: BrokerRegistration, at time: WallTime
    ) throws(ClusterRefusal) -> ClusterChange {
        if let storeID = retired[registration.id] {
            // Its process goes on for a while; it must not come back as a new one.
            guard storeID != registration.storeID else { throw .retired(registration.id) }
            retired[registration.id] = nil
        }
        guard var known = brokers[registration.id] else {
            var record = BrokerRecord(registration: registration, since: time)
            // Nobody knows which broker of this number was there before.
            if registration.isBlank {
                record.lose(before: nextGroup)
                isBalanceDue = true
            }
            brokers[registration.id] = record
            return .brokerChanged(record)
        }
        let isNewLife = known.registration.incarnation != registration.incarnation
        let isReset = known.registration.storeID != registration.storeID || (registration.isBlank && isNewLife)
        if isNewLife {
            known.health = .starting
            known.since = time
        }
        known.registration = registration
        if isReset { known.lose(before: nextGroup) }
        brokers[registration.id] = known
        guard isReset else { return .brokerChanged(known) }
        let changed = hosted(by: known.id).map { partition in
            var partition = partition
            if !partition.rejoining.contains(known.id) { partition.rejoining.append(known.id) }
            return partition
        }
        let topics = replace(changed)
        return .brokerReset(known, changed.map(\.group), topics: topics)
    }

    /// The partitions that have a replica on `node`, in the order of their groups.
    private func hosted(by node: NodeID) -> [PartitionRecord] {
        topics.values.flatMap { $0.partitions.filter { $0.hosts.contains(node) } }.sorted { $0.group < $1.group }
    }

    /// Notes that the log of one replica is lost, as long as most of the others have theirs.
    mutating func lose(_ node: NodeID, in group: GroupID) throws(ClusterRefusal) -> ClusterChange {
        guard var partition = partition(group) else { throw .unknownPartition(group) }
        guard partition.replicas.contains(node) else { throw .invalidAssignment(.notReplica(node)) }
        guard !partition.rejoining.contains(node) else { return .none }
        let whole = partition.replicas.count { $0 != node && !partition.rejoining.contains($0) }
        guard whole * 2 > partition.replicas.count else { throw .tooFewReplicas(group) }
        partition.rejoining.append(node)
        return .assignmentsChanged([group], topics: replace([partition]))
    }

    /// Notes that a replica that had lost its log has left the voters.
    mutating func rejoin(
        _ node: NodeID, in group: GroupID, _ floor: JoinFloor?
    ) throws(ClusterRefusal) -> ClusterChange {
        if group < .firstPartition {
            guard var broker = brokers[node] else { throw .unknownBroker(node) }
            guard let position = broker.lostGroups.firstIndex(of: group) else { return .none }
            broker.lostGroups.remove(at: position)
            ownFloors[group].raise(to: floor)
            brokers[node] = broker
            return .brokerChanged(broker)
        }
        guard var partition = partition(group) else { throw .unknownPartition(group) }
        guard let position = partition.rejoining.firstIndex(of: node) else { return .none }
        partition.rejoining.remove(at: position)
        partition.floor.raise(to: floor)
        return .assignmentsChanged([group], topics: replace([partition]))
    }

    /// Forgets a broker that no partition needs.
    mutating func unregister(_ id: NodeID, retiring storeID: UInt64?) throws(ClusterRefusal) -> ClusterChange {
        guard let known = brokers[id] else { throw .unknownBroker(id) }
        let count = partitionCount(of: id)
        guard count == 0 else { throw .brokerInUse(id, partitions: count) }
        brokers.removeValue(forKey: id)
        retired[id] = storeID
        if storeID != nil { isBalanceDue = true }
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
