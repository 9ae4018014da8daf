// SPDX-License-Identifier: Apache-2.0
//
// GroupHost.swift
// The replicas of one event loop: gives them time, brings them messages, and sends what they say in few large calls.

public import Logging
public import Model
public import NIOCore
internal import Raft
internal import Telemetry

/// The replicas of one event loop.
///
/// One timer for all: a follower is looked at when an election could be due, a leader when heartbeats are, a replica
/// without peers never. What replicas say during one turn of the loop goes to each peer in one call. Leaders that rest say
/// nothing themselves: the host says it for all of them, see ``HostRest``.
///
/// Confined to its loop. Keep it, and call ``stop()``.
public final class GroupHost {
    /// The broker.
    public let node: NodeID
    /// The loop that everything here is confined to.
    public let loop: any EventLoop
    /// The times and limits.
    public let settings: GroupHostSettings
    /// What is counted.
    public let metrics: GroupHostMetrics
    /// Bounds the recoveries of all loops.
    public let governor: RecoveryGovernor

    let link: (any PeerLink)?
    let logger: Logger
    /// What is said for groups that rest, and what was heard of others'.
    var rest = HostRest()
    /// Ticks since the start.
    private(set) var now: UInt64 = 1
    private var slots: [Slot] = []
    private var places: [GroupID: Int] = [:]
    private var outboxes: [Outbox] = []
    private var departed: [NodeID] = []
    private var isFlushDue = false
    private var isWorking = false
    private var timer: RepeatedTask?

    /// A replica and when it needs time.
    private struct Slot {
        let group: ReplicaGroup
        var due: UInt64
    }

    private struct Outbox {
        let peer: NodeID
        var messages: [PeerMessage]
    }

    /// A host without replicas; without a link they must be alone in their groups.
    public init(
        node: NodeID, loop: any EventLoop, link: (any PeerLink)?, settings: GroupHostSettings = GroupHostSettings(),
        governor: RecoveryGovernor = RecoveryGovernor(), metrics: GroupHostMetrics = GroupHostMetrics(), logger: Logger
    ) {
        self.node = node
        self.loop = loop
        self.link = link
        self.settings = settings
        self.governor = governor
        self.metrics = metrics
        self.logger = logger
    }

    deinit { for slot in slots { slot.group.host = nil } }

    /// Begins to count time; tests call ``tick()`` themselves instead.
    public func start() {
        guard timer == nil, link != nil else { return }
        let interval = TimeAmount.milliseconds(Int64(settings.tickMilliseconds))
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in bound.value.tick() }
    }

    /// Lets go of all replicas, each of which is stopped by its owner.
    public func stop() {
        timer?.cancel()
        timer = nil
        for slot in slots { slot.group.host = nil }
        slots = []
        places = [:]
        outboxes = []
        rest = HostRest()
        metrics.groups.set(0)
    }

    // MARK: Replicas

    /// Takes in a replica, before it is started.
    public func add(_ group: ReplicaGroup) {
        loop.preconditionInEventLoop()
        precondition(places[group.id] == nil, "\(group.id) is here already")
        precondition(group.node == node, "\(group.id) is a replica of node \(group.node), this is \(node)")
        group.host = self
        group.place = slots.count
        group.tickedThrough = now
        group.heardAt = now
        places[group.id] = slots.count
        slots.append(Slot(group: group, due: group.hasPeers ? now + 1 : .max))
        metrics.groups.set(slots.count)
    }

    /// Lets go of a replica; nothing happens when it is not here.
    public func remove(_ id: GroupID) {
        guard let place = places.removeValue(forKey: id) else { return }
        slots[place].group.stir()
        slots[place].group.host = nil
        let last = slots.removeLast()
        if place < slots.count {
            slots[place] = last
            last.group.place = place
            places[last.group.id] = place
        }
        metrics.groups.set(slots.count)
    }

    /// The replica of a group; nil when it is not on this loop.
    public func group(_ id: GroupID) -> ReplicaGroup? { places[id].map { slots[$0].group } }

    /// All replicas, in an order that changes only when one leaves.
    var groups: some Sequence<ReplicaGroup> { slots.lazy.map(\.group) }

    /// How many replicas there are.
    public var count: Int { slots.count }

    /// Has a replica looked at with the next tick, because its role changed.
    func wake(_ group: ReplicaGroup) {
        slots[group.place].due = group.hasPeers ? min(slots[group.place].due, now + 1) : .max
    }

    /// A replica got peers, or lost them.
    func configured(_ group: ReplicaGroup) {
        let isTicked = slots[group.place].due != .max
        guard group.hasPeers != isTicked else { return }
        group.tickedThrough = now
        group.heardAt = now
        slots[group.place].due = group.hasPeers ? now + 1 : .max
    }

    // MARK: Messages and time

    /// Messages of `peer` for replicas of this loop.
    public func receive(_ messages: [PeerMessage], from peer: NodeID) {
        loop.preconditionInEventLoop()
        metrics.received.increment(by: messages.count)
        work {
            for message in messages {
                if let place = places[message.group] {
                    slots[place].group.receive(message, from: peer)
                } else {
                    metrics.unrouted.increment()
                }
            }
        }
    }

    /// The connection to `peer` was lost: the replicas that follow it need not wait for it as long.
    ///
    /// They are told with the next tick, after what the peer said before, which may come through other connections.
    ///
    /// - Cost: one look at each replica.
    public func disconnected(from peer: NodeID) {
        loop.preconditionInEventLoop()
        if !departed.contains(peer) { departed.append(peer) }
    }

    /// Answers a peer that fetches a snapshot.
    func serve(_ request: SnapshotRequest, answer: @escaping (Result<ByteBuffer, PeerCallError>) -> Void) {
        guard let group = group(request.group) else { return answer(.failure(.failed("the group is not here"))) }
        group.serveSnapshot(request, answer: answer)
    }

    /// One unit of time has passed.
    public func tick() {
        loop.preconditionInEventLoop()
        work {
            now += 1
            if now.isMultiple(of: UInt64(settings.raft.heartbeatTicks)) { sendRosters() }
            var place = 0
            // Replicas may leave while others are given time.
            while place < slots.count && !departed.isEmpty {
                for peer in departed { slots[place].group.disconnected(from: peer) }
                place += 1
            }
            departed = []
            place = 0
            while place < slots.count {
                if slots[place].due <= now {
                    let group = slots[place].group
                    let due = group.tick(now)
                    if place < slots.count, slots[place].group === group { slots[place].due = due }
                }
                place += 1
            }
            governor.refill()
        }
    }

    /// Runs `body`, and sends what came of it.
    func work(_ body: () -> Void) {
        let isOuter = !isWorking
        isWorking = true
        body()
        guard isOuter else { return }
        isWorking = false
        flush()
    }

    /// Takes a message for `peer`, to leave at the end of the loop's turn.
    func post(_ message: PeerMessage, to peer: NodeID) {
        if let place = outboxes.firstIndex(where: { $0.peer == peer }) {
            outboxes[place].messages.append(message)
        } else {
            outboxes.append(Outbox(peer: peer, messages: [message]))
        }
        guard !isWorking, !isFlushDue else { return }
        isFlushDue = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute { bound.value.flush() }
    }

    private func flush() {
        isFlushDue = false
        for place in outboxes.indices where !outboxes[place].messages.isEmpty {
            let messages = outboxes[place].messages
            outboxes[place].messages.removeAll(keepingCapacity: true)
            metrics.sent.increment(by: messages.count)
            link?.send(messages, to: outboxes[place].peer)
        }
    }
}
