// SPDX-License-Identifier: Apache-2.0
//
// ShareWindowModel.swift
// What a share group has in flight, told offset by offset: the plain model that windows are compared with.

import KafkaProtocol
import Model

@testable import Broker

/// One record of the model.
struct ModelRecord: Equatable {
    var state = ShareDeliveryState.available
    var deliveryCount: Int16 = 0
    var lock: ShareLock?

    var isFree: Bool { state == .available && lock == nil }
}

/// A window in which every record stands for itself.
struct ShareWindowModel {
    let limits: ShareWindow.Limits
    var start: Int64 = 0
    var end: Int64 = 0
    var logStart: Int64 = 0
    var records: [Int64: ModelRecord] = [:]

    var nextRead: Int64 { (start..<end).first { records[$0]?.isFree == true } ?? end }

    private mutating func see(_ offset: Int64) {
        while end <= offset {
            records[end] = ModelRecord()
            end += 1
        }
    }

    private mutating func advance() {
        while start < end, let record = records[start], record.state != .available {
            records[start] = nil
            start += 1
        }
    }

    mutating func acquire(
        _ extents: [BatchExtent], from offset: Int64, owner: String, max: Int, isStrict: Bool, now: Instant
    ) -> [Int64: Int16] {
        var acquired: [Int64: Int16] = [:]
        let lock = ShareLock(owner: owner, deadline: now.advanced(byMilliseconds: limits.lockMilliseconds))
        var cursor = Swift.max(offset, start)
        for extent in extents where extent.last >= cursor {
            if acquired.count >= max { break }
            while cursor <= extent.last {
                let isGap = cursor < extent.first || !extent.isDeliverable
                if isGap {
                    if cursor <= end { see(cursor) }
                    if records[cursor]?.isFree == true { records[cursor]?.state = .archived }
                    cursor += 1
                    continue
                }
                // The rest of a batch is decided on together.
                let mayGrow = extent.last >= end && cursor <= end && end - start < limits.recordsMax
                let last = mayGrow ? extent.last : min(extent.last, end - 1)
                for one in stride(from: cursor, through: last, by: 1) {
                    if isStrict, acquired.count >= max { break }
                    guard records[one]?.isFree ?? true else { continue }
                    see(one)
                    records[one]?.lock = lock
                    records[one]?.deliveryCount += 1
                    acquired[one] = records[one]?.deliveryCount
                }
                cursor = extent.last + 1
            }
            if extent.last >= end { break }
        }
        advance()
        return acquired
    }

    /// Nil when it is refused.
    mutating func acknowledge(
        _ types: [(Int64, ShareAcknowledgeType)], owner: String, write: Int, now: Instant
    ) -> Bool? {
        let relevant = types.filter { $0.0 >= logStart }
        for (offset, _) in relevant {
            guard let lock = records[offset]?.lock, lock.owner == owner, lock.pending == nil else { return nil }
        }
        var needsWrite = false
        for (offset, type) in relevant {
            let isLast = (records[offset]?.deliveryCount ?? 0) >= limits.deliveriesMax
            let state: ShareDeliveryState
            switch type {
            case .renew:
                records[offset]?.lock?.deadline = now.advanced(byMilliseconds: limits.lockMilliseconds)
                continue
            case .accept: state = .acknowledged
            case .release: state = isLast ? .archived : .available
            case .gap, .reject: state = .archived
            }
            needsWrite = true
            records[offset]?.lock?.pending = PendingAcknowledgement(write: write, state: state)
        }
        return needsWrite
    }

    mutating func settle(_ write: Int, isStored: Bool) {
        for (offset, record) in records where record.lock?.pending?.write == write {
            if isStored, let pending = record.lock?.pending {
                records[offset]?.state = pending.state
                records[offset]?.lock = nil
            } else {
                records[offset]?.lock?.pending = nil
            }
        }
        advance()
    }

    mutating func giveBack(wasDelivered: Bool, _ isOver: (ShareLock) -> Bool) {
        for (offset, record) in records {
            guard let lock = record.lock, lock.pending == nil, isOver(lock) else { continue }
            records[offset]?.lock = nil
            if !wasDelivered {
                records[offset]?.deliveryCount -= 1
            } else if record.deliveryCount >= limits.deliveriesMax {
                records[offset]?.state = .archived
            }
        }
        advance()
    }

    mutating func moveLogStart(to offset: Int64) {
        logStart = max(logStart, offset)
        while start < offset {
            records[start] = nil
            start += 1
        }
        end = max(end, start)
        advance()
    }
}
