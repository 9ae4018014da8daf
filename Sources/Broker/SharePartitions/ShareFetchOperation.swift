// SPDX-License-Identifier: Apache-2.0
//
// ShareFetchOperation.swift
// One share fetch from its first look to its answer: asks partition after partition for records, waits when none has
// any, and answers as soon as the member has some. Confined to the event loop of the connection it came from.

import KafkaProtocol
import Model
import NIOCore

/// The limits that a share fetch names.
struct ShareFetchLimits: Sendable {
    var waitMilliseconds: Int64
    var bytesMin: Int
    var bytesMax: Int
    var recordsMax: Int
    var isStrict: Bool
}

/// One partition of a share fetch: where it lives, or why it is refused without asking.
struct ShareFetchTarget: Sendable {
    var partition: SharedPartition
    var handle: PartitionHandle?
    var refusal: KafkaErrorCode
    /// Whether the member begins to read it.
    var isNew = false
}

/// Serves one share fetch.
///
/// What was acquired is locked for the member from then on: it is answered at once, and given back when the connection
/// has gone meanwhile.
final class ShareFetchOperation {
    private let member: ShareMember
    private var targets: [ShareFetchTarget]
    private let limits: ShareFetchLimits
    private let shards: ShardDirectory
    private let loop: any EventLoop
    private let finish: ([ShareAcquireResult]) -> Void

    private var results: [ShareAcquireResult] = []
    private var bytesLeft = 0
    private var recordsLeft = 0
    private var isProbe = false
    private var isCancelled = false
    private var isDone = false
    private var isLooking = false
    private var isTimeUp: Bool
    private var timer: Scheduled<Void>?
    private var registrations: [Int: UInt64] = [:]
    /// Registrations are of the look that this counts.
    private var look = 0

    init(
        _ member: ShareMember, _ targets: [ShareFetchTarget], _ limits: ShareFetchLimits, shards: ShardDirectory,
        loop: any EventLoop, finish: @escaping ([ShareAcquireResult]) -> Void
    ) {
        self.member = member
        self.targets = targets
        self.limits = limits
        self.shards = shards
        self.loop = loop
        self.finish = finish
        self.isTimeUp = limits.waitMilliseconds <= 0
    }

    func start() {
        if !isTimeUp {
            timer = loop.assumeIsolated().scheduleTask(in: .milliseconds(limits.waitMilliseconds)) { [self] in
                timer = nil
                isTimeUp = true
                if !isLooking, !isDone { begin() }
            }
        }
        begin()
    }

    /// The connection is gone: nobody waits for the answer.
    func cancel() {
        guard !isDone else { return }
        isCancelled = true
        timer?.cancel()
        timer = nil
        unpark()
        // What is being acquired is given back when it arrives.
        if !isLooking { isDone = true }
    }

    // MARK: Looking

    private func begin() {
        unpark()
        look += 1
        isLooking = true
        isProbe = limits.bytesMin > 1 && !isTimeUp
        beginPass()
    }

    private func beginPass() {
        results.removeAll(keepingCapacity: true)
        bytesLeft = limits.bytesMax
        recordsLeft = limits.recordsMax
        askNext()
    }

    /// Asks partition after partition; goes on at once while answers come at once, so that the stack stays flat.
    private func askNext() {
        while results.count < targets.count {
            let target = targets[results.count]
            guard let handle = target.handle else {
                results.append(ShareAcquireResult(error: target.refusal))
                continue
            }
            guard bytesLeft > 0, recordsLeft > 0, !isCancelled else {
                results.append(ShareAcquireResult())
                continue
            }
            let call = ShareAcquireCall(
                memberID: member.memberID, bytesMax: bytesLeft, recordsMax: recordsLeft, isStrict: limits.isStrict,
                isProbe: isProbe)
            var answeredAtOnce = false
            var isInside = true
            targets[results.count].isNew = false
            ask(key(target), handle, call, joining: target.isNew) { [self] result in
                accept(result)
                answeredAtOnce = isInside
                if !isInside { askNext() }
            }
            isInside = false
            if !answeredAtOnce { return }
        }
        decide()
    }

    private func accept(_ result: ShareAcquireResult) {
        bytesLeft -= result.byteCount
        recordsLeft -= result.recordCount
        results.append(result)
    }

    private func ask(
        _ key: ShareKey, _ handle: PartitionHandle, _ call: ShareAcquireCall, joining: Bool,
        then: @escaping (ShareAcquireResult) -> Void
    ) {
        shards.withShare(key, handle, from: loop, joining: joining) { found, reply in
            switch found {
            case .failure(let code): reply(ShareAcquireResult(error: code))
            case .success(let leader): leader.acquire(call) { reply($0) }
            }
        } then: {
            then($0)
        }
    }

    private func key(_ target: ShareFetchTarget) -> ShareKey {
        ShareKey(
            groupID: member.groupID, topicID: target.partition.topicID, partition: target.partition.index)
    }

    // MARK: Deciding

    private func decide() {
        if isCancelled { return giveBack() }
        let hasError = results.contains { $0.error != .none }
        let byteCount = results.reduce(0) { $0 + $1.byteCount }
        if isProbe {
            guard isTimeUp || hasError || byteCount >= limits.bytesMin else { return park() }
            // There is enough: now it is taken.
            isProbe = false
            return beginPass()
        }
        guard isTimeUp || hasError || results.contains(where: { !$0.acquired.isEmpty }) || targets.isEmpty else {
            return park()
        }
        isLooking = false
        isDone = true
        timer?.cancel()
        timer = nil
        finish(results)
    }

    private func giveBack() {
        isLooking = false
        isDone = true
        for (target, result) in zip(targets, results) where !result.acquired.isEmpty {
            let (key, memberID) = (key(target), member.memberID)
            guard let handle = target.handle else { continue }
            shards.execute(on: handle.shard) { $0.shares?.existing(key)?.release(memberID) }
        }
    }

    // MARK: Waiting

    private func park() {
        isLooking = false
        if isTimeUp { return begin() }
        let number = look
        for (position, (target, result)) in zip(targets, results).enumerated() {
            guard let handle = target.handle else { continue }
            let (key, seen) = (key(target), result.seen)
            let wake = NIOLoopBound({ [weak self] in self?.woken(number) ?? () }, eventLoop: loop)
            shards.withShare(key, handle, from: loop) { [loop] found, reply in
                let wakeBack = { @Sendable in loop.execute { wake.value() } }
                guard case .success(let leader) = found else {
                    wakeBack()
                    return reply(nil)
                }
                reply(leader.wait(since: seen, wakeBack))
            } then: { [weak self] (registration: UInt64?) in
                self?.keep(registration, position, number)
            }
        }
    }

    private func keep(_ registration: UInt64?, _ position: Int, _ number: Int) {
        guard let registration else { return }
        if number == look, !isLooking, !isDone {
            registrations[position] = registration
        } else {
            stopWaiting(position, registration)
        }
    }

    private func woken(_ number: Int) {
        guard number == look, !isLooking, !isDone else { return }
        begin()
    }

    private func unpark() {
        for (position, registration) in registrations { stopWaiting(position, registration) }
        registrations.removeAll()
    }

    private func stopWaiting(_ position: Int, _ registration: UInt64) {
        guard let handle = targets[position].handle else { return }
        let key = key(targets[position])
        shards.execute(on: handle.shard) { $0.shares?.existing(key)?.stopWaiting(registration) }
    }
}
