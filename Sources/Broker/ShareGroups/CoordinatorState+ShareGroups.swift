// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorState+ShareGroups.swift
// What share groups have in the coordinator's replicated state.

import KafkaProtocol
import Model

/// What became of a command about share states.
///
/// The broker that proposed it reads it right after the command was applied.
typealias ShareStateOutcome = Result<ShareState, KafkaErrorCode>

extension CoordinatorState {
    /// The state of a partition in a share group.
    func shareState(_ key: ShareKey) -> ShareStateOutcome {
        guard let share = groups[key.groupID]?.share else { return .failure(.groupIDNotFound) }
        guard let state = share.states[key.topicID]?[key.partition] else { return .failure(.unknownTopicOrPartition) }
        return .success(state)
    }

    /// The topics of which some share group has a state.
    ///
    /// Cost: one walk over the groups and their topics.
    var shareTopics: Set<TopicID> {
        groups.values.reduce(into: Set()) { topics, group in
            if let share = group.share { topics.formUnion(share.states.keys) }
        }
    }

    // MARK: Members

    /// A change made for another state than this one does nothing: whoever proposed it finds the revision unchanged.
    mutating func applyShareGroup(_ change: ShareGroupChange, into writes: inout [CoordinatorWrite]) {
        let present = groups[change.group]
        guard present?.snapshot == nil, present?.consumer == nil, present?.offsets.isEmpty != false else { return }
        guard change.header.revision == (present?.share?.header.revision ?? 0) + 1 else { return }
        var share = present?.share ?? ShareGroupSnapshot()
        // The only copy is changed in place.
        groups[change.group, default: Group()].share = nil
        share.header = change.header
        write(.shareGroup(change.group), CoordinatorValue.encode { change.header.encode(to: &$0) }, into: &writes)
        for member in change.removed where share.members.removeValue(forKey: member) != nil {
            write(.shareMember(group: change.group, member: member), nil, into: &writes)
        }
        for member in change.updated {
            share.members[member.id] = member
            let value = CoordinatorValue.encode { member.encode(to: &$0) }
            write(.shareMember(group: change.group, member: member.id), value, into: &writes)
            for (topic, partitions) in member.assigned.sorted {
                for partition in partitions where share.states[topic]?[partition] == nil {
                    share.states[topic, default: [:]][partition] = .initial
                    let key = ShareKey(groupID: change.group, topicID: topic, partition: partition)
                    let value = CoordinatorValue.encode { ShareState.initial.encode(to: &$0) }
                    write(.shareState(key), value, into: &writes)
                }
            }
        }
        groups[change.group]?.share = share
    }

    /// Drops what a share group has: it is deleted.
    mutating func dropShare(of group: String, into writes: inout [CoordinatorWrite]) {
        guard let share = groups[group]?.share else { return }
        groups[group]?.share = nil
        write(.shareGroup(group), nil, into: &writes)
        for member in share.members.keys.sorted() {
            write(.shareMember(group: group, member: member), nil, into: &writes)
        }
        for topic in share.states.keys.sorted(by: { $0.precedes($1) }) {
            removeStates(topic, share.states[topic], of: group, into: &writes)
        }
    }

    // MARK: States

    /// Applies a command about share states and returns what became of it.
    ///
    /// A failure changed nothing. Success without a state of one partition comes with an initial one.
    mutating func applyShareState(
        _ command: ShareStateCommand, into writes: inout [CoordinatorWrite]
    ) -> ShareStateOutcome {
        switch command {
        case .lead(let key, let leaderEpoch): return lead(key, leaderEpoch, into: &writes)
        case .write(let change): return writeShare(change, into: &writes)
        case .restart(let group, let starts):
            if let refusal = refusalToOperators(group) { return .failure(refusal) }
            for start in starts {
                let key = ShareKey(groupID: group, topicID: start.topicID, partition: start.partition)
                var state = groups[group]?.share?.states[key.topicID]?[key.partition] ?? .initial
                state.restart(at: start.startOffset)
                put(state, key, into: &writes)
            }
        case .delete(let group, let topics):
            if let refusal = refusalToOperators(group) { return .failure(refusal) }
            for topic in topics { forget(topic, group, into: &writes) }
        case .forget(let topics):
            for group in groups.keys.sorted() where groups[group]?.share != nil {
                for topic in topics { forget(topic, group, into: &writes) }
            }
        }
        return .success(.initial)
    }

    private mutating func lead(
        _ key: ShareKey, _ leaderEpoch: Int32, into writes: inout [CoordinatorWrite]
    ) -> ShareStateOutcome {
        let found = shareState(key)
        guard case .success(var state) = found else { return found }
        if leaderEpoch < state.leaderEpoch { return .failure(.fencedLeaderEpoch) }
        guard leaderEpoch > state.leaderEpoch else { return found }
        state.lead(leaderEpoch)
        put(state, key, into: &writes)
        return .success(state)
    }

    private mutating func writeShare(
        _ change: ShareStateChange, into writes: inout [CoordinatorWrite]
    ) -> ShareStateOutcome {
        let found = shareState(change.key)
        guard case .success(var state) = found else { return found }
        // Before it is judged by what it would add now.
        if state.hasApplied(change) { return found }
        if let refusal = state.refusal(of: change) { return .failure(refusal) }
        state.apply(change)
        put(state, change.key, into: &writes)
        return .success(state)
    }

    private func refusalToOperators(_ group: String) -> KafkaErrorCode? {
        guard let share = groups[group]?.share else { return .groupIDNotFound }
        return share.members.isEmpty ? nil : .nonEmptyGroup
    }

    private mutating func put(_ state: ShareState, _ key: ShareKey, into writes: inout [CoordinatorWrite]) {
        groups[key.groupID]?.share?.states[key.topicID, default: [:]][key.partition] = state
        write(.shareState(key), CoordinatorValue.encode { state.encode(to: &$0) }, into: &writes)
    }

    private mutating func forget(_ topic: TopicID, _ group: String, into writes: inout [CoordinatorWrite]) {
        guard let states = groups[group]?.share?.states.removeValue(forKey: topic) else { return }
        removeStates(topic, states, of: group, into: &writes)
    }

    private func removeStates(
        _ topic: TopicID, _ states: [Int32: ShareState]?, of group: String, into writes: inout [CoordinatorWrite]
    ) {
        for partition in (states ?? [:]).keys.sorted() {
            write(.shareState(ShareKey(groupID: group, topicID: topic, partition: partition)), nil, into: &writes)
        }
    }

    // MARK: Loading and copying

    /// Takes over one stored record of a share group; the order of records does not matter.
    mutating func loadShare(_ key: CoordinatorKey, _ value: [UInt8]) throws(BinaryCodingError) {
        var reader = try CoordinatorValue.body(of: value)
        switch key {
        case .shareGroup(let group):
            let header = try ShareGroupHeader.decode(from: &reader)
            changeShare(of: group) { $0.header = header }
        case .shareMember(let group, let id):
            let member = try ShareGroupMember.decode(from: &reader)
            changeShare(of: group) { $0.members[id] = member }
        case .shareState(let key):
            let state = try ShareState(from: &reader)
            changeShare(of: key.groupID) { $0.states[key.topicID, default: [:]][key.partition] = state }
        default: return
        }
        try reader.finish()
    }

    private mutating func changeShare(of group: String, _ change: (inout ShareGroupSnapshot) -> Void) {
        var share = groups[group]?.share ?? ShareGroupSnapshot()
        groups[group, default: Group()].share = nil
        change(&share)
        groups[group]?.share = share
    }

    /// A share group as records, in a fixed order.
    func shareRecords(of id: String, _ share: ShareGroupSnapshot, into writes: inout [CoordinatorWrite]) {
        write(.shareGroup(id), CoordinatorValue.encode { share.header.encode(to: &$0) }, into: &writes)
        for (member, stored) in share.members.sorted(by: { $0.key < $1.key }) {
            let value = CoordinatorValue.encode { stored.encode(to: &$0) }
            write(.shareMember(group: id, member: member), value, into: &writes)
        }
        for (topic, partitions) in share.states.sorted(by: { $0.key.precedes($1.key) }) {
            for (partition, state) in partitions.sorted(by: { $0.key < $1.key }) {
                let key = ShareKey(groupID: id, topicID: topic, partition: partition)
                write(.shareState(key), CoordinatorValue.encode { state.encode(to: &$0) }, into: &writes)
            }
        }
    }
}
