// SPDX-License-Identifier: Apache-2.0
//
// FetchSessionPartitions.swift
// The partitions of a fetch session, in the order in which they are read.

import KafkaProtocol
import Model

/// How a session tells its partitions apart: by the topic's name, or by its id from Fetch version 13 on.
struct FetchSessionKey: Hashable, Sendable {
    var name: String
    var topicID: TopicID
    var index: Int32
}

/// What a session remembers of a partition: what the client asked, and what it was told last.
struct FetchSessionPartition: Sendable {
    let key: FetchSessionKey
    /// The client's latest word.
    var request: FetchRequest.Partition
    /// -1 when the client has to be told whatever it is.
    private(set) var highWatermark: Int64 = -1
    private(set) var logStartOffset: Int64 = -1

    init(key: FetchSessionKey, request: FetchRequest.Partition) {
        self.key = key
        self.request = request
    }

    /// Takes what was read; returns whether the client has to be told.
    ///
    /// Behind an error, and behind records that the client is to drop, the next answer holds the partition again: it has
    /// to learn that all is well.
    mutating func take(_ result: FetchResult) -> Bool {
        let isNews =
            result.byteCount > 0 || result.isUrgent || result.highWatermark != highWatermark
            || result.logStartOffset != logStartOffset
        let isSettled = result.error == .none && result.divergingEpoch == nil
        highWatermark = isSettled ? result.highWatermark : -1
        logStartOffset = result.logStartOffset
        return isNews
    }
}

/// Partitions in the order in which they are read.
///
/// Each is found, added, removed and moved to the end at a constant cost. Its place stays the same as long as it is here.
///
/// Invariant: the slots that are linked from the first on, which is nobody's, form a ring with as many others as `places`
/// has entries.
struct FetchSessionPartitions: Sendable {
    private struct Slot {
        var partition: FetchSessionPartition?
        var next: Int
        var previous: Int
    }

    private var slots = [Slot(partition: nil, next: 0, previous: 0)]
    private var places: [FetchSessionKey: Int] = [:]
    private var free: [Int] = []

    var count: Int { places.count }

    /// The place of a partition; nil when it is not here.
    func place(of key: FetchSessionKey) -> Int? { places[key] }

    /// The partition at a place that is taken.
    subscript(place: Int) -> FetchSessionPartition {
        get {
            guard let partition = slots[place].partition else { preconditionFailure("place \(place) is free") }
            return partition
        }
        set { slots[place].partition = newValue }
    }

    /// The places that are taken, in order.
    var order: [Int] {
        var order: [Int] = []
        order.reserveCapacity(count)
        var place = slots[0].next
        while place != 0 {
            order.append(place)
            place = slots[place].next
        }
        return order
    }

    /// Adds a partition at the end, or takes over what the client says of one that is here.
    mutating func update(_ key: FetchSessionKey, _ request: FetchRequest.Partition) {
        if let place = places[key] {
            slots[place].partition?.request = request
            return
        }
        let partition = FetchSessionPartition(key: key, request: request)
        let place: Int
        if let reused = free.popLast() {
            place = reused
            slots[place].partition = partition
        } else {
            place = slots.count
            slots.append(Slot(partition: partition, next: 0, previous: 0))
        }
        places[key] = place
        link(place)
    }

    /// Forgets a partition, if it is here.
    mutating func remove(_ key: FetchSessionKey) {
        guard let place = places.removeValue(forKey: key) else { return }
        unlink(place)
        slots[place].partition = nil
        free.append(place)
    }

    mutating func moveToEnd(_ place: Int) {
        unlink(place)
        link(place)
    }

    private mutating func link(_ place: Int) {
        let last = slots[0].previous
        slots[place].previous = last
        slots[place].next = 0
        slots[last].next = place
        slots[0].previous = place
    }

    private mutating func unlink(_ place: Int) {
        let (next, previous) = (slots[place].next, slots[place].previous)
        slots[previous].next = next
        slots[next].previous = previous
    }
}
