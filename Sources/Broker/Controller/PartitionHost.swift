// SPDX-License-Identifier: Apache-2.0
//
// PartitionHost.swift
// Runs this broker's replicas, and serves the metadata's image to every event loop. Does what it is told.
// Confined to the controller's event loop; recovery runs on blocking threads, partitions on their shards.

import KafkaProtocol
package import LogStore
import Logging
package import Model
package import NIOCore
import Raft
import Replication
import Settings

/// Why partitions could not be hosted.
package enum HostFailure: Error, Sendable {
    /// The controller refused a command that starting needs.
    case refused(AdminRefusal)
    /// The log of a partition, or of a group of the broker itself, cannot be opened.
    case store(StoreError, partition: TopicPartition?)
    /// The start was given up.
    case stopped

    /// What a client is told.
    package var refusal: AdminRefusal {
        switch self {
        case .refused(let refusal): refusal
        case .store(let error, let partition):
            AdminRefusal(ErrorMapping.code(of: error), "\(partition.map { "\($0): " } ?? "")\(error)")
        case .stopped: AdminRefusal(.brokerNotAvailable, "The broker is stopping")
        }
    }
}

/// Hosts partitions.
package final class PartitionHost {
    package typealias Done = (HostFailure?) -> Void

    private(set) var factory: PartitionFactory
    let shards: ShardDirectory
    private let loop: any EventLoop
    private let isAlone: Bool
    /// Of every partition of the metadata, and of replicas that run ahead of it.
    private var handles: [GroupID: PartitionHandle] = [:] {
        didSet { knownHosted = nil }
    }
    private var topics: [String: TopicImage] = [:]
    /// What is set on groups as it was stored, and as images have it: images come often, changes of it seldom.
    private var groups: (stored: [String: [String: String]], parsed: [String: GroupConfiguration]) = ([:], [:])
    private var replicas: [GroupID: Hosting] = [:] {
        didSet { knownHosted = nil }
    }
    /// ``hosted``, until something changes.
    private var knownHosted: [PartitionHandle]?
    /// Told of every image, on this loop.
    var onPublished: ((ClusterImage) -> Void)?
    /// The groups whose logs are in the directory.
    package private(set) var stored: Set<GroupID>

    /// A replica of this broker.
    private struct Hosting {
        enum State {
            /// Its log is being recovered.
            case opening([Done])
            case running
            /// It cannot be opened; it is tried again after a while.
            case failed(HostFailure, at: Instant)
            /// It is being stopped and deleted; then these go on.
            case closing([() -> Void])
        }

        var state: State
        /// Why its log is of no use any more; nil when it is.
        var ailment: String?
        /// Whether it was seen to be leaving its group since then.
        var isLeaving = false
        /// The controller's operation that made it necessary.
        var startedBy: UInt64
    }

    /// `isAlone`: whether every replica is the only one of its partition, so that starting one means leading it.
    ///
    /// `stored` are the groups whose logs were found in the directory.
    package init(
        factory: PartitionFactory, shards: ShardDirectory, loop: any EventLoop, isAlone: Bool, stored: Set<GroupID>
    ) {
        self.stored = stored
        self.factory = factory
        self.shards = shards
        self.loop = loop
        self.isAlone = isAlone
    }

    /// The replicas that run here, or are about to, without what only their shards know.
    ///
    /// - Cost: linear in their number; ``running(_:)`` asks for one.
    package var running: [GroupID: LocalReplica] {
        var running: [GroupID: LocalReplica] = [:]
        running.reserveCapacity(replicas.count)
        for group in replicas.keys { running[group] = self.running(group) }
        return running
    }

    /// The replica of a group that runs here, or is about to.
    package func running(_ group: GroupID) -> LocalReplica? {
        guard let hosting = replicas[group] else { return nil }
        if case .closing = hosting.state { return nil }
        var ailment: Ailment?
        if hosting.ailment != nil { ailment = hosting.isLeaving ? .leaving : .found(healthyOthers: 0) }
        return LocalReplica(group: group, ailment: ailment, startedBy: hosting.startedBy)
    }

    /// How many replicas this broker has.
    package var count: Int { replicas.count }

    // MARK: Topics

    /// Takes a topic into the next image, as it is now, and gives its partitions its configuration.
    package func admit(_ topic: TopicRecord) -> HostFailure? {
        let configuration: TopicConfiguration
        do {
            configuration = try TopicConfiguration(
                overrides: topic.configuration, defaults: factory.settings.topicDefaults)
        } catch {
            return .refused(AdminRefusal(.invalidConfig, "Topic \(topic.name): \(error)"))
        }
        let isConfigured = topics[topic.name]?.configuration == configuration
        let all = topic.partitions.enumerated().map { number, partition in
            handle(topic.name, PartitionIndex(rawValue: Int32(number)), partition.group)
        }
        topics[topic.name] = TopicImage(record: topic, configuration: configuration, partitions: all)
        guard !isConfigured else { return nil }
        for handle in all where replicas[handle.group] != nil {
            shards.execute(on: handle.shard) { $0.partitions[handle.group]?.configure(configuration) }
        }
        return nil
    }

    /// Takes over other defaults of topics, into the next image.
    func adopt(_ settings: BrokerSettings) {
        factory.settings = settings
        // What was accepted with one set of defaults is accepted with any: only a topic's own values can be refused.
        for topic in admitted { _ = admit(topic) }
    }

    /// Takes a topic out of the next image.
    package func dismiss(_ topic: TopicRecord) {
        guard topics[topic.name]?.record.id == topic.id else { return }
        topics.removeValue(forKey: topic.name)
        for partition in topic.partitions where replicas[partition.group] == nil {
            handles.removeValue(forKey: partition.group)
        }
        factory.metrics.removeTopic(topic.name)
    }

    private func handle(_ topic: String, _ index: PartitionIndex, _ group: GroupID) -> PartitionHandle {
        if let known = handles[group] { return known }
        let made = PartitionHandle(
            topic: topic, index: index, group: group, shard: Int(group.rawValue % UInt64(shards.count)))
        handles[group] = made
        return made
    }

    // MARK: Replicas

    /// Starts a replica; once started, starting it again changes nothing.
    ///
    /// `then` gets `alreadyRunning` as no failure, like a fresh start.
    package func start(
        _ start: ReplicaStart, configuration overrides: [String: String], operation: UInt64, then: @escaping Done
    ) {
        let group = start.group
        if var hosting = replicas[group] {
            hosting.startedBy = max(hosting.startedBy, operation)
            switch hosting.state {
            case .running: then(nil)
            case .failed(let failure, _): then(failure)
            case .opening(let waiting): hosting.state = .opening(waiting + [then])
            case .closing(let waiting):
                let again = { [self] in
                    self.start(start, configuration: overrides, operation: operation, then: then)
                }
                hosting.state = .closing(waiting + [again])
            }
            replicas[group] = hosting
            return
        }
        let configuration: TopicConfiguration
        do {
            configuration = try TopicConfiguration(overrides: overrides, defaults: factory.settings.topicDefaults)
        } catch {
            return then(.refused(AdminRefusal(.invalidConfig, "Topic \(start.topic): \(error)")))
        }
        replicas[group] = Hosting(state: .opening([then]), startedBy: operation)
        stored.insert(group)
        let plan = PartitionPlan(
            handle: handle(start.topic, start.partition, group), start: start, configuration: configuration,
            awaitsLeader: isAlone)
        let bound = NIOLoopBound(self, eventLoop: loop)
        factory.open(plan, on: shards) { [loop] outcome in
            loop.execute { bound.value.opened(start, outcome) }
        }
    }

    private func opened(_ start: ReplicaStart, _ outcome: PartitionOutcome) {
        if case .running = replicas[start.group]?.state, let ailment = outcome.ailment {
            return noteAilment(start.group, ailment)
        }
        guard case .opening(let waiting) = replicas[start.group]?.state else { return }
        let partition = TopicPartition(topic: start.topic, partition: start.partition)
        let failure = outcome.error.map { HostFailure.store($0, partition: partition) }
        replicas[start.group]?.state = failure.map { .failed($0, at: factory.clock.now()) } ?? .running
        if !start.isAlone, let ailment = outcome.ailment { noteAilment(start.group, ailment) }
        for then in waiting { then(failure) }
    }

    // MARK: Repair

    /// How long a replica that could not be opened is left alone.
    private static let retryMilliseconds: Int64 = 10_000

    private func noteAilment(_ group: GroupID, _ ailment: String) {
        guard replicas[group]?.ailment == nil else { return }
        factory.logger.error("A replica is to be repaired", metadata: ["group": "\(group)", "reason": "\(ailment)"])
        replicas[group]?.ailment = ailment
    }

    /// The replicas whose logs are of no use.
    var ailing: [GroupID] { replicas.filter { $0.value.ailment != nil }.keys.sorted() }

    /// Forgets replicas that could not be opened, for a reason that may have passed; they are to be started again.
    func forgetFailures() -> [GroupID] {
        let now = factory.clock.now()
        let due = replicas.filter { _, hosting in
            guard case .failed(_, let since) = hosting.state, hosting.ailment == nil else { return false }
            return now.milliseconds(since: since) >= Self.retryMilliseconds
        }
        for group in due.keys { replicas.removeValue(forKey: group) }
        return due.keys.sorted()
    }

    /// Notes that an ailing replica is leaving its group.
    func awaitLeaving(_ group: GroupID) { replicas[group]?.isLeaving = true }

    /// Stops an ailing replica and puts its log aside; `then` runs when its place is free.
    func setAside(_ group: GroupID, then: @escaping () -> Void) {
        switch replicas[group]?.state {
        case .running, .failed: break
        default: return
        }
        factory.logger.warning(
            "A replica is repaired from its peers",
            metadata: ["group": "\(group)", "reason": "\(replicas[group]?.ailment ?? "")"])
        replicas[group]?.state = .closing([then])
        close(group, keepsFiles: true)
    }

    /// Stops a replica and deletes its log; `then` runs when nothing of it is left, at once when it does not run.
    package func stop(_ group: GroupID, then: @escaping () -> Void) {
        switch replicas[group]?.state {
        case nil: then()
        case .opening(let waiting):
            let again: Done = { [self] _ in stop(group, then: then) }
            replicas[group]?.state = .opening(waiting + [again])
        case .closing(let waiting): replicas[group]?.state = .closing(waiting + [then])
        case .running, .failed:
            replicas[group]?.state = .closing([then])
            close(group, keepsFiles: false)
        }
    }

    private func close(_ group: GroupID, keepsFiles: Bool) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let shard = Int(group.rawValue % UInt64(shards.count))
        shards.execute(on: shard) { [factory, loop] shard in
            if let owner = shard.remove(group) {
                owner.stop(.unknownTopicOrPartition)
                owner.log.close()
            }
            factory.runBlocking {
                if keepsFiles { factory.setAside(group) } else { factory.delete(group) }
                loop.execute { bound.value.closed(group) }
            }
        }
    }

    private func closed(_ group: GroupID) {
        guard case .closing(let waiting) = replicas[group]?.state else { return }
        replicas.removeValue(forKey: group)
        stored.remove(group)
        renewHandle(group)
        for then in waiting { then() }
    }

    /// What a replica published that is gone must not be taken for the present.
    private func renewHandle(_ group: GroupID) {
        guard let old = handles.removeValue(forKey: group), let image = topics[old.topic],
            image.record.partitions.contains(where: { $0.group == group })
        else { return }
        _ = admit(image.record)
    }

    // MARK: What runs

    /// Runs `body` with the replica of a group on its shard; with nil when there is none.
    func withReplica(_ group: GroupID, _ body: @escaping @Sendable (ReplicaGroup?) -> Void) {
        let shard = Int(group.rawValue % UInt64(shards.count))
        shards.execute(on: shard) { body($0.partitions[group]?.replica) }
    }

    /// Looks at the replicas that lead here: all of them, or those of `groups`; without `resting`, not at those to which
    /// nothing happens.
    func leading(_ groups: Set<GroupID>?, resting: Bool = true, then: @escaping ([GroupID: LocalReplica]) -> Void) {
        let back = NIOLoopBound((then: then, host: self), eventLoop: loop)
        let gathering = Gathering<[LocalReplica]>(count: shards.count) { [loop] parts in
            loop.execute {
                var found: [GroupID: LocalReplica] = [:]
                for var replica in parts.joined() {
                    guard let hosting = back.value.host.replicas[replica.group], case .running = hosting.state else {
                        continue
                    }
                    replica.startedBy = hosting.startedBy
                    found[replica.group] = replica
                }
                back.value.then(found)
            }
        }
        for number in 0..<shards.count {
            shards.execute(on: number) { shard in
                let chosen = groups.map { $0.compactMap { shard.partitions[$0] } } ?? Array(shard.partitions.values)
                let leaders = chosen.lazy.map(\.replica).filter {
                    $0.leadingTerm != nil && (resting || $0.restNumber == nil)
                }
                gathering.set(number, leaders.map(\.observed))
            }
        }
    }

    /// The handles of replicas that run here.
    var hosted: [PartitionHandle] {
        if let knownHosted { return knownHosted }
        let found = replicas.compactMap { group, hosting in
            if case .running = hosting.state { handles[group] } else { nil }
        }
        knownHosted = found
        return found
    }

    /// The topics of the image, and those about to be in it.
    var admitted: [TopicRecord] { topics.values.map(\.record) }

    /// Reads recorded operations on a blocking thread.
    func readHistory(
        after: UInt64?, limit: Int, then: @escaping (Result<OperationHistory, HostFailure>) -> Void
    ) {
        let back = NIOLoopBound(then, eventLoop: loop)
        factory.runBlocking { [factory, loop] in
            let result: Result<OperationHistory, HostFailure>
            do throws(StoreError) {
                result = .success(
                    try ClusterRecords.history(from: factory.store.metadata, after: after, limit: limit))
            } catch {
                result = .failure(.store(error, partition: nil))
            }
            loop.execute { back.value(result) }
        }
    }

    // MARK: Image

    /// Reads the configurations of groups that are other than they were.
    private func readGroups(_ stored: [String: [String: String]]) {
        guard groups.stored != stored else { return }
        for name in groups.stored.keys where stored[name] == nil { groups.parsed[name] = nil }
        for (name, values) in stored where groups.stored[name] != values {
            groups.parsed[name] = GroupConfiguration(stored: values)
        }
        groups.stored = stored
    }

    /// Gives every shard the image of `state`, and calls `then` when all of them serve it.
    package func publish(_ state: ClusterState, controller: NodeID?, then: @escaping () -> Void) {
        readGroups(state.groupConfigurations)
        factory.published.replace(with: topics, configuredGroups: groups.parsed.count)
        let image = ClusterImage(
            clusterID: state.clusterID ?? "", node: factory.node, controller: controller, brokers: state.brokers,
            topics: topics, groupConfigurations: groups.parsed)
        onPublished?(image)
        let back = NIOLoopBound(then, eventLoop: loop)
        let gathering = Gathering<Void>(count: shards.count) { [loop] _ in
            if loop.inEventLoop { back.value() } else { loop.execute { back.value() } }
        }
        for number in 0..<shards.count {
            shards.execute(on: number) { shard in
                shard.image = image
                gathering.set(number, ())
            }
        }
    }
}

extension ReplicaGroup {
    /// How far behind a replica may be that counts as nearly caught up; a little less than what the core accepts.
    private static let caughtUpEntries = 64

    /// What the reconciler has to know of a replica, on its loop.
    var observed: LocalReplica {
        let members = configuration
        let last = log.lastIndex
        let caughtUp = progress.filter { $0.isTrusted && last - $0.match <= Self.caughtUpEntries }.map(\.id)
        return LocalReplica(
            group: id, leads: leadingTerm != nil,
            membership: GroupMembership(voters: members.voters, learners: members.learners),
            isSettled: !members.isJoint && configurationIndex <= committed, caughtUp: Set(caughtUp + [node]),
            floor: floor)
    }

    /// Where a broker begins that is taken in after the present members were committed; nil when this is not known here.
    var floor: JoinFloor? { leadingTerm.map { JoinFloor(term: $0, index: configurationIndex) } }

    /// Changes the members; what stands in the way now may be gone when the next look finds the same.
    func change(to members: GroupMembership, then: @escaping (ReplicationError?) -> Void) {
        let target = Raft.Configuration(voters: members.voters, learners: members.learners)
        changeMembership(to: target) { result in
            if case .failure(let error) = result { then(error) } else { then(nil) }
        }
    }
}
