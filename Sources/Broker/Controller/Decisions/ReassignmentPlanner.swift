// SPDX-License-Identifier: Apache-2.0
//
// ReassignmentPlanner.swift
// Which replicas should move, and which of the moves asked for may begin: replacement of failed brokers, draining,
// decommissioning, rebalancing. A value; it answers with commands and keeps nothing.

package import Model

/// Plans changes of replicas, one bounded step at a time.
///
/// Everything lasting is in the cluster's state, so another broker that takes over goes on where this one stopped.
///
/// Invariants: at most `movesMax` reassignments are beyond `queued`, at most `movesPerBrokerMax` of them copy to one
/// broker; a plan never leaves a partition with fewer replicas, and places none on a broker that is not active.
package struct ReassignmentPlanner: Sendable {
    package struct Settings: Equatable, Sendable {
        /// Partitions that move at once.
        package var movesMax = 8
        /// Partitions that are copied to one broker at once.
        package var movesPerBrokerMax = 2
        /// Reassignments the planner itself keeps waiting; operators may queue more.
        package var queueMax = 64
        /// Leaders that change their preference in one step of a rebalance.
        package var preferencesMax = 16
        /// How unequal the numbers of replicas may be, as a share of their mean, before a rebalance moves any.
        package var tolerance = 0.1
        /// Whether replicas are evened out by themselves after a broker came or left; never at other times, so that what
        /// an operator has arranged stays.
        package var rebalances = true

        package init() {}
    }

    package let settings: Settings

    package init(settings: Settings = Settings()) { self.settings = settings }

    /// The next step: what to turn back, to begin, to ask for.
    ///
    /// `replaceable` are brokers whose replicas should be replaced; `voters` those that still vote in a group of the
    /// brokers themselves, and cannot be unregistered for it.
    package func plan(_ state: ClusterState, replaceable: Set<NodeID>, voters: Set<NodeID> = []) -> [ClusterCommand] {
        let cancelled = cancellations(state, replaceable)
        var commands = cancelled.map { ClusterCommand.cancelReassignment($0) }
        commands += starts(state, replaceable, except: Set(cancelled))
        commands += departures(state, voters)
        let leaving = brokersToEmpty(state, replaceable)
        let evacuations = targets(state, leaving: leaving, limit: settings.queueMax - queued(state))
        if !evacuations.isEmpty { commands.append(.beginReassignment(evacuations)) }
        guard commands.isEmpty, settings.rebalances, state.isBalanceDue, state.reassigning.isEmpty else {
            return commands
        }
        let moves = rebalance(state, limit: settings.movesMax)
        return moves.isEmpty && !isSomebodyAwaited(state) ? [.settleBalance] : moves
    }

    /// Whether a broker that is not active yet has still to get its share.
    private func isSomebodyAwaited(_ state: ClusterState) -> Bool {
        state.brokers.values.contains {
            $0.health != .active && $0.drain == nil && state.partitionCount(of: $0.id) == 0
        }
    }

    /// The whole way to even numbers of replicas, at most `limit` partitions of it; empty when they are even enough.
    ///
    /// When replicas are even the answer evens out preferred leaders instead.
    package func rebalance(_ state: ClusterState, limit: Int) -> [ClusterCommand] {
        var spread = ReplicaSpread(state)
        let targets = spread.even(limit: limit, tolerance: settings.tolerance)
        if !targets.isEmpty { return [.beginReassignment(targets)] }
        return spread.evenLeaders(limit: min(limit, settings.preferencesMax)).map { .preferLeader($0.group, $0.node) }
    }

    /// What is still under way.
    package static func progress(_ state: ClusterState) -> ReassignmentProgress {
        var progress = ReassignmentProgress()
        for case let partition? in state.reassigning.sorted().map({ state.partition($0) }) {
            guard let reassignment = partition.reassignment else { continue }
            progress.phases[reassignment.phase, default: 0] += 1
            for node in partition.adding { progress.arriving[node, default: 0] += 1 }
            for node in partition.removing { progress.leaving[node, default: 0] += 1 }
        }
        return progress
    }
}

/// How far reassignments are.
package struct ReassignmentProgress: Equatable, Sendable {
    /// How many partitions are in each phase.
    package var phases: [Reassignment.Phase: Int] = [:]
    /// Replicas on their way to each broker.
    package var arriving: [NodeID: Int] = [:]
    /// Replicas that each broker is to give up.
    package var leaving: [NodeID: Int] = [:]

    package init() {}

    package var partitions: Int { phases.values.reduce(0, +) }
}

// MARK: - Steps

extension ReassignmentPlanner {
    /// Turns back reassignments that cannot end because their new brokers are gone.
    private func cancellations(_ state: ClusterState, _ replaceable: Set<NodeID>) -> [GroupID] {
        partitions(state).compactMap { partition in
            guard let reassignment = partition.reassignment else { return nil }
            let gone = reassignment.target.filter { state.brokers[$0] == nil || replaceable.contains($0) }
            switch reassignment.phase {
            case .queued, .copying:
                return gone.contains { partition.adding.contains($0) } ? partition.group : nil
            case .switching:
                return gone.count * 2 >= reassignment.target.count ? partition.group : nil
            case .cancelling: return nil
            }
        }
    }

    /// Begins queued reassignments as far as the bounds allow, the urgent ones first.
    private func starts(
        _ state: ClusterState, _ replaceable: Set<NodeID>, except cancelled: Set<GroupID>
    ) -> [ClusterCommand] {
        let all = partitions(state)
        var room = settings.movesMax
        var copies: [NodeID: Int] = [:]
        for partition in all where partition.reassignment?.phase != .queued {
            room -= 1
            for node in partition.adding { copies[node, default: 0] += 1 }
        }
        let urgent = brokersToEmpty(state, replaceable)
        let waiting = all.filter { $0.reassignment?.phase == .queued }.sorted { a, b in
            let ranks = (a.isUrgent(urgent) ? 0 : 1, b.isUrgent(urgent) ? 0 : 1)
            if ranks.0 != ranks.1 { return ranks.0 < ranks.1 }
            let since = (a.reassignment?.since.milliseconds ?? 0, b.reassignment?.since.milliseconds ?? 0)
            return since.0 != since.1 ? since.0 < since.1 : a.group < b.group
        }
        var commands: [ClusterCommand] = []
        for partition in waiting where room > 0 && !cancelled.contains(partition.group) {
            let fits = partition.adding.allSatisfy { (copies[$0] ?? 0) < settings.movesPerBrokerMax }
            let isReady = partition.adding.allSatisfy { state.brokers[$0]?.health == .active }
            guard fits, isReady else { continue }
            for node in partition.adding { copies[node, default: 0] += 1 }
            room -= 1
            commands.append(.stepReassignment(partition.group, from: .queued))
        }
        return commands
    }

    /// Unregisters brokers that are decommissioned and empty.
    private func departures(_ state: ClusterState, _ voters: Set<NodeID>) -> [ClusterCommand] {
        state.brokers.values
            .filter { $0.drain == .decommission && !voters.contains($0.id) && state.partitionCount(of: $0.id) == 0 }
            .sorted { $0.id < $1.id }.map { .unregisterBroker($0.id, retiring: $0.registration.storeID) }
    }

    /// New replicas for partitions that have some on `leaving`.
    private func targets(_ state: ClusterState, leaving: Set<NodeID>, limit: Int) -> [ReassignmentTarget] {
        guard limit > 0, !leaving.isEmpty else { return [] }
        var spread = ReplicaSpread(state)
        var targets: [ReassignmentTarget] = []
        for partition in state.topics.values.flatMap(\.partitions).sorted(by: { $0.group < $1.group })
        where targets.count < limit && partition.reassignment == nil {
            guard partition.replicas.contains(where: leaving.contains) else { continue }
            let replicas = spread.replacing(leaving, in: partition)
            if replicas != partition.replicas {
                targets.append(ReassignmentTarget(group: partition.group, replicas: replicas))
            }
        }
        return targets
    }

    // MARK: Pieces

    private func partitions(_ state: ClusterState) -> [PartitionRecord] {
        state.reassigning.sorted().compactMap { state.partition($0) }
    }

    private func queued(_ state: ClusterState) -> Int {
        partitions(state).count { $0.reassignment?.phase == .queued }
    }

    /// The brokers that are to have no replicas.
    private func brokersToEmpty(_ state: ClusterState, _ replaceable: Set<NodeID>) -> Set<NodeID> {
        let drained = state.brokers.values.filter { $0.drain == .replicas || $0.drain == .decommission }
        return replaceable.union(drained.map(\.id))
    }
}

extension PartitionRecord {
    fileprivate func isUrgent(_ leaving: Set<NodeID>) -> Bool { replicas.contains(where: leaving.contains) }
}
