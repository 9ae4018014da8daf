// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupInstance+Heartbeat.swift
// The one request of the protocol: joining, living, giving up, leaving.

import Model

extension ConsumerGroupInstance {
    /// A heartbeat that is well-formed; answered by an `answer` for `waiter`.
    mutating func heartbeat(
        _ request: ConsumerHeartbeat, waiter: WaiterID, _ resolver: inout SubscriptionResolver, now: Moment,
        into directives: inout [ConsumerGroupDirective]
    ) {
        guard !isBroken else {
            directives.append(.answer(waiter, .failure(.init(.coordinatorLoadInProgress))))
            return
        }
        do throws(ConsumerGroupRefusal) {
            let result =
                switch request.epoch {
                case ConsumerHeartbeat.leaveEpoch, ConsumerGroupMember.departedEpoch:
                    try leave(request, &resolver, now: now, into: &directives)
                default: try live(request, &resolver, now: now, into: &directives)
                }
            propose(into: &directives)
            answer(waiter, .success(result), into: &directives)
        } catch {
            directives.append(.answer(waiter, .failure(error)))
        }
    }

    // MARK: Joining and living

    private mutating func live(
        _ request: ConsumerHeartbeat, _ resolver: inout SubscriptionResolver, now: Moment,
        into directives: inout [ConsumerGroupDirective]
    ) throws(ConsumerGroupRefusal) -> ConsumerHeartbeatAnswer {
        let known = try find(request)
        let before = known.flatMap { $0.id == request.memberID ? $0 : nil }
        var member = known.map { $0.id == request.memberID ? $0 : $0.renamed(request.memberID) } ?? Self.new(request)
        update(&member, from: request)
        if let pattern = request.pattern, !pattern.isEmpty {
            do throws(TopicPatternError) { try resolver.admit(pattern) } catch {
                throw ConsumerGroupRefusal(
                    .invalidRegularExpression, "SubscribedTopicRegex `\(pattern)` is not valid: \(error).")
            }
        }
        // Nothing is changed before everything that can be refused is past.
        if let known, known.id != member.id {
            extract(known.id)
            directives.append(.memberRemoved(group: id, memberID: known.id, reason: .replaced))
        }
        put(member)
        armSession(member.id, now: now)
        let readsOther =
            known.map {
                $0.topicNames != member.topicNames || $0.pattern != member.pattern || $0.assignor != member.assignor
            } ?? true
        if readsOther { reassign(&resolver, now: now, into: &directives) }
        reconcile(member.id, owned: request.owned, now: now)
        let after = snapshot.members[member.id] ?? member
        let isNews =
            request.epoch == ConsumerHeartbeat.joinEpoch || request.isFull || before?.assigned != after.assigned
        return ConsumerHeartbeatAnswer(
            memberID: after.id, epoch: after.epoch, intervalMilliseconds: settings.consumerHeartbeatMilliseconds,
            assignment: isNews ? after.assigned : nil)
    }

    /// The member that sends the request; nil for one that is new.
    private func find(_ request: ConsumerHeartbeat) throws(ConsumerGroupRefusal) -> ConsumerGroupMember? {
        let known = try lookUp(request)
        guard request.epoch == ConsumerHeartbeat.joinEpoch else {
            guard let known else { throw unknown(request.memberID) }
            try check(request, against: known)
            return known
        }
        if known == nil, snapshot.members.count >= settings.consumerMembersMax {
            throw ConsumerGroupRefusal(
                .groupMaxSizeReached,
                "The consumer group has reached its maximum capacity of \(settings.consumerMembersMax) members.")
        }
        return known
    }

    /// The member whose instance id, or else whose id, the request names; nil when there is none.
    private func lookUp(_ request: ConsumerHeartbeat) throws(ConsumerGroupRefusal) -> ConsumerGroupMember? {
        guard let instanceID = request.instanceID else { return snapshot.members[request.memberID] }
        return try find(request, static: instanceID)
    }

    private func find(
        _ request: ConsumerHeartbeat, static instanceID: String
    ) throws(ConsumerGroupRefusal) -> ConsumerGroupMember? {
        let known = staticMembers[instanceID].flatMap { snapshot.members[$0] }
        guard request.epoch == ConsumerHeartbeat.joinEpoch else {
            guard let known else {
                throw ConsumerGroupRefusal(.unknownMemberID, "Instance id \(instanceID) is unknown.")
            }
            guard known.id == request.memberID else {
                throw ConsumerGroupRefusal(
                    .fencedInstanceID,
                    "Static member \(request.memberID) with instance id \(instanceID) was fenced by member \(known.id)."
                )
            }
            return known
        }
        guard let known else {
            // A dynamic member that turns static without leaving first would be two members.
            if let same = snapshot.members[request.memberID], same.instanceID != instanceID {
                throw ConsumerGroupRefusal(
                    .invalidRequest, "Member \(request.memberID) is in the group without this instance id.")
            }
            return nil
        }
        if known.epoch == ConsumerGroupMember.departedEpoch || known.id == request.memberID { return known }
        throw ConsumerGroupRefusal(
            .unreleasedInstanceID,
            "Static member \(request.memberID) with instance id \(instanceID) cannot join the group because the "
                + "instance id is owned by member \(known.id).")
    }

    /// An epoch ahead of ours, or behind it, fences; except the one before, with nothing but what it may own: then
    /// our last answer was lost.
    private func check(
        _ request: ConsumerHeartbeat, against member: ConsumerGroupMember
    ) throws(ConsumerGroupRefusal) {
        if request.epoch == member.epoch { return }
        let isRepeated =
            request.epoch < member.epoch && request.epoch == member.previousEpoch
            && request.owned?.isSubset(of: member.assigned) == true
        if isRepeated { return }
        let direction = request.epoch > member.epoch ? "larger" : "smaller"
        throw ConsumerGroupRefusal(
            .fencedMemberEpoch,
            "The consumer group member has a \(direction) member epoch (\(request.epoch)) than the one known by the "
                + "group coordinator (\(member.epoch)). The member must abandon all its partitions and rejoin.")
    }

    private func unknown(_ memberID: String) -> ConsumerGroupRefusal {
        ConsumerGroupRefusal(.unknownMemberID, "Member \(memberID) is not a member of group \(id).")
    }

    private static func new(_ request: ConsumerHeartbeat) -> ConsumerGroupMember {
        ConsumerGroupMember(
            id: request.memberID, instanceID: request.instanceID, rackID: nil, clientID: request.clientID,
            clientHost: request.clientHost, rebalanceTimeoutMilliseconds: request.rebalanceTimeoutMilliseconds,
            topicNames: [], pattern: nil, assignor: nil)
    }

    private func update(_ member: inout ConsumerGroupMember, from request: ConsumerHeartbeat) {
        member.clientID = request.clientID
        member.clientHost = request.clientHost
        if let rackID = request.rackID { member.rackID = rackID }
        if request.rebalanceTimeoutMilliseconds != -1 {
            member.rebalanceTimeoutMilliseconds = request.rebalanceTimeoutMilliseconds
        }
        if let names = request.topicNames { member.topicNames = Set(names).sorted() }
        if let pattern = request.pattern { member.pattern = pattern.isEmpty ? nil : pattern }
        if let assignor = request.assignor { member.assignor = assignor }
        // Whoever joins again has nothing that it could still have to give up.
        guard request.epoch == ConsumerHeartbeat.joinEpoch, member.epoch != 0 else { return }
        member.epoch = 0
        member.previousEpoch = 0
        member.revoking = PartitionSet()
        member.state = .stable
    }

    // MARK: Leaving

    private mutating func leave(
        _ request: ConsumerHeartbeat, _ resolver: inout SubscriptionResolver, now: Moment,
        into directives: inout [ConsumerGroupDirective]
    ) throws(ConsumerGroupRefusal) -> ConsumerHeartbeatAnswer {
        guard var member = try lookUp(request) else { throw unknown(request.memberID) }
        if request.epoch == ConsumerGroupMember.departedEpoch {
            // Nobody reads in its name now, and nobody else gets its partitions until its session ends.
            member.revoking = PartitionSet()
            member.state = .stable
            member.previousEpoch = member.epoch
            member.epoch = ConsumerGroupMember.departedEpoch
            put(member)
            revocations[member.id] = nil
        } else {
            remove(member.id, .left, into: &directives)
            reassign(&resolver, now: now, into: &directives)
        }
        return ConsumerHeartbeatAnswer(
            memberID: member.id, epoch: request.epoch, intervalMilliseconds: settings.consumerHeartbeatMilliseconds)
    }
}
