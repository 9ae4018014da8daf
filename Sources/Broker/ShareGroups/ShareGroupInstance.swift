// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupInstance.swift
// One share group (KIP-932), as a value: events in, directives out. Members may read the same partitions, so that
// nobody has to give one up before another gets it.

import Model

/// The live state of a share group on the broker that coordinates it: what is stored, and changes on their way there.
///
/// Every event changes the value at once; what was changed is proposed as one change, and what is told to a member is
/// told once everything before it is stored. How far the group is in its partitions is no part of the value.
///
/// Invariants:
/// - a member's epoch is at most the group's.
/// - `nextDeadline` <= every deadline of the group (heartbeats leave it early; firing recomputes it).
struct ShareGroupInstance: Sendable {
    /// The group's id.
    let id: String
    /// Limits and delays.
    var settings: GroupSettings
    /// The group as a whole with all changes, stored or not.
    private(set) var header: ShareGroupHeader
    /// Everyone, by id, with all changes.
    private(set) var membersByID: [String: ShareGroupMember]
    /// When each member counts as dead.
    private var sessions: [String: Instant] = [:]
    /// Changes on their way to the replicas, oldest first.
    private var pending: [PendingChange] = []
    /// A change could not be stored: nothing is served until all changes on their way have come or gone.
    private var isBroken = false
    /// When `timerFired` wants to be called next.
    private(set) var nextDeadline: Instant?
    private var updated: Set<String> = []
    private var removed: Set<String> = []
    private var isHeaderChanged = false

    /// A change on its way, and who waits for it.
    private struct PendingChange: Sendable {
        var revision: UInt64
        var answers: [(waiter: WaiterID, result: ConsumerHeartbeatResult)]
    }

    /// A group as it was stored, or a new one; its members get a full session timeout to be heard from.
    init(id: String, restoring snapshot: ShareGroupSnapshot, settings: GroupSettings, now: Moment) {
        self.id = id
        self.settings = settings
        header = snapshot.header
        membersByID = snapshot.members
        for member in snapshot.members.keys { armSession(member, now: now) }
    }

    /// Everyone, by id.
    var members: [ShareGroupMember] { membersByID.values.sorted { $0.id < $1.id } }

    /// True when the value can be made again from what is stored.
    var isIdle: Bool { pending.isEmpty && (isBroken || membersByID.isEmpty) }

    /// How the group is.
    var phase: ShareGroupPhase { membersByID.isEmpty ? .empty : .stable }

    // MARK: Heartbeats

    /// A heartbeat that is well-formed; answered by an `answer` for `waiter`.
    mutating func heartbeat(
        _ request: ShareHeartbeat, waiter: WaiterID, _ topics: TopicCatalogue, now: Moment,
        into directives: inout [ShareGroupDirective]
    ) {
        guard !isBroken else {
            directives.append(.answer(waiter, .failure(.init(.coordinatorLoadInProgress))))
            return
        }
        do throws(ConsumerGroupRefusal) {
            let result =
                request.epoch == ShareHeartbeat.leaveEpoch
                ? try leave(request, topics, into: &directives)
                : try live(request, topics, now: now, into: &directives)
            propose(into: &directives)
            answer(waiter, .success(result), into: &directives)
        } catch {
            directives.append(.answer(waiter, .failure(error)))
        }
    }

    private mutating func live(
        _ request: ShareHeartbeat, _ topics: TopicCatalogue, now: Moment,
        into directives: inout [ShareGroupDirective]
    ) throws(ConsumerGroupRefusal) -> ConsumerHeartbeatAnswer {
        let known = try find(request)
        var member =
            known
            ?? ShareGroupMember(
                id: request.memberID, rackID: nil, clientID: request.clientID, clientHost: request.clientHost)
        member.clientID = request.clientID
        member.clientHost = request.clientHost
        if let rackID = request.rackID { member.rackID = rackID }
        if let names = request.topicNames { member.topicNames = Set(names).sorted() }
        if request.epoch == ShareHeartbeat.joinEpoch { (member.epoch, member.previousEpoch) = (0, 0) }
        put(member)
        armSession(member.id, now: now)
        if known?.topicNames != member.topicNames { reassign(topics, into: &directives) }
        member = membersByID[member.id] ?? member
        if member.epoch != header.epoch {
            member.previousEpoch = member.epoch
            member.epoch = header.epoch
            put(member)
        }
        let isNews = request.topicNames != nil || request.epoch != member.epoch
        return ConsumerHeartbeatAnswer(
            memberID: member.id, epoch: member.epoch, intervalMilliseconds: settings.shareHeartbeatMilliseconds,
            assignment: isNews ? member.assigned : nil)
    }

    /// The member that sends the request; nil for one that is new.
    private func find(_ request: ShareHeartbeat) throws(ConsumerGroupRefusal) -> ShareGroupMember? {
        let known = membersByID[request.memberID]
        if request.epoch == ShareHeartbeat.joinEpoch {
            guard known == nil, membersByID.count >= settings.shareMembersMax else { return known }
            throw ConsumerGroupRefusal(
                .groupMaxSizeReached,
                "The share group has reached its maximum capacity of \(settings.shareMembersMax) members.")
        }
        guard let known else { throw unknown(request.memberID) }
        // Behind by one step is an answer that was lost.
        if request.epoch == known.epoch || request.epoch == known.previousEpoch, request.epoch <= known.epoch {
            return known
        }
        let direction = request.epoch > known.epoch ? "larger" : "smaller"
        throw ConsumerGroupRefusal(
            .fencedMemberEpoch,
            "The share group member has a \(direction) member epoch (\(request.epoch)) than the one known by the "
                + "group coordinator (\(known.epoch)). The member must abandon all its partitions and rejoin.")
    }

    private mutating func leave(
        _ request: ShareHeartbeat, _ topics: TopicCatalogue, into directives: inout [ShareGroupDirective]
    ) throws(ConsumerGroupRefusal) -> ConsumerHeartbeatAnswer {
        guard membersByID[request.memberID] != nil else { throw unknown(request.memberID) }
        remove(request.memberID, .left, into: &directives)
        reassign(topics, into: &directives)
        return ConsumerHeartbeatAnswer(
            memberID: request.memberID, epoch: request.epoch,
            intervalMilliseconds: settings.shareHeartbeatMilliseconds)
    }

    private func unknown(_ memberID: String) -> ConsumerGroupRefusal {
        ConsumerGroupRefusal(.unknownMemberID, "Member \(memberID) is not a member of group \(id).")
    }

    // MARK: Assignment

    /// Assigns anew if the topics that members read are others than those of the assignment.
    mutating func topicsChanged(_ topics: TopicCatalogue, into directives: inout [ShareGroupDirective]) {
        guard !isBroken, !membersByID.isEmpty else { return }
        guard SubscriptionResolver.hash(assignmentRequest(topics).partitionCounts) != header.topicsHash else { return }
        reassign(topics, into: &directives)
        propose(into: &directives)
    }

    /// Computes the assignment anew in a new epoch.
    ///
    /// Cost: the assignor's, and one walk over members and the topics they read.
    private mutating func reassign(_ topics: TopicCatalogue, into directives: inout [ShareGroupDirective]) {
        let request = assignmentRequest(topics)
        header.epoch += 1
        header.topicsHash = SubscriptionResolver.hash(request.partitionCounts)
        isHeaderChanged = true
        for (memberID, partitions) in ShareAssignment.make(request)
        where membersByID[memberID]?.assigned != partitions {
            membersByID[memberID]?.assigned = partitions
            updated.insert(memberID)
        }
        directives.append(.reassigned(group: id, epoch: header.epoch, members: membersByID.count))
    }

    private func assignmentRequest(_ topics: TopicCatalogue) -> AssignmentRequest {
        var counts: [TopicID: Int32] = [:]
        let members = self.members.map { member in
            let read = member.topicNames.compactMap { topics.byName[$0] }
            for topic in read { counts[topic.id] = topic.partitions }
            return AssignmentRequest.Member(
                id: member.id, instanceID: nil, topics: Set(read.map(\.id)), current: member.assigned)
        }
        return AssignmentRequest(members: members, partitionCounts: counts)
    }

    // MARK: Members

    private mutating func put(_ member: ShareGroupMember) {
        guard membersByID[member.id] != member else { return }
        membersByID[member.id] = member
        updated.insert(member.id)
        removed.remove(member.id)
    }

    private mutating func remove(
        _ memberID: String, _ reason: RemovalReason, into directives: inout [ShareGroupDirective]
    ) {
        membersByID[memberID] = nil
        sessions[memberID] = nil
        updated.remove(memberID)
        removed.insert(memberID)
        directives.append(.memberRemoved(group: id, memberID: memberID, reason: reason))
    }

    private mutating func armSession(_ memberID: String, now: Moment) {
        let deadline = now.instant.advanced(byMilliseconds: settings.shareSessionTimeoutMilliseconds)
        sessions[memberID] = deadline
        nextDeadline = nextDeadline.map { min($0, deadline) } ?? deadline
    }

    /// Removes members that were silent for too long; calling it early or often is harmless.
    mutating func timerFired(
        now: Moment, _ topics: TopicCatalogue, into directives: inout [ShareGroupDirective]
    ) {
        guard !isBroken, let due = nextDeadline, due <= now.instant else { return }
        let silent = sessions.filter { $0.value <= now.instant }.keys.sorted()
        for member in silent { remove(member, .sessionExpired, into: &directives) }
        if !silent.isEmpty { reassign(topics, into: &directives) }
        propose(into: &directives)
        nextDeadline = sessions.values.min()
    }

    // MARK: Storing

    private mutating func propose(into directives: inout [ShareGroupDirective]) {
        guard isHeaderChanged || !updated.isEmpty || !removed.isEmpty else { return }
        header.revision += 1
        directives.append(
            .propose(
                ShareGroupChange(
                    group: id, header: header, updated: updated.sorted().compactMap { membersByID[$0] },
                    removed: removed.sorted())))
        pending.append(PendingChange(revision: header.revision, answers: []))
        updated = []
        removed = []
        isHeaderChanged = false
    }

    /// Tells a member the result of its request once everything it rests on is stored.
    private mutating func answer(
        _ waiter: WaiterID, _ result: ConsumerHeartbeatResult, into directives: inout [ShareGroupDirective]
    ) {
        if pending.isEmpty {
            directives.append(.answer(waiter, result))
        } else {
            pending[pending.count - 1].answers.append((waiter, result))
        }
    }

    /// A change is stored: what was true with it can be told.
    mutating func applied(revision: UInt64, into directives: inout [ShareGroupDirective]) {
        while let first = pending.first, first.revision <= revision {
            for (waiter, result) in first.answers { directives.append(.answer(waiter, result)) }
            pending.removeFirst()
        }
    }

    /// A change could not be stored; those behind it do not apply without it.
    mutating func failed(revision: UInt64, error: GroupError, into directives: inout [ShareGroupDirective]) {
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
    mutating func resign(_ error: GroupError, into directives: inout [ShareGroupDirective]) {
        for change in pending {
            for (waiter, _) in change.answers { directives.append(.answer(waiter, .failure(.init(error)))) }
        }
        pending = []
        nextDeadline = nil
    }
}
