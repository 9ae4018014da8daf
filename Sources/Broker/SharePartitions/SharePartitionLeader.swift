// SPDX-License-Identifier: Apache-2.0
//
// SharePartitionLeader.swift
// The shell around a window: what a share group has in flight in a partition that this broker leads, read from the
// group's coordinator when the leader begins, and stored there before anybody is told that it holds.
// Confined to the event loop of the partition.

import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import Settings
import Synchronization
import Telemetry

/// What share groups' leaders of partitions on one loop have in common.
struct ShareEnvironment {
    let loop: any EventLoop
    let clock: Clock
    let metrics: ShareMetrics
    let logger: Logger
    let store: any ShareStateStore
    let numbers: ShareChangeNumbers
}

/// Numbers the changes that a broker wants kept of share groups' states.
///
/// They rise over all leaders of one partition on the broker: in one term a new one may begin while a change of the one
/// before is still on its way. Another process leads in another term.
final class ShareChangeNumbers: Sendable {
    private let last = Atomic<UInt64>(0)

    /// The next number, from 1.
    func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}

/// A partition as the members of one share group get its records here, as long as this broker leads it in one term.
final class SharePartitionLeader {
    /// How long a state is read, or a write repeated, before the requests that wait for it are refused.
    static let patienceMilliseconds: Int64 = 5_000
    /// How long to wait before the coordinator is asked again.
    static let retryMilliseconds: Int64 = 100
    /// Requests that may wait for the state: what comes then is refused with a retriable error.
    static let waitersMax = 10_000

    enum Phase {
        /// The state is being read; who waits for it.
        case loading([(KafkaErrorCode) -> Void])
        case ready
        /// Whoever asks has to come to another one.
        case over(KafkaErrorCode)
    }

    let key: ShareKey
    let partition: Partition
    /// The term of leadership that this object is for.
    let leaderEpoch: Int32
    let environment: ShareEnvironment
    private(set) var settings: ShareReadSettings
    private(set) var phase = Phase.loading([])
    /// Means nothing before the state was read.
    var window: ShareWindow
    private(set) var stateEpoch: Int32 = 0
    /// When a request touched this last.
    private(set) var usedAt: Instant

    // Writes: one at a time, so that they arrive in order; what comes meanwhile goes with the next.
    private var nextWrite = 1
    private var writing: Int?
    private var writeWaiters: [Int: [(KafkaErrorCode) -> Void]] = [:]

    // Who waits for records.
    var waiters: [UInt64: () -> Void] = [:]
    var nextWaiter: UInt64 = 0
    /// Counts what made records available, so that nobody sleeps through it.
    private(set) var revision: UInt64 = 0
    private var dataRegistration: UInt64?
    private var lockTimer: Scheduled<Void>?
    private var lockTimerDeadline: Instant?
    private var counted = (locked: 0, inFlight: 0)

    init(
        _ key: ShareKey, _ partition: Partition, leaderEpoch: Int32, settings: ShareReadSettings,
        _ environment: ShareEnvironment
    ) {
        self.key = key
        self.partition = partition
        self.leaderEpoch = leaderEpoch
        self.environment = environment
        self.settings = settings
        self.window = ShareWindow(startingAt: 0, [], limits: settings.window)
        self.usedAt = environment.clock.now()
        environment.metrics.partitions.add(1)
        load(until: usedAt.advanced(byMilliseconds: Self.patienceMilliseconds))
    }

    /// Whether requests may still come here.
    var isUsable: Bool {
        if case .over = phase { return false }
        return partition.handle.leaderEpoch == leaderEpoch && partition.refusal == nil
    }

    /// Whether nobody has anything here and nobody waits: the stored state says it all.
    func isIdle(since instant: Instant) -> Bool {
        guard case .ready = phase else { return false }
        return waiters.isEmpty && writing == nil && writeWaiters.isEmpty && usedAt < instant && window.lockedCount == 0
    }

    /// Runs `then` with `none` when the state is read.
    func whenReady(_ then: @escaping (KafkaErrorCode) -> Void) {
        usedAt = environment.clock.now()
        switch phase {
        case .ready: then(.none)
        case .over(let code): then(code)
        case .loading(let waiting) where waiting.count >= Self.waitersMax: then(.coordinatorLoadInProgress)
        case .loading(let waiting): phase = .loading(waiting + [then])
        }
    }

    // MARK: The state

    private func load(until deadline: Instant) {
        let back = NIOLoopBound(self, eventLoop: environment.loop)
        environment.store.read(key, leaderEpoch: leaderEpoch) { [loop = environment.loop] result in
            loop.execute { back.value.loaded(result, deadline) }
        }
    }

    private func loaded(_ result: Result<ShareState, KafkaErrorCode>, _ deadline: Instant) {
        guard case .loading = phase else { return }
        guard isUsable else { return end(.notLeaderOrFollower) }
        switch result {
        case .success(let state): begin(state, deadline)
        case .failure(let code): retry(code, deadline) { $0.load(until: deadline) }
        }
    }

    private func retry(
        _ code: KafkaErrorCode, _ deadline: Instant, _ body: @escaping (SharePartitionLeader) -> Void
    ) {
        guard code.isWorthAsking || code == .unknownTopicOrPartition, environment.clock.now() < deadline else {
            return end(code.forShareClients)
        }
        environment.loop.assumeIsolated().scheduleTask(in: .milliseconds(Self.retryMilliseconds)) { [weak self] in
            guard let self else { return }
            if isUsable { body(self) } else { end(.notLeaderOrFollower) }
        }
    }

    /// Takes the state over; a group that begins here gets its start stored first: no other leader is to find another.
    private func begin(_ state: ShareState, _ deadline: Instant) {
        stateEpoch = state.stateEpoch
        guard state.startOffset < 0 else {
            window = ShareWindow(startingAt: state.startOffset, state.batches, limits: settings.window)
            window.moveLogStart(to: partition.log.logStartOffset.rawValue)
            return becomeReady()
        }
        findStart { [self] start in
            switch start {
            case .failure(let code): retry(code, deadline) { $0.begin(state, deadline) }
            case .success(let offset): storeStart(offset, deadline)
            }
        }
    }

    private func findStart(_ then: @escaping (Result<Int64, KafkaErrorCode>) -> Void) {
        let timestamp: Int64
        switch settings.offsetReset {
        case .latest: timestamp = -1
        case .earliest: timestamp = -2
        case .byDuration:
            timestamp = max(0, environment.clock.wallTime().milliseconds - settings.resetMilliseconds)
        }
        partition.listOffset(timestamp) { [self] code, offset, _, _ in
            guard code == .none else { return then(.failure(code)) }
            // Nothing is as young as that: what comes next is.
            then(.success(offset >= 0 ? offset : partition.highWatermark.rawValue))
        }
    }

    private func storeStart(_ offset: Int64, _ deadline: Instant) {
        let change = ShareStateChange(
            key: key, stateEpoch: stateEpoch, leaderEpoch: leaderEpoch, number: environment.numbers.next(),
            startOffset: offset, batches: [])
        store(change) { [self] code in
            guard case .loading = phase else { return }
            guard isUsable else { return end(.notLeaderOrFollower) }
            guard code == .none else {
                // Somebody may have set it meanwhile: then it is read again.
                return retry(code == .fencedStateEpoch ? .coordinatorNotAvailable : code, deadline) {
                    $0.load(until: deadline)
                }
            }
            window = ShareWindow(startingAt: offset, [], limits: settings.window)
            window.moveLogStart(to: partition.log.logStartOffset.rawValue)
            becomeReady()
        }
    }

    private func store(_ change: ShareStateChange, _ then: @escaping (KafkaErrorCode) -> Void) {
        let back = NIOLoopBound(then, eventLoop: environment.loop)
        environment.store.write(change) { [loop = environment.loop] result in
            let code: KafkaErrorCode = if case .failure(let code) = result { code } else { .none }
            loop.execute { back.value(code) }
        }
    }

    private func becomeReady() {
        guard case .loading(let waiting) = phase else { return }
        phase = .ready
        for then in waiting { then(.none) }
        settle()
    }

    /// Answers everything that waits; what was acquired here somebody else will hand out again.
    func end(_ code: KafkaErrorCode) {
        let before = phase
        if case .over = before { return }
        phase = .over(code)
        lockTimer?.cancel()
        lockTimer = nil
        if let dataRegistration { partition.stopWaiting(dataRegistration) }
        dataRegistration = nil
        let metrics = environment.metrics
        metrics.count(window.takeTally())
        metrics.partitions.add(-1)
        metrics.locked.add(-counted.locked)
        metrics.inFlight.add(-counted.inFlight)
        counted = (0, 0)
        if case .loading(let waiting) = before { for then in waiting { then(code) } }
        let unanswered = writeWaiters.sorted { $0.key < $1.key }.flatMap(\.value)
        writeWaiters = [:]
        for then in unanswered { then(code) }
        wake()
    }

    // MARK: Writing

    /// The number of the write that takes what is said now.
    var gatheringWrite: Int { nextWrite }

    /// Runs `then` when the write that gathers was stored, or not.
    func awaitWrite(_ then: @escaping (KafkaErrorCode) -> Void) {
        writeWaiters[nextWrite, default: []].append(then)
    }

    /// Stores what is to be stored, wakes who may get something now, and sees to the next lock that ends.
    func settle() {
        guard case .ready = phase else { return }
        write()
        let metrics = environment.metrics
        metrics.count(window.takeTally())
        let (locked, inFlight) = (window.lockedCount, window.recordCount)
        metrics.locked.add(locked - counted.locked)
        metrics.inFlight.add(inFlight - counted.inFlight)
        counted = (locked, inFlight)
        setLockTimer()
    }

    private func write() {
        guard writing == nil else { return }
        let number = nextWrite
        guard let content = window.makeWrite(number) else { return }
        nextWrite += 1
        writing = number
        let change = ShareStateChange(
            key: key, stateEpoch: stateEpoch, leaderEpoch: leaderEpoch, number: environment.numbers.next(),
            startOffset: content.startOffset, batches: content.batches)
        let deadline = environment.clock.now().advanced(byMilliseconds: Self.patienceMilliseconds)
        send(change, number, deadline)
    }

    private func send(_ change: ShareStateChange, _ number: Int, _ deadline: Instant) {
        store(change) { [self] code in
            guard case .ready = phase else { return }
            guard code.isWorthAsking, environment.clock.now() < deadline, isUsable else {
                return written(number, code)
            }
            // Whether it was stored is not known; under its number it is stored once.
            environment.loop.assumeIsolated().scheduleTask(in: .milliseconds(Self.retryMilliseconds)) { [weak self] in
                guard let self, case .ready = phase else { return }
                send(change, number, deadline)
            }
        }
    }

    private func written(_ number: Int, _ code: KafkaErrorCode) {
        writing = nil
        let waiting = writeWaiters.removeValue(forKey: number) ?? []
        if code == .none {
            window.commit(number)
        } else {
            environment.metrics.writesFailed.increment()
            environment.logger.info(
                "State of a share group was not stored",
                metadata: [
                    "group": "\(key.groupID)", "topic": "\(partition.handle.topic)", "partition": "\(key.partition)",
                    "error": "\(code.name)",
                ])
            window.rollBack(number)
        }
        for then in waiting { then(code.forShareClients) }
        // Another leader, another start or another topic: what is here means nothing any more.
        if code != .none, !code.isWorthAsking { return end(code.forShareClients) }
        wake()
        settle()
    }

    // MARK: Waiting

    /// Wakes everybody who waits for records; they look again.
    func wake() {
        revision += 1
        let woken = waiters
        waiters.removeAll()
        for (_, wake) in woken.sorted(by: { $0.key < $1.key }) { wake() }
    }

    /// Takes over other settings; whoever waits for records looks again when others count as readable.
    func adopt(_ settings: ShareReadSettings) {
        let isOther = settings.isolation != self.settings.isolation
        self.settings = settings
        guard isOther else { return }
        if let dataRegistration { partition.stopWaiting(dataRegistration) }
        dataRegistration = nil
        wake()
    }

    /// Waits for the log to grow, as long as somebody waits here.
    func watchLog(from offset: Int64) {
        guard dataRegistration == nil, case .ready = phase else { return }
        var isInside = true
        let number = partition.waitForData(seen: Offset(offset), isolation: settings.isolation) {
            [weak self] _, _ in
            guard let self else { return false }
            dataRegistration = nil
            // What is there already is told after this returns.
            guard isInside else {
                wake()
                return false
            }
            environment.loop.assumeIsolated().execute { [weak self] in self?.wake() }
            return false
        }
        isInside = false
        dataRegistration = number
    }

    // MARK: Locks

    private func setLockTimer() {
        guard let deadline = window.nextDeadline else { return }
        if let planned = lockTimerDeadline, lockTimer != nil, planned <= deadline { return }
        lockTimer?.cancel()
        lockTimerDeadline = deadline
        let now = environment.clock.now()
        let delay = deadline > now ? Int64(deadline.nanoseconds(since: now)) : 0
        lockTimer = environment.loop.assumeIsolated().scheduleTask(in: .nanoseconds(delay + 1_000_000)) {
            [weak self] in
            self?.lockTimer = nil
            self?.expireLocks()
        }
    }

    /// Gives back what was locked for long enough.
    func expireLocks() {
        guard case .ready = phase else { return }
        guard isUsable else { return end(.notLeaderOrFollower) }
        if window.expireLocks(now: environment.clock.now()) { wake() }
        settle()
    }
}

extension KafkaErrorCode {
    /// Whether the coordinator of a share group may answer otherwise a little later.
    var isWorthAsking: Bool {
        switch self {
        case .coordinatorNotAvailable, .notCoordinator, .coordinatorLoadInProgress, .requestTimedOut,
            .networkException, .offsetNotAvailable, .leaderNotAvailable:
            true
        default: false
        }
    }

    /// What a client is told of an answer of the coordinator, in whose errors it has no part.
    var forShareClients: KafkaErrorCode {
        switch self {
        case .fencedLeaderEpoch, .fencedStateEpoch: .notLeaderOrFollower
        case _ where isWorthAsking: .coordinatorNotAvailable
        default: self
        }
    }
}
