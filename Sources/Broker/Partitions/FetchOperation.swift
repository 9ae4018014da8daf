// SPDX-License-Identifier: Apache-2.0
//
// FetchOperation.swift
// One fetch request from its first read to its answer: reads, waits for commits, reads again, answers once.
// Confined to the event loop of the connection it came from.

package import KafkaProtocol
import Model
package import NIOCore

/// The limits a fetch request names.
package struct FetchLimits: Sendable {
    package var waitMilliseconds: Int64
    package var bytesMin: Int
    package var bytesMax: Int
}

/// One partition of a fetch: where it lives and what is asked of it, or why it is refused without asking.
package struct FetchTarget: Sendable {
    package var handle: PartitionHandle?
    package var call: FetchCall
    package var refusal: KafkaErrorCode
}

/// Serves one fetch request.
///
/// The partitions are read in request order: the first that has data gives at least one batch whatever its size, later
/// ones only what the limit leaves. With too little data the operation parks on every partition and is woken by commits,
/// not by appends; when enough bytes were committed, or the wait is over, it reads once more and answers.
package final class FetchOperation {
    private let targets: [FetchTarget]
    private let limits: FetchLimits
    private let shards: ShardDirectory
    private let loop: any EventLoop
    private let finish: ([FetchResult]) -> Void

    private var results: [FetchResult] = []
    private var budget = 0
    private var isDone = false
    private var isParked = false
    private var isReading = false
    private var isTimeUp = false
    private var wasWokenWhileReading = false
    private var committedBytes = 0
    private var timer: Scheduled<Void>?
    private var registrations: [(handle: PartitionHandle, number: UInt64)] = []

    package init(
        targets: [FetchTarget], limits: FetchLimits, shards: ShardDirectory, loop: any EventLoop,
        finish: @escaping ([FetchResult]) -> Void
    ) {
        self.targets = targets
        self.limits = limits
        self.shards = shards
        self.loop = loop
        self.finish = finish
    }

    package func start() {
        read(isLast: limits.waitMilliseconds <= 0 || targets.isEmpty)
    }

    /// The connection is gone: nobody waits for the answer.
    package func cancel() {
        isDone = true
        unpark()
    }

    // MARK: Reading

    private func read(isLast: Bool) {
        isReading = true
        results.removeAll(keepingCapacity: true)
        budget = limits.bytesMax
        readNext(isLast: isLast)
    }

    /// Reads partition after partition; goes on at once while answers come at once, so that the stack stays flat.
    private func readNext(isLast: Bool) {
        while results.count < targets.count {
            let target = targets[results.count]
            guard let handle = target.handle else {
                results.append(FetchResult(error: target.refusal))
                continue
            }
            var call = target.call
            let gathered = limits.bytesMax - budget
            call.bytesMax = gathered > 0 ? min(call.bytesMax, budget) : max(1, min(call.bytesMax, budget))
            if gathered > 0, budget <= 0 { call.bytesMax = 0 }
            var answeredAtOnce = false
            var isInside = true
            ask(handle, call) { [self] result in
                accept(result)
                answeredAtOnce = isInside
                if !isInside { readNext(isLast: isLast) }
            }
            isInside = false
            if !answeredAtOnce { return }
        }
        isReading = false
        decide(isLast: isLast)
    }

    private func accept(_ result: FetchResult) {
        var result = result
        // A partition may give one batch more than the limit, but only the first that has data.
        if result.byteCount > budget, budget < limits.bytesMax {
            result.records = []
            if result.aborted != nil { result.aborted = [] }
            result.byteCount = 0
        }
        budget -= result.byteCount
        results.append(result)
    }

    /// Asks the partition's shard; on the same loop without a hop.
    private func ask(_ handle: PartitionHandle, _ call: FetchCall, then: @escaping (FetchResult) -> Void) {
        shards.withPartition(handle, from: loop) { partition, reply in
            guard let partition else { return reply(FetchResult(error: .notLeaderOrFollower)) }
            partition.fetch(call) { reply($0) }
        } then: {
            then($0)
        }
    }

    // MARK: Deciding and waiting

    private func decide(isLast: Bool) {
        guard !isDone else { return }
        let gathered = limits.bytesMax - budget
        if isLast || isTimeUp || gathered >= limits.bytesMin || results.contains(where: \.isUrgent) {
            return complete()
        }
        committedBytes = gathered
        if !isParked { return park() }
        guard wasWokenWhileReading else { return }
        wasWokenWhileReading = false
        read(isLast: false)
    }

    private func park() {
        isParked = true
        timer = loop.assumeIsolated().scheduleTask(in: .milliseconds(limits.waitMilliseconds)) { [self] in timeUp() }
        // A registration may wake at once, and the read that follows begins with no results.
        let seen = zip(results, targets).map { result, target in
            Offset(target.call.isolation == .readCommitted ? result.lastStableOffset : result.highWatermark)
        }
        for (target, seen) in zip(targets, seen) {
            guard let handle = target.handle, !isDone else { continue }
            shards.register(handle, seen: seen, isolation: target.call.isolation, from: loop) {
                [weak self] bytes, force in
                self?.woken(bytes: bytes, force: force) ?? false
            } registered: { [weak self] number in
                self?.keep(handle, number)
            }
        }
    }

    private func keep(_ handle: PartitionHandle, _ number: UInt64?) {
        guard let number else { return }
        if isDone { return shards.unregister(handle, number, from: loop) }
        registrations.append((handle, number))
    }

    /// Returns whether to stay registered.
    private func woken(bytes: Int, force: Bool) -> Bool {
        guard !isDone else { return false }
        committedBytes += bytes
        if isReading {
            wasWokenWhileReading = true
        } else if force || committedBytes >= limits.bytesMin {
            read(isLast: force)
        }
        return !isDone
    }

    private func timeUp() {
        guard !isDone else { return }
        timer = nil
        isTimeUp = true
        // A disk read under way is answered with what it brings.
        if !isReading { read(isLast: true) }
    }

    private func complete() {
        isDone = true
        unpark()
        finish(results)
    }

    private func unpark() {
        timer?.cancel()
        timer = nil
        for registration in registrations { shards.unregister(registration.handle, registration.number, from: loop) }
        registrations.removeAll()
    }
}
