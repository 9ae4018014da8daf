// SPDX-License-Identifier: Apache-2.0
//
// GroupCoordinator+ShareGroups.swift
// The shell of the share groups: replies, proposals, and how far groups are in partitions.

import KafkaProtocol
import Logging
import Model
import Raft
import Replication
import Telemetry

extension GroupCoordinator {
    // MARK: Requests

    /// Answers a ShareGroupHeartbeat once what it rests on is stored.
    func shareHeartbeat(
        group: String, _ request: ShareHeartbeat, then: @escaping (ConsumerHeartbeatResult) -> Void
    ) {
        guard let table, shares != nil else { return then(.failure(.init(absence))) }
        if request.epoch == ShareHeartbeat.joinEpoch || request.topicNames != nil { takeTopics() }
        guard topics != nil else { return then(.failure(.init(.coordinatorLoadInProgress))) }
        if !isShare(group), state.groups[group] != nil || table.live[group] != nil || consumers?.live[group] != nil {
            return then(.failure(.init(.groupIDNotFound, "Group \(group) is not a share group.")))
        }
        if table.live[group] != nil { return then(.failure(.init(.coordinatorNotAvailable))) }
        let waiter = makeWaiter()
        heartbeats[waiter] = then
        let hasRoom = table.hasRoom(state: state)
        shares?.heartbeat(
            group: group, request, waiter: waiter, state: state, hasRoom: hasRoom, now: now, into: &shareDirectives)
        carryOutShares()
        carryOut()
    }

    /// Whether `group` is a share group.
    func isShare(_ group: String) -> Bool { shares?.has(group, state: state) ?? false }

    /// Why nobody can join a group under the classic protocol.
    func shareRefusal(_ group: String) -> GroupError? { isShare(group) ? .inconsistentGroupProtocol : nil }

    /// A group as ShareGroupDescribe shows it; nil when it is no share group.
    func describeShare(group: String) -> ShareGroupInstance? {
        shares?.describe(group: group, state: state, now: now)
    }

    /// All share groups; nil while this broker does not coordinate.
    func listShares() -> [(id: String, phase: ShareGroupPhase)]? { shares?.list(state: state) }

    // MARK: Leading

    /// Begins to serve the share groups that are stored.
    func leadShares() {
        shares = ShareGroupTable(
            leading: state, topics: topics ?? TopicCatalogue(), settings: settingsByGroup, now: now)
        metrics.shareMembers.set(shares?.memberCount ?? 0)
    }

    /// Answers whoever waits, with why.
    func resignShares(_ error: GroupError) {
        shares?.resign(error, into: &shareDirectives)
        shares = nil
        missingShareTopics = []
        metrics.shareMembers.set(0)
        carryOutShares()
    }

    // MARK: Directives

    /// Does what the groups want done.
    func carryOutShares() {
        while !shareDirectives.isEmpty {
            let batch = shareDirectives
            shareDirectives.removeAll(keepingCapacity: true)
            for directive in batch { perform(directive) }
        }
    }

    private func perform(_ directive: ShareGroupDirective) {
        switch directive {
        case .answer(let waiter, let result): heartbeats.removeValue(forKey: waiter)?(result)
        case .propose(let change): propose(change)
        case .memberRemoved(let group, let memberID, let reason):
            metrics.membersRemoved.increment()
            logger.info(
                "Member left its share group",
                metadata: ["group": "\(group)", "member": "\(memberID)", "reason": "\(reason.rawValue)"])
        case .reassigned(let group, let epoch, let members):
            metrics.shareAssignments.increment()
            metrics.shareMembers.set(shares?.memberCount ?? 0)
            logger.debug(
                "Share group has a new assignment",
                metadata: ["group": "\(group)", "epoch": "\(epoch)", "members": "\(members)"])
        }
    }

    private func propose(_ change: ShareGroupChange) {
        let (group, revision) = (change.group, change.header.revision)
        machine.propose(CoordinatorCommand.shareGroup(change).encoded()) { [self] result in
            switch result {
            case .success:
                shares?.committed(group: group, revision: revision, state: state, now: now, into: &shareDirectives)
            case .failure(let error):
                // Clients try again, elsewhere with the second; but not with the first, which would fail again.
                let answer: GroupError =
                    switch error {
                    case .tooLarge: .unknownServerError
                    case .refused(.notLeader(leader: _)): .notCoordinator
                    default: .coordinatorNotAvailable
                    }
                logger.warning("Share group cannot be stored", metadata: ["group": "\(group)", "error": "\(error)"])
                shares?.failed(
                    group: group, revision: revision, error: answer, state: state, now: now, into: &shareDirectives)
            }
            carryOutShares()
            carryOut()
        }
    }

    // MARK: States

    /// What a leader of a partition that begins has to know; writes of earlier leaders are refused from then on.
    func leadShareState(_ key: ShareKey, leaderEpoch: Int32, then: @escaping (ShareStateOutcome) -> Void) {
        guard shares != nil else { return then(.failure(absence.code)) }
        if case .success(let state) = state.shareState(key), state.leaderEpoch < leaderEpoch {
            return propose(.lead(key, leaderEpoch: leaderEpoch), then: then)
        }
        // Also a refusal has to be true: a broker that leads no more may not know of the group.
        confirm { [self] absence in
            if let absence { return then(.failure(absence.code)) }
            guard case .success(let found) = state.shareState(key) else { return then(state.shareState(key)) }
            then(found.leaderEpoch > leaderEpoch ? .failure(.fencedLeaderEpoch) : .success(found))
        }
    }

    /// Keeps what a leader of a partition says of records.
    func writeShareState(_ change: ShareStateChange, then: @escaping (ShareStateOutcome) -> Void) {
        guard shares != nil else { return then(.failure(absence.code)) }
        propose(.write(change)) { [metrics] outcome in
            if case .success = outcome {
                metrics.shareStateWrites.increment()
            } else {
                metrics.shareStateRefusals.increment()
            }
            then(outcome)
        }
    }

    /// Does what an operator asks for of a group without members.
    func changeShareStates(of group: String, _ command: ShareStateCommand, then: @escaping (KafkaErrorCode) -> Void) {
        guard let shares else { return then(absence.code) }
        guard shares.has(group, state: state) else { return then(.groupIDNotFound) }
        if let refusal = shares.refusalWhileUsed(group: group) { return then(refusal.code) }
        propose(command) { outcome in
            if case .failure(let code) = outcome { then(code) } else { then(.none) }
        }
    }

    private func propose(_ command: ShareStateCommand, then: @escaping (ShareStateOutcome) -> Void) {
        machine.propose(CoordinatorCommand.shareState(command).encoded()) { [self] result in
            switch result {
            case .success: then(state.shareOutcome)
            case .failure(.tooLarge): then(.failure(.recordListTooLarge))
            case .failure(.refused(.notLeader(leader: _))): then(.failure(.notCoordinator))
            case .failure: then(.failure(.coordinatorNotAvailable))
            }
        }
    }

    // MARK: Topics

    /// Makes the groups forget topics that are gone.
    func forgetShares(of topics: Set<TopicID>) {
        guard shares != nil, !topics.isEmpty else { return }
        let known = topics.intersection(state.shareTopics).sorted { $0.precedes($1) }
        guard !known.isEmpty else { return }
        propose(.forget(topics: known)) { _ in }
    }

    /// Makes the groups forget topics that have not been there for two looks in a row: what this broker knows of
    /// topics may be older than what the last coordinator knew.
    func forgetMissingShareTopics() {
        takeTopics()
        guard let topics, shares != nil else { return }
        let missing = state.shareTopics.filter { topics.names[$0] == nil }
        forgetShares(of: missing.intersection(missingShareTopics))
        missingShareTopics = missing
    }
}
