// SPDX-License-Identifier: Apache-2.0
//
// OperationLog.swift
// Replays recorded operations into a state and compares the result with the one that is served.

import Model

/// Operations with the state they begin from.
package struct OperationHistory: Equatable, Sendable {
    /// The state before the first operation: empty, unless older operations were dropped.
    package var base: ClusterState
    /// Rising ids without gaps, from `base.lastOperation + 1` on.
    package var operations: [ClusterOperation]

    package init(base: ClusterState = ClusterState(), operations: [ClusterOperation] = []) {
        self.base = base
        self.operations = operations
    }

    /// Why a history cannot be replayed, or what it says differently.
    package enum Finding: Error, Equatable, Sendable, CustomStringConvertible {
        case gap(after: UInt64, found: UInt64)
        case unreadable(UInt64)
        case differs([String])

        package var description: String {
            switch self {
            case .gap(let after, let found): "operation \(after) is followed by \(found)"
            case .unreadable(let id): "operation \(id) cannot be read"
            case .differs(let parts): "the replayed state differs in \(parts.joined(separator: ", "))"
            }
        }
    }

    /// Operations that were exported as ``ClusterEntry/encoded()``, to be replayed into an empty state.
    package init(exported: [(id: UInt64, bytes: [UInt8])]) throws(Finding) {
        self.init()
        for (id, bytes) in exported {
            guard let entry = try? ClusterEntry(decoding: bytes) else { throw .unreadable(id) }
            operations.append(ClusterOperation(id: id, entry: entry))
        }
    }

    /// The state after all operations.
    package func replayed() throws(Finding) -> ClusterState {
        var state = base
        for operation in operations {
            guard operation.id == state.lastOperation + 1 else {
                throw .gap(after: state.lastOperation, found: operation.id)
            }
            _ = state.apply(operation.entry)
        }
        return state
    }

    /// Replays and compares with `served`, which must be the state after the last operation.
    package func verify(against served: ClusterState) throws(Finding) {
        let replayed = try replayed()
        let parts = replayed.differences(from: served)
        if !parts.isEmpty { throw .differs(parts) }
    }
}

extension ClusterState {
    /// The names of the parts in which two states differ.
    package func differences(from other: ClusterState) -> [String] {
        var parts: [String] = []
        if clusterID != other.clusterID { parts.append("cluster id") }
        if lastOperation != other.lastOperation { parts.append("last operation") }
        if nextGroup != other.nextGroup { parts.append("next group") }
        if nextProducerID != other.nextProducerID { parts.append("next producer id") }
        if isBalanceDue != other.isBalanceDue { parts.append("balance due") }
        if retired != other.retired { parts.append("retired directories") }
        if ownFloors != other.ownFloors { parts.append("floors of own groups") }
        for id in Set(brokers.keys).union(other.brokers.keys).sorted() where brokers[id] != other.brokers[id] {
            parts.append("broker \(id)")
        }
        let names = Set(topicIDs.keys).union(other.topicIDs.keys).sorted()
        for name in names where topic(named: name) != other.topic(named: name) { parts.append("topic \(name)") }
        let groups = Set(groupConfigurations.keys).union(other.groupConfigurations.keys).sorted()
        for group in groups where groupConfigurations[group] != other.groupConfigurations[group] {
            parts.append("configuration of group \(group)")
        }
        if parts.isEmpty, self != other { parts.append("derived tables") }
        return parts
    }
}
