// SPDX-License-Identifier: Apache-2.0
//
// ClusterReconciler.swift
// What one broker has to do so that what runs on it is what the applied metadata says. A value without memory: asked
// again after anything changed, it answers with what is still missing, and with nothing in the end.

package import LogStore
package import Model

/// What is known of a replica that runs here.
package struct LocalReplica: Equatable, Sendable {
    package var group: GroupID
    /// Leads with a confirmed term.
    package var leads: Bool
    /// The members in effect, when this replica leads.
    package var membership: GroupMembership?
    /// No change of members is under way or uncommitted.
    package var isSettled: Bool
    /// Members whose logs have nearly caught up with this leader's.
    package var caughtUp: Set<NodeID>
    /// The entry that brought the members, and this leader's term.
    package var floor: JoinFloor?
    /// How it is with a replica whose log is damaged, or cannot be opened.
    package var ailment: Ailment?
    /// The controller's operation that made someone start this replica here; older metadata may not stop it.
    package var startedBy: UInt64

    package init(
        group: GroupID, leads: Bool = false, membership: GroupMembership? = nil, isSettled: Bool = true,
        caughtUp: Set<NodeID> = [], floor: JoinFloor? = nil, ailment: Ailment? = nil, startedBy: UInt64 = 0
    ) {
        self.group = group
        self.leads = leads
        self.membership = membership
        self.isSettled = isSettled
        self.caughtUp = caughtUp
        self.floor = floor
        self.ailment = ailment
        self.startedBy = startedBy
    }
}

/// How far the repair of a replica is: it is declared lost, leaves its group, is set aside, and is taken in again.
///
/// What is left of its log is touched only when the group has agreed to do without it.
package enum Ailment: Equatable, Sendable {
    /// Nobody knows yet; so many of the other replicas keep up with a leader.
    case found(healthyOthers: Int)
    /// The group is to remove it.
    case leaving
}

/// What a broker needs to know to run a replica.
package struct ReplicaStart: Equatable, Sendable {
    package var group: GroupID
    package var topic: String
    package var topicID: TopicID
    package var partition: PartitionIndex
    /// The members of the group before its first entry.
    package var founders: [NodeID]
    /// The replica may not count as a founder, even if it was one: it comes without members and is taken in later.
    package var joins: Bool
    /// Where a replica that joins begins, when its log is made.
    package var floor: JoinFloor?
    /// No other broker has a replica.
    package var isAlone: Bool

    package init(
        group: GroupID, topic: String, topicID: TopicID, partition: PartitionIndex, founders: [NodeID], joins: Bool,
        floor: JoinFloor? = nil, isAlone: Bool
    ) {
        self.group = group
        self.topic = topic
        self.topicID = topicID
        self.partition = partition
        self.founders = founders
        self.joins = joins
        self.floor = floor
        self.isAlone = isAlone
    }
}

/// One thing to do.
package enum ReconcileAction: Equatable, Sendable {
    case start(ReplicaStart)
    /// Stop a replica and delete its log.
    case stop(GroupID)
    /// Note that an ailing replica is about to leave its group.
    case awaitLeaving(GroupID)
    /// Stop an ailing replica, and put its log aside.
    case setAside(GroupID)
    case changeMembership(GroupID, GroupMembership)
    /// Tell the controller how far a change of replicas is.
    case propose(ClusterCommand)
}

/// Compares the applied metadata with what runs on this broker.
package struct ClusterReconciler: Sendable {
    package let node: NodeID
    /// This broker's data directory.
    package let storeID: UInt64
    /// This broker's process.
    package let incarnation: UInt64

    package init(node: NodeID, storeID: UInt64, incarnation: UInt64) {
        self.node = node
        self.storeID = storeID
        self.incarnation = incarnation
    }

    /// Whether the metadata knows this broker with the directory it has.
    ///
    /// A broker that lost its disk applies the controller's log from the beginning, and passes states in which it was a
    /// founder of groups that it does not remember. Nothing may be started from those.
    package func isCurrent(_ state: ClusterState) -> Bool {
        state.brokers.isEmpty || state.brokers[node]?.registration.storeID == storeID
    }

    /// Whether the metadata is at least as new as any that this broker ever acted on.
    ///
    /// A broker that lost power may have applied less than it had before. A replica that it deleted then would look like
    /// one that was never made; so none is made before this life of the broker is registered.
    package func isPresent(_ state: ClusterState) -> Bool {
        state.brokers.isEmpty || state.brokers[node]?.registration.incarnation == incarnation
    }

    /// What is missing for `groups`, or for everything when nil; `running` is asked for the replica of a group, `stored`
    /// has the groups whose logs are in the directory.
    package func actions(
        _ state: ClusterState, running: [GroupID: LocalReplica], stored: Set<GroupID>, groups: [GroupID]? = nil
    ) -> [ReconcileAction] {
        let considered = groups ?? Array(Set(state.locations.keys).union(running.keys))
        let all = considered.sorted().flatMap {
            actions(for: $0, state, running[$0], isStored: stored.contains($0))
        }
        // What this broker should lead waits for nobody; what others should lead waits for them.
        return all.filter(isStartOfOwn) + all.filter { !isStartOfOwn($0) }
    }

    private func isStartOfOwn(_ action: ReconcileAction) -> Bool {
        guard case .start(let start) = action else { return false }
        return start.founders.first == node
    }

    private func actions(
        for group: GroupID, _ state: ClusterState, _ replica: LocalReplica?, isStored: Bool
    ) -> [ReconcileAction] {
        guard let partition = state.partition(group), partition.hosts.contains(node) else {
            return mayStop(group, state, replica) ? [.stop(group)] : []
        }
        guard let replica else {
            return start(partition, state, isStored: isStored).map { [.start($0)] } ?? []
        }
        if let ailment = replica.ailment { return repair(partition, ailment) }
        guard replica.leads, let current = replica.membership, replica.isSettled, let wanted = partition.membership
        else { return [] }
        if current != wanted {
            let next = Self.next(from: current, to: wanted, caughtUp: replica.caughtUp)
            return next.map { [.changeMembership(group, $0)] } ?? []
        }
        return reports(partition, replica).map { .propose($0) }
    }

    /// The next step to a whole log for a replica that has none.
    private func repair(_ partition: PartitionRecord, _ ailment: Ailment) -> [ReconcileAction] {
        let isLeaving = partition.rejoining.contains(node)
        switch ailment {
        case .leaving: return isLeaving ? [] : [.setAside(partition.group)]
        case .found where isLeaving: return [.awaitLeaving(partition.group)]
        case .found(let others):
            guard partition.replicas.contains(node), others * 2 > partition.replicas.count else { return [] }
            return [.propose(.loseReplica(partition.group, node))]
        }
    }

    /// A replica that the metadata does not know yet, or that newer metadata started, stays.
    private func mayStop(_ group: GroupID, _ state: ClusterState, _ replica: LocalReplica?) -> Bool {
        guard let replica, group >= .firstPartition, group < state.nextGroup else { return false }
        return replica.startedBy <= state.lastOperation
    }

    /// How to start the replica of a partition here; nil when that has to wait, or is not wanted.
    ///
    /// A replica whose log is lost waits until it has left its group: only then is it known where it begins.
    package func start(_ partition: PartitionRecord, _ state: ClusterState, isStored: Bool) -> ReplicaStart? {
        guard let location = state.locations[partition.group], let topic = state.topics[location.topic],
            partition.hosts.contains(node), isCurrent(state)
        else { return nil }
        guard isStored || (isPresent(state) && !partition.rejoining.contains(node)) else { return nil }
        return ReplicaStart(
            group: partition.group, topic: topic.name, topicID: topic.id, partition: location.index,
            founders: partition.founders, joins: joins(partition, state, isStored: isStored),
            floor: isStored ? nil : partition.floor, isAlone: partition.hosts == [node])
    }

    /// Whether the replica may have been there before in a life it does not remember, or was never a founder.
    private func joins(_ partition: PartitionRecord, _ state: ClusterState, isStored: Bool) -> Bool {
        if !partition.founders.contains(node) || partition.adding.contains(node) { return true }
        if !partition.replicas.contains(node) || partition.rejoining.contains(node) { return true }
        // Members have changed: the replica of a founder is either here, or was deleted after it had left.
        if !isStored, partition.floor != nil { return true }
        return partition.group < (state.brokers[node]?.storeBegan ?? .firstPartition)
    }

    /// The next members on the way; nil when nothing can be done before newcomers have caught up.
    ///
    /// Newcomers listen first, and become voters together once all of them have nearly everything.
    package static func next(
        from current: GroupMembership, to wanted: GroupMembership, caughtUp: Set<NodeID>
    ) -> GroupMembership? {
        let newVoters = wanted.voters.filter { !current.voters.contains($0) }
        let strangers = newVoters.filter { !current.learners.contains($0) }
        if strangers.isEmpty, newVoters.allSatisfy(caughtUp.contains) { return wanted }
        let arriving = (newVoters + wanted.learners).filter { !current.members.contains($0) }
        guard !arriving.isEmpty else { return nil }
        return GroupMembership(voters: current.voters, learners: current.learners + arriving)
    }

    /// What the leader of a group that has the wanted members tells the controller.
    private func reports(_ partition: PartitionRecord, _ replica: LocalReplica) -> [ClusterCommand] {
        let rejoined = partition.rejoining.filter { replica.membership?.members.contains($0) == false }
        if !rejoined.isEmpty { return rejoined.map { .rejoinReplica(partition.group, $0, floor: replica.floor) } }
        switch partition.reassignment?.phase {
        case .copying:
            guard partition.adding.allSatisfy(replica.caughtUp.contains) else { return [] }
            return [.stepReassignment(partition.group, from: .copying)]
        case .switching, .cancelling: return [.finishReassignment(partition.group, floor: replica.floor)]
        case .queued, nil: return []
        }
    }
}
