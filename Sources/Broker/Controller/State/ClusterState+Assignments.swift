// SPDX-License-Identifier: Apache-2.0
//
// ClusterState+Assignments.swift
// Commands about replicas: the preferred leader, and a reassignment from its beginning to its end.

import LogStore
package import Model

extension ClusterState {
    /// What is wrong with a list of replicas.
    ///
    /// A cluster of one broker has no registrations; there any broker passes, as it did in the first format.
    package func problem(with replicas: [NodeID]) -> AssignmentProblem? {
        if replicas.isEmpty { return .noReplicas }
        if replicas.count > Self.replicasMax { return .tooManyReplicas(replicas.count) }
        var seen: Set<NodeID> = []
        for node in replicas {
            if !seen.insert(node).inserted { return .repeatedReplica(node) }
            if !brokers.isEmpty, brokers[node] == nil { return .unknownBroker(node) }
        }
        return nil
    }

    func checkReplicas(_ replicas: [NodeID]) throws(ClusterRefusal) {
        if let problem = problem(with: replicas) { throw .invalidAssignment(problem) }
    }

    // MARK: Commands

    mutating func prefer(_ node: NodeID, for group: GroupID) throws(ClusterRefusal) -> ClusterChange {
        var partition = try known(group)
        guard let position = partition.replicas.firstIndex(of: node) else {
            throw .invalidAssignment(.notReplica(node))
        }
        guard position > 0 else { return .none }
        partition.replicas.remove(at: position)
        partition.replicas.insert(node, at: 0)
        return .assignmentsChanged([group], topics: replace([partition]))
    }

    mutating func assign(_ replicas: [NodeID], to group: GroupID) throws(ClusterRefusal) -> ClusterChange {
        var partition = try known(group)
        guard partition.reassignment == nil else { throw .reassignmentInProgress(group) }
        try checkReplicas(replicas)
        guard partition.replicas != replicas else { return .none }
        partition.replicas = replicas
        partition.rejoining.removeAll { !replicas.contains($0) }
        return .assignmentsChanged([group], topics: replace([partition]))
    }

    mutating func begin(_ targets: [ReassignmentTarget], at time: WallTime) throws(ClusterRefusal) -> ClusterChange {
        var changed: [PartitionRecord] = []
        var seen: Set<GroupID> = []
        for target in targets {
            var partition = try known(target.group)
            guard partition.reassignment == nil, seen.insert(target.group).inserted else {
                throw .reassignmentInProgress(target.group)
            }
            try checkReplicas(target.replicas)
            guard partition.replicas != target.replicas else { throw .invalidAssignment(.unchanged(target.group)) }
            partition.reassignment = Reassignment(target: target.replicas, since: time)
            changed.append(partition)
        }
        return .assignmentsChanged(changed.map(\.group), topics: replace(changed))
    }

    mutating func step(_ group: GroupID, from phase: Reassignment.Phase) throws(ClusterRefusal) -> ClusterChange {
        var partition = try known(group)
        guard var reassignment = partition.reassignment else { throw .noReassignment(group) }
        guard reassignment.phase == phase else { throw .wrongPhase(group, reassignment.phase) }
        switch phase {
        case .queued: reassignment.phase = .copying
        case .copying: reassignment.phase = .switching
        case .switching, .cancelling: throw .wrongPhase(group, phase)
        }
        partition.reassignment = reassignment
        return .assignmentsChanged([group], topics: replace([partition]))
    }

    mutating func cancel(_ group: GroupID) throws(ClusterRefusal) -> ClusterChange {
        var partition = try known(group)
        guard let reassignment = partition.reassignment else { throw .noReassignment(group) }
        switch reassignment.phase {
        case .queued: partition.reassignment = nil
        case .copying, .switching: partition.reassignment?.phase = .cancelling
        case .cancelling: return .none
        }
        return .assignmentsChanged([group], topics: replace([partition]))
    }

    mutating func finish(_ group: GroupID, _ floor: JoinFloor?) throws(ClusterRefusal) -> ClusterChange {
        var partition = try known(group)
        guard let reassignment = partition.reassignment else { throw .noReassignment(group) }
        switch reassignment.phase {
        case .switching:
            partition.replicas = reassignment.target
            partition.rejoining.removeAll { !reassignment.target.contains($0) }
        case .cancelling: partition.rejoining.removeAll { !partition.replicas.contains($0) }
        case .queued, .copying: throw .wrongPhase(group, reassignment.phase)
        }
        partition.reassignment = nil
        partition.floor.raise(to: floor)
        return .assignmentsChanged([group], topics: replace([partition]))
    }

    // MARK: Pieces

    private func known(_ group: GroupID) throws(ClusterRefusal) -> PartitionRecord {
        guard let partition = partition(group) else { throw .unknownPartition(group) }
        return partition
    }

    /// Puts changed partitions in the place of those with the same group; returns their topics.
    mutating func replace(_ changed: [PartitionRecord]) -> [TopicID] {
        var touched: [TopicID] = []
        var seen: Set<TopicID> = []
        for partition in changed {
            guard let location = locations[partition.group] else { continue }
            topics[location.topic]?.partitions[Int(location.index.rawValue)] = partition
            if partition.reassignment == nil {
                reassigning.remove(partition.group)
            } else {
                reassigning.insert(partition.group)
            }
            if seen.insert(location.topic).inserted { touched.append(location.topic) }
        }
        return touched
    }
}
