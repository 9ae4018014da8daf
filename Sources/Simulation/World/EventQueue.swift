// SPDX-License-Identifier: Apache-2.0
//
// EventQueue.swift
// What happens next: events by time, and in the order they were added when times are equal.

internal import LogStore
internal import Model
internal import Raft

/// A message under way.
struct Packet {
    let group: Int
    let message: Message
}

/// Something that happens at a time.
///
/// Events of a process carry its `life`, so that they die with it.
enum Event {
    case tick(node: Int, life: Int)
    case deliver(Packet)
    case flushed(node: Int, life: Int)
    case reports(node: Int, life: Int, [Report])
    case apply(node: Int, life: Int)
    case checkpointed(node: Int, life: Int)
    case load(node: Int, life: Int, group: Int, Raft.EntriesRequest)
    case provide(node: Int, life: Int, group: Int, peer: NodeID)
    case fetched(node: Int, life: Int, group: Int, Raft.SnapshotInfo, from: NodeID)
    case pull(node: Int, life: Int, group: Int, SnapshotPull)
    case repair(node: Int, life: Int)
    case work(node: Int, life: Int, StoreSteps.Worker)
    case turn(node: Int, life: Int)
    case restart(node: Int)
    case hunted(node: Int, life: Int)
    case disconnected(node: Int, life: Int, from: NodeID)
    case fault
    case operation
    case heal

    /// The process it happens to, and the life it belongs to.
    var process: (node: Int, life: Int)? {
        switch self {
        case .tick(let node, let life), .flushed(let node, let life), .reports(let node, let life, _),
            .apply(let node, let life), .checkpointed(let node, let life), .load(let node, let life, _, _),
            .provide(let node, let life, _, _), .fetched(let node, let life, _, _, _), .pull(let node, let life, _, _),
            .repair(let node, let life), .hunted(let node, let life), .disconnected(let node, let life, _),
            .work(let node, let life, _), .turn(let node, let life):
            (node, life)
        case .deliver, .restart, .fault, .operation, .heal: nil
        }
    }
}

/// A binary heap of times over a slab of events.
struct EventQueue {
    private struct Key {
        let time: Int
        let order: UInt64
        let slot: Int

        static func < (a: Key, b: Key) -> Bool { a.time != b.time ? a.time < b.time : a.order < b.order }
    }

    private var heap: [Key] = []
    private var slab: [Event?] = []
    private var free: [Int] = []
    private var added: UInt64 = 0

    /// Events to come.
    var count: Int { heap.count }

    /// Adds an event.
    mutating func add(_ event: Event, at time: Int) {
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            slab[slot] = event
        } else {
            slot = slab.count
            slab.append(event)
        }
        added += 1
        heap.append(Key(time: time, order: added, slot: slot))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child] < heap[parent] else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Removes the earliest event.
    mutating func next() -> (time: Int, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        guard let event = slab[first.slot].take() else { preconditionFailure("slot \(first.slot) is empty") }
        free.append(first.slot)
        return (first.time, event)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
