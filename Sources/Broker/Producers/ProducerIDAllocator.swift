// SPDX-License-Identifier: Apache-2.0
//
// ProducerIDAllocator.swift
// Hands out producer ids from blocks that the controller grants, so that InitProducerId rarely waits for it.

import Model

/// A range of producer ids that belongs to one broker; what it does not use is lost.
struct ProducerIDBlock: Hashable, Sendable {
    /// How many ids a block has.
    static let size: Int64 = 1_000
    /// The first id.
    var first: Int64
    /// How many ids.
    var count: Int64 = size
}

/// The producer ids a broker may hand out.
///
/// The next block is asked for while a tenth of the present one is left. Ids never repeat: not even after a restart,
/// because a restarted broker begins with a new block.
struct ProducerIDAllocator: Sendable {
    private var next: Int64 = 0
    private var end: Int64 = 0
    private var reserve: ProducerIDBlock?
    private var isRequestInFlight = false

    /// An allocator without a block.
    init() {}

    /// How many ids can be handed out without the controller.
    var available: Int64 { end - next + (reserve?.count ?? 0) }

    /// The next id; nil when none is left, and then the request waits for `granted`.
    mutating func take() -> ProducerID? {
        if next == end, let block = reserve {
            reserve = nil
            next = block.first
            end = block.first + block.count
        }
        guard next < end else { return nil }
        defer { next += 1 }
        return ProducerID(rawValue: next)
    }

    /// True once whenever a block should be asked for; then again after `granted` or `requestFailed`.
    mutating func shouldRequestBlock() -> Bool {
        guard !isRequestInFlight, reserve == nil, end - next <= ProducerIDBlock.size / 10 else { return false }
        isRequestInFlight = true
        return true
    }

    /// The controller granted a block.
    mutating func granted(_ block: ProducerIDBlock) {
        precondition(block.first >= 0 && block.count > 0, "a block of \(block.count) ids from \(block.first)")
        precondition(reserve == nil, "a block was granted that nobody asked for")
        isRequestInFlight = false
        reserve = block
    }

    /// The controller could not be reached; it may be asked again.
    mutating func requestFailed() { isRequestInFlight = false }
}
