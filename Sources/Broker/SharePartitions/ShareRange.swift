// SPDX-License-Identifier: Apache-2.0
//
// ShareRange.swift
// Records of a partition that a share group treats alike.

import Model

/// Consecutive records in the same state.
///
/// Invariant: `first <= last`; records that are locked are `available` for the durable state.
struct ShareRange: Equatable, Sendable {
    /// The first record.
    var first: Int64
    /// The last record, included.
    var last: Int64
    /// What is kept of them: an acquired record is available again for the next leader.
    var state = ShareDeliveryState.available
    /// How often they were delivered.
    var deliveryCount: Int16 = 0
    /// Who has them; nil when nobody has.
    var lock: ShareLock?
    /// Whether the state is not stored yet, and is to be with the next write.
    var isUnsaved = false
    /// The number of the write under way that has the state besides what members said.
    var saving: Int?

    /// How many records there can be.
    var count: Int { Int(last - first) + 1 }
    /// Whether a member may get them.
    var isFree: Bool { state == .available && lock == nil }
    /// Whether nobody gets them any more.
    var isDone: Bool { state != .available }

    /// Whether `other`, which is next to this one, says the same.
    func isLike(_ other: ShareRange) -> Bool {
        state == other.state && deliveryCount == other.deliveryCount && lock == other.lock
            && isUnsaved == other.isUnsaved && saving == other.saving
    }
}

/// The lock of acquired records.
struct ShareLock: Equatable, Sendable {
    /// The member that acquired them.
    var owner: String
    /// When they are given back.
    var deadline: Instant
    /// What the member said of them, until that is stored.
    var pending: PendingAcknowledgement?
}

/// What becomes of records when a write of the state succeeds.
struct PendingAcknowledgement: Equatable, Sendable {
    /// The number of the write.
    var write: Int
    /// Their state then.
    var state: ShareDeliveryState
}

/// What a member says of records that it has acquired, as the protocol numbers it.
enum ShareAcknowledgeType: Int8, Sendable, CaseIterable {
    /// There is no such record.
    case gap = 0
    /// It was processed.
    case accept = 1
    /// Somebody is to get it once more.
    case release = 2
    /// Nobody is to get it any more.
    case reject = 3
    /// It is still being processed (KIP-1222).
    case renew = 4
}

/// A member's word on a range of records.
struct ShareAcknowledgement: Equatable, Sendable {
    /// The first record.
    var first: Int64
    /// The last record, included.
    var last: Int64
    /// One for each record, or one for all.
    var types: [Int8]

    /// The ranges of the same type, in order; nil when the request makes no sense.
    func runs(allowsRenewal: Bool) -> [(first: Int64, last: Int64, type: ShareAcknowledgeType)]? {
        guard first >= 0, last >= first, last < .max, let one = types.first else { return nil }
        // A wrong count is looked for before anything is made for each record.
        guard types.count == 1 || Int64(types.count) == last - first + 1 else { return nil }
        func type(_ code: Int8) -> ShareAcknowledgeType? {
            let type = ShareAcknowledgeType(rawValue: code)
            return type == .renew && !allowsRenewal ? nil : type
        }
        if types.count == 1 { return type(one).map { [(first, last, $0)] } }
        var runs: [(first: Int64, last: Int64, type: ShareAcknowledgeType)] = []
        for (position, code) in types.enumerated() {
            guard let type = type(code) else { return nil }
            let offset = first + Int64(position)
            if runs.last?.type == type {
                runs[runs.count - 1].last = offset
            } else {
                runs.append((offset, offset, type))
            }
        }
        return runs
    }
}

/// Records that a member got.
struct AcquiredRange: Equatable, Sendable {
    /// The first record.
    var first: Int64
    /// The last record, included.
    var last: Int64
    /// How often they were delivered, this time included.
    var deliveryCount: Int16

    /// How many records there can be.
    var count: Int { Int(last - first) + 1 }
}

/// Where a batch of the log lies, and whether its records are for members at all.
struct BatchExtent: Equatable, Sendable {
    /// The offset of the first record.
    var first: Int64
    /// The offset of the last record, included.
    var last: Int64
    /// False for control batches, batches without records, and records of aborted transactions.
    var isDeliverable: Bool
}

/// What happened to records, for the metrics.
struct ShareTally: Equatable, Sendable {
    /// Deliveries.
    var acquired = 0
    /// Acknowledged with "accept", and stored.
    var accepted = 0
    /// Given back by members, and stored.
    var released = 0
    /// Acknowledged with "reject" or "gap", and stored.
    var rejected = 0
    /// Archived because they were delivered as often as allowed.
    var exhausted = 0
    /// Given back because the time of the lock was up.
    var expired = 0
}
