// SPDX-License-Identifier: Apache-2.0
//
// GroupCoordinator+ConsumerGroups.swift
// The shell of the groups under the consumer protocol: replies, proposals and news of topics.

import Logging
import Model
import NIOCore
import Raft
import Replication
import Telemetry

extension GroupCoordinator {
    // MARK: Requests

    /// Answers a ConsumerGroupHeartbeat once what it rests on is stored.
    func consumerHeartbeat(
        group: String, _ makeRequest: (MemberIDEntropy) -> ConsumerHeartbeat,
        then: @escaping (ConsumerHeartbeatResult) -> Void
    ) {
        guard let table, consumers != nil else { return then(.failure(.init(absence))) }
        let request = makeRequest(makeEntropy())
        let readsAnew =
            request.epoch == ConsumerHeartbeat.joinEpoch || request.topicNames != nil || request.pattern != nil
        if readsAnew { takeTopics() }
        guard topics != nil else { return then(.failure(.init(.coordinatorLoadInProgress))) }
        if let refusal = isShare(group) ? .groupIDNotFound : table.consumerRefusal(group: group, state: state) {
            return then(.failure(.init(refusal, "Group \(group) is not a consumer group.")))
        }
        let waiter = makeWaiter()
        heartbeats[waiter] = then
        let hasRoom = table.hasRoom(state: state)
        consumers?.heartbeat(
            group: group, request, waiter: waiter, state: state, hasRoom: hasRoom, now: now,
            into: &consumerDirectives)
        carryOutConsumers()
        carryOut()
    }

    /// Why nobody can join a group under the classic protocol.
    func classicRefusal(_ group: String) -> GroupError? { consumers?.classicRefusal(group: group) }

    /// A group as ConsumerGroupDescribe shows it; nil when it is none under this protocol.
    func describeConsumers(group: String) -> ConsumerGroupInstance? {
        if table?.live[group] != nil { return nil }
        return consumers?.describe(group: group, state: state, now: now)
    }

    /// All groups under this protocol; nil while this broker does not coordinate.
    func listConsumers() -> [(id: String, phase: ConsumerGroupPhase)]? {
        consumers?.list(state: state) { table?.live[$0] != nil }
    }

    // MARK: Leading

    /// Begins to serve the groups that are stored.
    func leadConsumers() {
        takeTopics()
        consumers = ConsumerGroupTable(
            leading: state, topics: topics ?? TopicCatalogue(), settings: settingsByGroup, now: now)
        metrics.consumerMembers.set(consumers?.memberCount ?? 0)
        leadShares()
        // What was published before may be older than what the last coordinator saw: news of that is on its way.
        checkTopics(after: .seconds(1))
    }

    /// Answers whoever waits, with why.
    func resignConsumers(_ error: GroupError) {
        topicCheck?.cancel()
        topicCheck = nil
        consumers?.resign(error, into: &consumerDirectives)
        consumers = nil
        metrics.consumerMembers.set(0)
        carryOutConsumers()
        resignShares(error)
    }

    // MARK: Topics

    /// There is a new image of the metadata.
    func topicsPublished(_ image: ClusterImage) {
        newestImage = image
        if image.groupConfigurations != settingsByGroup.configurations {
            settingsByGroup.configurations = image.groupConfigurations
            consumers?.adopt(settingsByGroup)
            shares?.adopt(settingsByGroup)
        }
        // Topics come in bursts; each look costs a walk over all groups.
        let hasReaders = consumers?.live.isEmpty == false || shares?.live.isEmpty == false
        if hasReaders, topicCheck == nil { checkTopics(after: .milliseconds(50)) }
    }

    /// Takes the topics out of the newest image, if that has not happened yet; it costs a walk over them.
    func takeTopics() {
        guard let image = newestImage else { return }
        newestImage = nil
        let known = TopicCatalogue(
            image.topics.values.map {
                .init(name: $0.record.name, id: $0.record.id, partitions: Int32($0.record.partitions.count))
            })
        let gone = topics.map { Set($0.names.keys).subtracting(known.names.keys) } ?? []
        topics = known
        consumers?.know(known)
        shares?.know(known)
        forgetShares(of: gone)
    }

    private func checkTopics(after delay: TimeAmount) {
        topicCheck?.cancel()
        topicCheck = loop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
            guard let self else { return }
            topicCheck = nil
            takeTopics()
            guard let topics else { return }
            consumers?.topicsChanged(topics, now: now, into: &consumerDirectives)
            carryOutConsumers()
            shares?.topicsChanged(topics, into: &shareDirectives)
            carryOutShares()
            carryOut()
        }
    }

    // MARK: Directives

    /// Does what the groups want done.
    func carryOutConsumers() {
        while !consumerDirectives.isEmpty {
            let batch = consumerDirectives
            consumerDirectives.removeAll(keepingCapacity: true)
            for directive in batch { perform(directive) }
        }
    }

    private func perform(_ directive: ConsumerGroupDirective) {
        switch directive {
        case .answer(let waiter, let result): heartbeats.removeValue(forKey: waiter)?(result)
        case .propose(let change): propose(change)
        case .memberRemoved(let group, let memberID, let reason):
            metrics.membersRemoved.increment()
            logger.info(
                "Member left its group",
                metadata: ["group": "\(group)", "member": "\(memberID)", "reason": "\(reason.rawValue)"])
        case .reassigned(let group, let epoch, let members):
            metrics.assignments.increment()
            metrics.consumerMembers.set(consumers?.memberCount ?? 0)
            logger.debug(
                "Group has a new target assignment",
                metadata: ["group": "\(group)", "epoch": "\(epoch)", "members": "\(members)"])
        }
    }

    private func propose(_ change: ConsumerGroupChange) {
        let (group, revision) = (change.group, change.header.revision)
        machine.propose(CoordinatorCommand.consumerGroup(change).encoded()) { [self] result in
            switch result {
            case .success:
                consumers?.committed(
                    group: group, revision: revision, state: state, now: now, into: &consumerDirectives)
            case .failure(let error):
                // Clients try again, elsewhere with the second; but not with the first, which would fail again.
                let answer: GroupError =
                    switch error {
                    case .tooLarge: .unknownServerError
                    case .refused(.notLeader(leader: _)): .notCoordinator
                    default: .coordinatorNotAvailable
                    }
                logger.warning("Group cannot be stored", metadata: ["group": "\(group)", "error": "\(error)"])
                consumers?.failed(
                    group: group, revision: revision, error: answer, state: state, now: now,
                    into: &consumerDirectives)
            }
            carryOutConsumers()
            carryOut()
        }
    }
}
