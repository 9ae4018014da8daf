// SPDX-License-Identifier: Apache-2.0
//
// SharePartitionLeader+Requests.swift
// What members of a share group ask of a partition's leader: records, and to take note of what became of them.

import KafkaProtocol
import LogStore
import Model
import NIOCore
import Records
import Settings
import Telemetry

/// The settings of a share group that reads a partition.
struct ShareReadSettings: Equatable, Sendable {
    var window: ShareWindow.Limits
    var offsetReset: ShareOffsetReset
    var resetMilliseconds: Int64
    var isolation = IsolationLevel.readUncommitted

    init(_ settings: BrokerSettings.ShareGroups) {
        window = ShareWindow.Limits(
            recordsMax: settings.maxRecordLocks, deliveriesMax: Int16(settings.deliveryCountLimit),
            lockMilliseconds: settings.recordLockDuration.milliseconds)
        offsetReset = settings.offsetReset
        resetMilliseconds = settings.offsetResetDuration.milliseconds
        isolation = settings.isolation == .readCommitted ? .readCommitted : .readUncommitted
    }
}

/// One partition's part of a share fetch.
struct ShareAcquireCall: Sendable {
    var memberID: String
    var bytesMax: Int
    var recordsMax: Int
    /// Whether batches may be cut to keep to `recordsMax`.
    var isStrict: Bool
    /// Whether only to look how much there is.
    var isProbe = false
}

/// How far somebody has looked who found too little.
struct ShareSight: Sendable {
    /// Counts what was given back and what made room.
    var revision: UInt64 = 0
    /// Up to where there were records.
    var end: Int64 = 0
}

/// What one partition answers to a share fetch.
struct ShareAcquireResult: Sendable {
    var error = KafkaErrorCode.none
    /// Whole batches; they may hold more than what was acquired.
    var records: [ByteBuffer] = []
    var byteCount = 0
    var acquired: [AcquiredRange] = []
    /// What was seen, to be told of what comes after.
    var seen = ShareSight()

    var recordCount: Int { acquired.reduce(0) { $0 + $1.count } }
}

extension SharePartitionLeader {
    /// How much of the log is read at once.
    private static let readBytesMax = 4 << 20

    // MARK: Acquiring

    /// Gives a member records, or nothing when there are none; `completion` runs on this loop, once.
    func acquire(_ call: ShareAcquireCall, completion: @escaping (ShareAcquireResult) -> Void) {
        whenReady { [self] code in
            guard code == .none else { return completion(ShareAcquireResult(error: code)) }
            look(call, completion)
        }
    }

    private func look(_ call: ShareAcquireCall, _ completion: @escaping (ShareAcquireResult) -> Void) {
        guard isUsable else {
            end(.notLeaderOrFollower)
            return completion(ShareAcquireResult(error: partition.refusal ?? .notLeaderOrFollower))
        }
        window.limits = settings.window
        if window.expireLocks(now: environment.clock.now()) { wake() }
        window.moveLogStart(to: partition.log.logStartOffset.rawValue)
        let nothing = ShareAcquireResult(seen: sight)
        guard window.hasRoom else {
            environment.metrics.full.increment()
            settle()
            return completion(nothing)
        }
        let offset = window.nextReadOffset
        guard call.recordsMax > 0, call.bytesMax > 0, offset < readableEnd else {
            settle()
            return completion(nothing)
        }
        let fetch = FetchCall(
            offset: Offset(offset), bytesMax: min(call.bytesMax, Self.readBytesMax), currentLeaderEpoch: -1,
            lastFetchedEpoch: -1, isolation: settings.isolation)
        let sight = sight
        partition.fetch(fetch) { [self] found in take(found, from: offset, call, sight, completion) }
    }

    private var sight: ShareSight { ShareSight(revision: revision, end: readableEnd) }

    /// Up to where members may read.
    var readableEnd: Int64 {
        settings.isolation == .readCommitted
            ? partition.lastStableOffset.rawValue : partition.highWatermark.rawValue
    }

    private func take(
        _ found: FetchResult, from offset: Int64, _ call: ShareAcquireCall, _ sight: ShareSight,
        _ completion: @escaping (ShareAcquireResult) -> Void
    ) {
        guard case .ready = phase, isUsable else {
            end(.notLeaderOrFollower)
            return completion(ShareAcquireResult(error: .notLeaderOrFollower))
        }
        // Retention may have been faster than the read: what is left is looked for again.
        guard found.error == .none || found.error == .offsetOutOfRange else {
            return completion(ShareAcquireResult(error: found.error))
        }
        var result = ShareAcquireResult(seen: sight)
        let batches = ReadBatches(found.records, aborted: found.aborted ?? [])
        var next = window
        result.acquired = next.acquire(
            batches.extents, from: offset, owner: call.memberID, recordsMax: call.recordsMax, isStrict: call.isStrict,
            now: environment.clock.now())
        result.records = batches.slices(holding: result.acquired)
        result.byteCount = result.records.reduce(0) { $0 + $1.readableBytes }
        let hasMoved = next.nextReadOffset != offset
        // A probe leaves everything as it is, unless there was only what is for nobody.
        if !call.isProbe || result.acquired.isEmpty { window = next }
        guard result.acquired.isEmpty, hasMoved || found.error == .offsetOutOfRange else {
            settle()
            return completion(result)
        }
        // Nothing here was for members, or others were faster: look further, with a stack as before.
        let further = NIOLoopBound(completion, eventLoop: environment.loop)
        environment.loop.execute { [bound = NIOLoopBound(self, eventLoop: environment.loop)] in
            bound.value.look(call, further.value)
        }
    }

    /// Calls back once when there may be something that was not `seen`; returns the registration, nil when that is so
    /// already.
    func wait(since seen: ShareSight, _ wake: @escaping () -> Void) -> UInt64? {
        let isFull = !window.hasRoom
        guard case .ready = phase, isUsable, revision == seen.revision, isFull || readableEnd <= seen.end else {
            wake()
            return nil
        }
        nextWaiter += 1
        waiters[nextWaiter] = wake
        // Who found no room is woken when there is some.
        if !isFull { watchLog(from: seen.end) }
        return nextWaiter
    }

    func stopWaiting(_ registration: UInt64) { waiters.removeValue(forKey: registration) }

    // MARK: Acknowledging

    /// Notes what a member says of its records; `completion` runs when that is stored, on this loop, once.
    func acknowledge(
        _ acknowledgements: [ShareAcknowledgement], by memberID: String, allowsRenewal: Bool,
        completion: @escaping (KafkaErrorCode) -> Void
    ) {
        whenReady { [self] code in
            guard code == .none else { return completion(code) }
            guard isUsable else {
                end(.notLeaderOrFollower)
                return completion(partition.refusal ?? .notLeaderOrFollower)
            }
            let now = environment.clock.now()
            window.limits = settings.window
            if window.expireLocks(now: now) { wake() }
            window.moveLogStart(to: partition.log.logStartOffset.rawValue)
            let outcome = window.acknowledge(
                acknowledgements, by: memberID, write: gatheringWrite, allowsRenewal: allowsRenewal, now: now)
            switch outcome {
            case .failure(let code): completion(code)
            case .success(let admission) where admission.needsWrite: awaitWrite(completion)
            case .success: completion(.none)
            }
            settle()
        }
    }

    /// Gives back what a member has: it is gone.
    func release(_ memberID: String) {
        guard case .ready = phase else { return }
        if window.release(owner: memberID) { wake() }
        settle()
    }
}

/// The batches of a read, with what they are for a member of a share group.
struct ReadBatches {
    private(set) var extents: [BatchExtent] = []
    private var batches: [ByteBuffer] = []

    /// Finds the batches in `slices`; `aborted` are the transactions whose records nobody gets.
    init(_ slices: [ByteBuffer], aborted: [FetchResponse.AbortedTransaction]) {
        var waiting = aborted.sorted { $0.firstOffset < $1.firstOffset }[...]
        var producers: Set<Int64> = []
        for slice in slices {
            var cursor = RecordBatchCursor(slice)
            // The log holds whole batches that were checked; what cannot be read is not handed out.
            while let batch = try? cursor.nextWhole() {
                let producer = batch.header.producerID.rawValue
                while let next = waiting.first, next.firstOffset <= batch.lastOffset.rawValue {
                    producers.insert(next.producerID)
                    waiting.removeFirst()
                }
                if batch.isControl, (try? ControlRecord(of: batch))??.kind == .abort { producers.remove(producer) }
                let isAborted = batch.isTransactional && producers.contains(producer)
                extents.append(
                    BatchExtent(
                        first: batch.baseOffset.rawValue, last: batch.lastOffset.rawValue,
                        isDeliverable: !batch.isControl && batch.recordCount > 0 && !isAborted))
                batches.append(batch.bytes)
            }
        }
    }

    /// The bytes of the batches that have records of `acquired`.
    func slices(holding acquired: [AcquiredRange]) -> [ByteBuffer] {
        guard !acquired.isEmpty else { return [] }
        var next = 0
        return zip(extents, batches).compactMap { extent, bytes in
            while next < acquired.count, acquired[next].last < extent.first { next += 1 }
            return next < acquired.count && acquired[next].first <= extent.last ? bytes : nil
        }
    }
}
