// SPDX-License-Identifier: Apache-2.0
//
// ShareWindow+Acknowledge.swift
// What members say of records, what is stored of it, and locks that end without a word.

import KafkaProtocol
import Model

extension ShareWindow {
    /// What a member's acknowledgements ask for.
    struct Admission: Equatable, Sendable {
        /// Whether something has to be stored before the member may be told that its word holds.
        var needsWrite: Bool
    }

    // MARK: Acknowledging

    /// Notes what `owner` says of its records, to be stored with the write of number `write`.
    ///
    /// All of it is taken or nothing: `invalidRecordState` when one of the records is not the member's any more, or it
    /// said something of it before; `invalidRequest` when it makes no sense. Records that were deleted from the log do
    /// not matter.
    mutating func acknowledge(
        _ acknowledgements: [ShareAcknowledgement], by owner: String, write: Int, allowsRenewal: Bool, now: Instant
    ) -> Result<Admission, KafkaErrorCode> {
        var runs: [(first: Int64, last: Int64, type: ShareAcknowledgeType)] = []
        for one in acknowledgements {
            guard let more = one.runs(allowsRenewal: allowsRenewal), one.first > runs.last?.last ?? -1 else {
                return .failure(.invalidRequest)
            }
            runs += more
        }
        for run in runs where !isHeld(run.first, run.last, by: owner) { return .failure(.invalidRecordState) }
        var needsWrite = false
        let deadline = now.advanced(byMilliseconds: limits.lockMilliseconds)
        for run in runs {
            let last = limits.deliveriesMax
            change(run.first, run.last) { range in
                guard run.type != .renew else {
                    range.lock?.deadline = deadline
                    return
                }
                let state = Self.state(after: run.type, isLast: range.deliveryCount >= last)
                range.lock?.pending = PendingAcknowledgement(write: write, state: state)
                needsWrite = true
            }
        }
        return .success(Admission(needsWrite: needsWrite))
    }

    /// Whether all records that are still in the log are locked by `owner`, who has not said anything of them.
    private func isHeld(_ first: Int64, _ last: Int64, by owner: String) -> Bool {
        let first = max(first, logStart)
        guard first <= last else { return true }
        guard first >= startOffset, last < endOffset else { return false }
        return pieces(first, last).allSatisfy { $0.lock?.owner == owner && $0.lock?.pending == nil }
    }

    private static func state(after type: ShareAcknowledgeType, isLast: Bool) -> ShareDeliveryState {
        switch type {
        case .accept: .acknowledged
        case .release: isLast ? .archived : .available
        case .gap, .reject: .archived
        case .renew: .available
        }
    }

    // MARK: Storing

    /// What the write of number `write` has to say; nil when there is nothing.
    ///
    /// Everything that is not stored goes with it.
    mutating func makeWrite(_ write: Int) -> (startOffset: Int64, batches: [ShareStateBatch])? {
        var batches: [ShareStateBatch] = []
        var start = startOffset
        for range in ranges {
            let pending = range.lock?.pending.flatMap { $0.write == write ? $0 : nil }
            if start == range.first, (pending?.state ?? range.state) != .available { start = range.last + 1 }
            guard pending != nil || range.isUnsaved else { continue }
            let batch = ShareStateBatch(
                firstOffset: range.first, lastOffset: range.last, state: pending?.state ?? range.state,
                deliveryCount: range.deliveryCount)
            if let last = batches.last, last.lastOffset + 1 == batch.firstOffset, last.state == batch.state,
                last.deliveryCount == batch.deliveryCount
            {
                batches[batches.count - 1].lastOffset = batch.lastOffset
            } else {
                batches.append(batch)
            }
        }
        changeAll(where: \.isUnsaved) { ($0.isUnsaved, $0.saving) = (false, write) }
        guard !batches.isEmpty || isStartUnsaved else { return nil }
        if isStartUnsaved { (isStartUnsaved, startSaving) = (false, write) }
        return (start, batches)
    }

    /// The write was stored: what it says holds.
    mutating func commit(_ write: Int) {
        var (accepted, released, rejected, exhausted) = (0, 0, 0, 0)
        let last = limits.deliveriesMax
        changeAll(where: { $0.saving == write }) { $0.saving = nil }
        if startSaving == write { startSaving = nil }
        changeAll(where: { $0.lock?.pending?.write == write }) { range in
            switch range.lock?.pending?.state {
            case .acknowledged: accepted += range.count
            case .available: released += range.count
            case .archived where range.deliveryCount >= last: exhausted += range.count
            case .archived: rejected += range.count
            case nil: break
            }
            range.state = range.lock?.pending?.state ?? range.state
            range.lock = nil
        }
        count {
            $0.accepted += accepted
            $0.released += released
            $0.rejected += rejected
            $0.exhausted += exhausted
        }
    }

    /// The write was not stored: who has the records has them still, until their locks end; what else it said goes with the
    /// next one.
    mutating func rollBack(_ write: Int) {
        changeAll(where: { $0.saving == write }) { ($0.isUnsaved, $0.saving) = (true, nil) }
        if startSaving == write { (isStartUnsaved, startSaving) = (true, nil) }
        changeAll(where: { $0.lock?.pending?.write == write }) { $0.lock?.pending = nil }
    }

    // MARK: Locks that end

    /// Gives back what was locked until now; returns whether there was anything.
    mutating func expireLocks(now: Instant) -> Bool {
        let count = giveBack(wasDelivered: true) { $0.deadline <= now }
        self.count { $0.expired += count }
        return count > 0
    }

    /// Gives back what a member that is gone has of which it said nothing; returns whether there was anything.
    ///
    /// It was fetched and not delivered to the application, so it does not count as a delivery, as with Kafka.
    mutating func release(owner: String) -> Bool {
        let count = giveBack(wasDelivered: false) { $0.owner == owner }
        self.count { $0.released += count }
        return count > 0
    }

    /// Returns how many records were given back, or archived because they were delivered as often as allowed.
    private mutating func giveBack(wasDelivered: Bool, where isOver: (ShareLock) -> Bool) -> Int {
        var (given, exhausted) = (0, 0)
        let last = limits.deliveriesMax
        changeAll(where: { range in range.lock.map { $0.pending == nil && isOver($0) } ?? false }) { range in
            given += range.count
            if !wasDelivered {
                range.deliveryCount -= 1
            } else if range.deliveryCount >= last {
                range.state = .archived
                exhausted += range.count
            }
            range.lock = nil
            range.isUnsaved = true
        }
        if exhausted > 0 { isStartUnsaved = true }
        count { $0.exhausted += exhausted }
        return given
    }
}
