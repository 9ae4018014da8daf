// SPDX-License-Identifier: Apache-2.0
//
// Partition+Fetch.swift
// Reads below the high watermark, and who is woken when it moves.

package import KafkaProtocol
import LogStore
import Logging
package import Model
package import NIOCore
import Records
import Replication
import Settings
import Telemetry

/// One partition's part of a fetch.
package struct FetchCall: Sendable {
    package var offset: Offset
    package var bytesMax: Int
    /// The leader epoch the client knows; -1 when it does not check.
    package var currentLeaderEpoch: Int32
    /// The epoch of the last record the client has; -1 when it does not check.
    package var lastFetchedEpoch: Int32
    /// The brokers in the client's rack, when it says that it has one.
    package var rackNodes: [NodeID]?
    /// Whether records of transactions that are open or were aborted are wanted.
    package var isolation = IsolationLevel.readUncommitted
    /// Whether the client may know zstd (KIP-110).
    package var allowsZstd = true
}

/// What one partition answers to a fetch.
package struct FetchResult: Sendable {
    package var error = KafkaErrorCode.none
    package var highWatermark: Int64 = -1
    package var lastStableOffset: Int64 = -1
    package var logStartOffset: Int64 = -1
    /// The transactions whose records the client must leave out, by rising first offset; nil when it wants all records.
    package var aborted: [FetchResponse.AbortedTransaction]?
    package var divergingEpoch: (epoch: Int32, endOffset: Int64)?
    /// A follower in the client's rack that it should read from instead.
    package var preferredReplica: NodeID?
    /// Whole batches; the first one holds the offset asked for.
    package var records: [ByteBuffer] = []
    package var byteCount = 0

    /// An answer that must reach the client now.
    package var isUrgent: Bool { error != .none || divergingEpoch != nil || preferredReplica != nil }
}

/// Someone who waits for the high watermark of a partition, or its last stable offset.
struct FetchWaiter {
    /// Which of the two.
    let isolation: IsolationLevel
    /// Told of newly committed bytes, or that something else happened (`force`); returns whether to stay registered.
    let wake: (_ bytes: Int, _ force: Bool) -> Bool
}

extension Partition {
    /// Reads whole batches from `call.offset` on, up to the high watermark or the last stable offset.
    ///
    /// `completion` runs on this loop: at once when the bytes are in memory, after a disk read otherwise.
    package func fetch(_ call: FetchCall, completion: @escaping (FetchResult) -> Void) {
        var result = FetchResult()
        if let refusal = readRefusal(call) {
            result.error = refusal
            return completion(result)
        }
        // Kafka looks at what the topic asks for, not into the batches: a producer's own zstd is served to anybody.
        if !call.allowsZstd, configuration.compression.targetCodec == .zstd {
            result.error = .unsupportedCompressionType
            return completion(result)
        }
        var readableEnd = Plant.readPastHighWatermark.isOn ? log.logEndOffset : highWatermark
        result.highWatermark = readableEnd.rawValue
        result.lastStableOffset = lastStableOffset.rawValue
        if call.isolation == .readCommitted {
            readableEnd = min(readableEnd, lastStableOffset)
            result.aborted = []
        }
        result.logStartOffset = log.logStartOffset.rawValue
        if let diverging = divergence(of: call) {
            result.divergingEpoch = diverging
            return completion(result)
        }
        guard call.offset >= log.logStartOffset, call.offset <= endOffset else {
            // A follower may not have heard of records that the client has from the leader.
            let isAhead = call.offset > endOffset && replica.leadingTerm == nil
            result.error = isAhead ? .offsetNotAvailable : .offsetOutOfRange
            return completion(result)
        }
        if let nodes = call.rackNodes, let preferred = preferredReplica(among: nodes) {
            result.preferredReplica = preferred
            return completion(result)
        }
        guard call.offset < readableEnd, call.bytesMax > 0 else { return completion(result) }
        if let found = log.readCached(from: call.offset, upTo: readableEnd, maxBytes: call.bytesMax) {
            return completion(filled(result, found, call))
        }
        log.read(from: call.offset, upTo: readableEnd, maxBytes: call.bytesMax) { [weak self] answer in
            guard let self else { return }
            switch answer {
            case .success(let found): completion(self.filled(result, found, call))
            case .failure(let error): completion(self.failed(result, error))
            }
        }
    }

    /// The follower in sync that a client of a rack with these brokers should read from; nil when it should read here.
    private func preferredReplica(among nodes: [NodeID]) -> NodeID? {
        guard replica.leadingTerm != nil, !nodes.contains(node) else { return nil }
        return inSync.first { nodes.contains($0) }
    }

    private func filled(_ result: FetchResult, _ found: ReadResult, _ call: FetchCall) -> FetchResult {
        var result = result
        if call.isolation == .readCommitted {
            // Transactions may be made anew from the log since the read began: then it is read again, later.
            guard found.nextOffset <= lastStableOffset else { return result }
            result.aborted = producers.transactions.aborted(from: call.offset, upTo: found.nextOffset)
                .holding(found.slices)
        }
        result.records = found.slices
        result.byteCount = found.byteCount
        metrics.bytesOut.increment(by: found.byteCount)
        return result
    }

    private func failed(_ result: FetchResult, _ error: StoreError) -> FetchResult {
        environment.logger.error(
            "Reading from the log failed",
            metadata: ["topic": "\(handle.topic)", "partition": "\(handle.index)", "error": "\(error)"])
        var result = result
        result.error = ErrorMapping.code(of: error)
        return result
    }

    /// Where the client's log and this one part, when the epoch it names ended before its offset (KIP-595).
    private func divergence(of call: FetchCall) -> (epoch: Int32, endOffset: Int64)? {
        guard call.lastFetchedEpoch >= 0 else { return nil }
        let end = epochEnd(call.lastFetchedEpoch)
        guard end.epoch < call.lastFetchedEpoch || end.offset < call.offset.rawValue else { return nil }
        return end.epoch < 0 ? nil : (end.epoch, end.offset)
    }

    // MARK: Waiting

    /// Registers `wake` for the next advance of what may be read; wakes at once when that moved past `seen` meanwhile.
    ///
    /// Returns the registration, or nil when `wake` was called and declined to stay.
    package func waitForData(
        seen: Offset, isolation: IsolationLevel = .readUncommitted,
        wake: @escaping (_ bytes: Int, _ force: Bool) -> Bool
    ) -> UInt64? {
        let end = isolation == .readCommitted ? lastStableOffset : highWatermark
        if !isReadable || end > seen, !wake(1, true) { return nil }
        nextFetchWaiter += 1
        fetchWaiters[nextFetchWaiter] = FetchWaiter(isolation: isolation, wake: wake)
        return nextFetchWaiter
    }

    package func stopWaiting(_ registration: UInt64) {
        fetchWaiters.removeValue(forKey: registration)
    }

    /// Wakes those who wait; of one isolation level, or all.
    func wakeFetches(bytes: Int = 0, force: Bool = false, isolation: IsolationLevel? = nil) {
        guard !fetchWaiters.isEmpty else { return }
        for (registration, waiter) in fetchWaiters where isolation == nil || waiter.isolation == isolation {
            if !waiter.wake(bytes, force) { fetchWaiters.removeValue(forKey: registration) }
        }
    }

    // MARK: Offsets and epochs

    /// The answer to OffsetForLeaderEpoch (KIP-320): the largest epoch not above `epoch`, and where it ends.
    package func epochEnd(_ epoch: Int32) -> (epoch: Int32, offset: Int64) {
        guard epoch >= 0, let term = replica.leadingTerm, epoch <= term.leaderEpoch else { return (-1, -1) }
        if epoch == term.leaderEpoch { return (epoch, highWatermark.rawValue) }
        let (found, end) = log.endOffset(ofEpoch: Term(UInt64(epoch)))
        return (found.leaderEpoch, end.rawValue)
    }

    /// Makes sure that no other leader has committed anything before now; at once when no other broker votes.
    private func confirmLeadership(then: @escaping (Bool) -> Void) {
        guard isReplicated, !Plant.serveDeposed.isOn else { return then(true) }
        replica.readIndex { result in
            if case .success = result { then(true) } else { then(false) }
        }
    }

    /// The answer to ListOffsets for one timestamp or special value.
    ///
    /// With `readCommitted` nothing behind the last stable offset is named.
    package func listOffset(
        _ timestamp: Int64, isolation: IsolationLevel = .readUncommitted,
        completion: @escaping (KafkaErrorCode, _ offset: Int64, _ timestamp: Int64, _ epoch: Int32) -> Void
    ) {
        guard let term = replica.leadingTerm else { return completion(refusal ?? .leaderNotAvailable, -1, -1, -1) }
        let isCommitted = isolation == .readCommitted
        // It may be too low while the producers' state is behind the log.
        if isCommitted, isReplaying { return completion(.offsetNotAvailable, -1, -1, -1) }
        let end = isCommitted ? lastStableOffset : highWatermark
        switch timestamp {
        case -1:
            confirmLeadership { [self] isConfirmed in
                guard isConfirmed else { return completion(.notLeaderOrFollower, -1, -1, -1) }
                let latest = isCommitted ? lastStableOffset : highWatermark
                completion(.none, latest.rawValue, -1, term.leaderEpoch)
            }
        case -3: newestRecord(upTo: end, completion: completion)
        case -2, -4:
            let start = log.logStartOffset
            completion(.none, start.rawValue, -1, log.epoch(containing: start).leaderEpoch)
        case 0...:
            log.offset(forTimestamp: timestamp, upTo: end) { answer in
                switch answer {
                case .success(let found?):
                    completion(.none, found.offset.rawValue, found.timestamp, found.term.leaderEpoch)
                case .success(nil): completion(.none, -1, -1, -1)
                case .failure(let error): completion(ErrorMapping.code(of: error), -1, -1, -1)
                }
            }
        // There is no remote store, and so nothing in it or on its way to it.
        case -5, -6: completion(.none, -1, -1, -1)
        default: completion(.unsupportedVersion, -1, -1, -1)
        }
    }
}

extension [AbortedTransaction] {
    /// Those of which batches hold records, as clients are told of them.
    ///
    /// A client takes whatever a producer sends for aborted, from the first offset of a transaction that it is told of until
    /// it meets the marker. Of a transaction that compaction took away, the marker may be gone.
    ///
    /// - Cost: a look at each batch's header, when there are any transactions.
    func holding(_ slices: [ByteBuffer]) -> [FetchResponse.AbortedTransaction] {
        guard !isEmpty else { return [] }
        var present: Set<AbortedTransaction> = []
        for slice in slices {
            var cursor = RecordBatchCursor(slice)
            while let batch = try? cursor.next() {
                guard batch.isTransactional, !batch.isControl, batch.recordCount > 0 else { continue }
                let (producer, offset) = (batch.header.producerID.rawValue, batch.baseOffset.rawValue)
                for one in self where one.producerID == producer && one.firstOffset <= offset && offset < one.lastOffset
                {
                    present.insert(one)
                }
            }
        }
        return filter { present.contains($0) }.map {
            FetchResponse.AbortedTransaction(producerID: $0.producerID, firstOffset: $0.firstOffset)
        }
    }
}
