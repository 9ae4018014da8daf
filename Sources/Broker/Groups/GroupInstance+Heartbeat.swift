// SPDX-License-Identifier: Apache-2.0
//
// GroupInstance+Heartbeat.swift
// Heartbeats and offset commits: both prove a member alive, and both are answered at once.

import Model

extension GroupInstance {
    /// A member says that it is alive: nil means all is well, REBALANCE_IN_PROGRESS alive, but join again.
    mutating func heartbeat(_ claim: MemberClaim, now: Moment) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        if let error = rejection(memberID: claim.memberID, instanceID: claim.instanceID) { return error }
        if claim.generation != generation { return .illegalGeneration }
        armSession(claim.memberID, now: now)
        return state == .preparingRebalance ? .rebalanceInProgress : nil
    }

    /// Whether the sender may commit offsets; if so and it is a member, its session starts anew.
    ///
    /// A consumer outside the group (generation -1) may commit only while the group has no members.
    mutating func commit(_ claim: MemberClaim, now: Moment) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        if claim.generation < 0, state == .empty { return nil }
        if claim.generation < 0, claim.memberID.isEmpty, claim.instanceID == nil { return .unknownMemberID }
        if let error = rejection(memberID: claim.memberID, instanceID: claim.instanceID) { return error }
        if claim.generation != generation { return .illegalGeneration }
        armSession(claim.memberID, now: now)
        return state == .completingRebalance ? .rebalanceInProgress : nil
    }

    /// True when offsets of `topic` must stay because a live member reads it.
    ///
    /// A consumer group whose subscriptions cannot be read counts as subscribed to everything.
    func isSubscribed(to topic: String) -> Bool {
        if state == .empty || state == .dead { return false }
        guard let subscribedTopics else { return protocolType == ConsumerSubscription.protocolType }
        return subscribedTopics.contains(topic)
    }

    /// Whether offsets of the group may be deleted at all: with members only in a consumer group.
    func offsetDeleteRejection() -> GroupError? {
        switch state {
        case .dead: .groupIDNotFound
        case .empty: nil
        case .preparingRebalance, .completingRebalance, .stable:
            protocolType == ConsumerSubscription.protocolType ? nil : .nonEmptyGroup
        }
    }

    /// The group for DescribeGroups: protocol, metadata and assignments are shown only while they are settled.
    func describe() -> GroupDescription {
        let isStable = state == .stable
        return GroupDescription(
            id: id, state: state, protocolType: protocolType ?? "", protocolName: isStable ? protocolName ?? "" : "",
            members: membersInOrder.map {
                GroupDescription.Member(
                    id: $0.id, instanceID: $0.instanceID, clientID: $0.clientID, clientHost: $0.clientHost,
                    metadata: isStable ? $0.metadata(for: protocolName) : [],
                    assignment: isStable ? $0.assignment : [])
            })
    }
}
