// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupInstance.swift
// One group under the consumer protocol (KIP-848), as a value: events in, directives out. The members only say what
// they own; who gets what is decided here, and nobody is given a partition that another may still be reading.

import Model

/// The live state of a group on the broker that coordinates it: what is stored, and changes on their way there.
///
/// Every event changes the value at once; what was changed is proposed as one change, and what is told to a member is
/// told once everything before it is stored.
///
/// Invariants:
/// - a partition is held (assigned or being revoked) by at most one member; `owners` says by which.
/// - a member's epoch is at most the group's.
/// - `nextDeadline` <= every deadline of the group (heartbeats leave it early; firing recomputes it).
///
/// The stored properties are written by this type's extensions only.
struct ConsumerGroupInstance: Sendable {
    /// The group's id.
    let id: String
    /// Limits and delays.
    var settings: GroupSettings
    /// The group with all changes, stored or not.
    var snapshot: ConsumerGroupSnapshot
    /// Member id by instance id.
    var staticMembers: [String: String] = [:]
    /// Who holds each partition.
    var owners: [TopicID: [Int32: String]] = [:]
    /// When each member counts as dead.
    var sessions: [String: Instant] = [:]
    /// When members must have given up what they have to.
    var revocations: [String: Instant] = [:]
    /// Changes on their way to the replicas, oldest first.
    var pending: [PendingChange] = []
    /// A change could not be stored: nothing is served until all changes on their way have come or gone.
    var isBroken = false
    /// When `timerFired` wants to be called next.
    var nextDeadline: Instant?
    /// Members that differ from what was proposed last.
    var updated: Set<String> = []
    /// Members that were removed since then.
    var removed: Set<String> = []
    /// Whether the group as a whole differs.
    var isHeaderChanged = false

    /// A change on its way, and who waits for it.
    struct PendingChange: Sendable {
        /// The revision it leads to.
        var revision: UInt64
        /// The answers that are true once it is stored.
        var answers: [(waiter: WaiterID, result: ConsumerHeartbeatResult)]
    }

    /// A group as it was stored, or a new one; its members get a full session timeout to be heard from.
    init(id: String, restoring snapshot: ConsumerGroupSnapshot, settings: GroupSettings, now: Moment) {
        self.id = id
        self.settings = settings
        self.snapshot = snapshot
        for member in snapshot.members.values {
            if let instanceID = member.instanceID { staticMembers[instanceID] = member.id }
            hold(member.held, by: member.id)
            armSession(member.id, now: now)
            armRevocation(member, now: now)
        }
    }

    /// Everyone, by id.
    var members: [ConsumerGroupMember] { snapshot.members.values.sorted { $0.id < $1.id } }

    /// True when the value can be made again from what is stored.
    var isIdle: Bool { pending.isEmpty && (isBroken || snapshot.members.isEmpty) }

    /// How the group is.
    var phase: ConsumerGroupPhase {
        if snapshot.members.isEmpty { return .empty }
        let isStable = snapshot.members.values.allSatisfy {
            $0.state == .stable && $0.epoch == snapshot.header.epoch
        }
        return isStable ? .stable : .reconciling
    }

    // MARK: What the shell reports

    /// A change is stored: what was true with it can be told.
    mutating func applied(revision: UInt64, into directives: inout [ConsumerGroupDirective]) {
        while let first = pending.first, first.revision <= revision {
            for (waiter, result) in first.answers { directives.append(.answer(waiter, result)) }
            pending.removeFirst()
        }
    }

    /// A change could not be stored; those behind it do not apply without it.
    mutating func failed(
        revision: UInt64, error: GroupError = .coordinatorNotAvailable,
        into directives: inout [ConsumerGroupDirective]
    ) {
        isBroken = true
        nextDeadline = nil
        for index in pending.indices {
            for (waiter, _) in pending[index].answers {
                directives.append(.answer(waiter, .failure(.init(error))))
            }
            pending[index].answers = []
        }
        pending.removeAll { $0.revision == revision }
    }

    /// Answers everyone who waits: the coordinator moves away or closes.
    ///
    /// The value is of no use afterwards.
    mutating func resign(_ error: GroupError, into directives: inout [ConsumerGroupDirective]) {
        for change in pending {
            for (waiter, _) in change.answers { directives.append(.answer(waiter, .failure(.init(error)))) }
        }
        pending = []
        nextDeadline = nil
    }

    // MARK: Changing members

    /// Puts a member into the tables in the place of what was known of it.
    mutating func put(_ member: ConsumerGroupMember) {
        let old = snapshot.members[member.id]
        guard old != member else { return }
        if let old { release(old.held, by: old.id) }
        hold(member.held, by: member.id)
        if let instanceID = member.instanceID { staticMembers[instanceID] = member.id }
        snapshot.members[member.id] = member
        updated.insert(member.id)
        removed.remove(member.id)
    }

    /// Takes a member out of the tables.
    mutating func extract(_ memberID: String) {
        guard let member = snapshot.members.removeValue(forKey: memberID) else { return }
        release(member.held, by: memberID)
        if let instanceID = member.instanceID, staticMembers[instanceID] == memberID {
            staticMembers[instanceID] = nil
        }
        sessions[memberID] = nil
        revocations[memberID] = nil
        updated.remove(memberID)
        removed.insert(memberID)
    }

    private mutating func hold(_ partitions: PartitionSet, by memberID: String) {
        for (topic, indexes) in partitions.topics {
            for index in indexes { owners[topic, default: [:]][index] = memberID }
        }
    }

    private mutating func release(_ partitions: PartitionSet, by memberID: String) {
        for (topic, indexes) in partitions.topics {
            for index in indexes where owners[topic]?[index] == memberID { owners[topic]?[index] = nil }
            if owners[topic]?.isEmpty == true { owners[topic] = nil }
        }
    }

    // MARK: Proposing

    /// Proposes what has changed, if anything.
    mutating func propose(into directives: inout [ConsumerGroupDirective]) {
        guard isHeaderChanged || !updated.isEmpty || !removed.isEmpty else { return }
        snapshot.header.revision += 1
        directives.append(
            .propose(
                ConsumerGroupChange(
                    group: id, header: snapshot.header,
                    updated: updated.sorted().compactMap { snapshot.members[$0] }, removed: removed.sorted())))
        pending.append(PendingChange(revision: snapshot.header.revision, answers: []))
        updated = []
        removed = []
        isHeaderChanged = false
    }

    /// Tells a member the result of its request once everything it rests on is stored.
    mutating func answer(
        _ waiter: WaiterID, _ result: ConsumerHeartbeatResult, into directives: inout [ConsumerGroupDirective]
    ) {
        if pending.isEmpty {
            directives.append(.answer(waiter, result))
        } else {
            pending[pending.count - 1].answers.append((waiter, result))
        }
    }

    // MARK: Timers

    /// Starts a member's session anew.
    mutating func armSession(_ memberID: String, now: Moment) {
        let deadline = now.instant.advanced(byMilliseconds: settings.consumerSessionTimeoutMilliseconds)
        sessions[memberID] = deadline
        lowerDeadline(to: deadline)
    }

    /// Gives a member that has to give partitions up its time for that; a running time is not begun anew.
    mutating func armRevocation(_ member: ConsumerGroupMember, now: Moment) {
        guard member.state == .unrevoked else {
            revocations[member.id] = nil
            return
        }
        guard revocations[member.id] == nil else { return }
        let deadline = now.instant.advanced(byMilliseconds: Int64(member.rebalanceTimeoutMilliseconds))
        revocations[member.id] = deadline
        lowerDeadline(to: deadline)
    }

    private mutating func lowerDeadline(to deadline: Instant) {
        nextDeadline = nextDeadline.map { min($0, deadline) } ?? deadline
    }

    /// Removes members that were silent or slow for too long; calling it early or often is harmless.
    mutating func timerFired(
        now: Moment, _ resolver: inout SubscriptionResolver, into directives: inout [ConsumerGroupDirective]
    ) {
        guard !isBroken, let due = nextDeadline, due <= now.instant else { return }
        let silent = sessions.filter { $0.value <= now.instant }.keys.sorted()
        for member in silent { remove(member, .sessionExpired, into: &directives) }
        let slow = revocations.filter { $0.value <= now.instant }.keys.sorted()
        for member in slow { remove(member, .didNotRevoke, into: &directives) }
        if !silent.isEmpty || !slow.isEmpty { reassign(&resolver, now: now, into: &directives) }
        propose(into: &directives)
        nextDeadline = [sessions.values.min(), revocations.values.min()].compactMap { $0 }.min()
    }

    /// Takes a member out for `reason`; the caller assigns anew.
    mutating func remove(
        _ memberID: String, _ reason: RemovalReason, into directives: inout [ConsumerGroupDirective]
    ) {
        extract(memberID)
        directives.append(.memberRemoved(group: id, memberID: memberID, reason: reason))
    }
}
