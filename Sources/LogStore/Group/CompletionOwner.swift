// SPDX-License-Identifier: Apache-2.0
//
// CompletionOwner.swift
// The event loop a log belongs to; the store's threads hand their completions to it in batches.

internal import Model
public import NIOCore

/// The event loop that owns logs.
///
/// Make one for each loop and share it between the loop's logs.
public final class CompletionOwner: Sendable {
    /// The loop that the logs are confined to.
    public let eventLoop: any EventLoop
    /// The frames that this loop's logs keep in memory, oldest first.
    let tails: NIOLoopBoundBox<TailLedger?>

    /// An owner for the logs of `eventLoop`.
    public init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        tails = .makeEmptyBox(valueType: TailLedger.self, eventLoop: eventLoop)
    }
}

/// A group as the store's threads know it: they report to it, and it reaches the log on its loop.
final class GroupHandle: Sendable {
    typealias Sink = (GroupEvent) -> Void

    let id: GroupID
    let owner: CompletionOwner
    private let sink: NIOLoopBoundBox<Sink?>

    init(id: GroupID, owner: CompletionOwner) {
        self.id = id
        self.owner = owner
        sink = .makeEmptyBox(valueType: Sink.self, eventLoop: owner.eventLoop)
    }

    /// Connects the log, on its loop; nil lets go of it.
    func attach(_ sink: Sink?) { self.sink.value = sink }

    /// Passes an event to the log, on its loop; lost when the log is closed.
    func deliver(_ event: GroupEvent) { sink.value?(event) }
}

/// What the store's threads tell a log.
enum GroupEvent: Sendable {
    /// Frames up to `index` are durable; `generation` is that of the last one.
    case flushed(LogIndex, Term, generation: Int)
    /// Frames up to `index` can be read from their segment.
    case applied(LogIndex, generation: Int)
    /// The hard state with this ticket is durable.
    case hardStatePersisted(ticket: UInt64)
    /// A payload came back from the codec thread.
    case encoded(EncodedPayload)
    /// A read has ended.
    case read(ticket: UInt64, ReadOutcome)
    /// Receiving a snapshot has come further.
    case staged(ticket: UInt64, StageOutcome)
    /// A pass of compaction has come further.
    case compaction(CompactionOrder, CompactionReport)
    /// The store failed.
    case failed(StoreError)
}

/// Events on their way to their loops; one wake for each loop.
struct Deliveries {
    private var batches: [(owner: CompletionOwner, events: [(handle: GroupHandle, event: GroupEvent)])] = []

    /// Adds an event for `handle`.
    mutating func add(_ event: GroupEvent, for handle: GroupHandle) {
        for position in batches.indices where batches[position].owner === handle.owner {
            batches[position].events.append((handle, event))
            return
        }
        batches.append((handle.owner, [(handle, event)]))
    }

    /// Hands everything over.
    mutating func send() {
        for (owner, events) in batches {
            owner.eventLoop.execute { for (handle, event) in events { handle.deliver(event) } }
        }
        batches.removeAll(keepingCapacity: true)
    }
}
