// SPDX-License-Identifier: Apache-2.0
//
// ConnectionInstance.swift
// The rules of one connection, as a pure value: which response may leave, whether more may be read, when it is given up.
// No sockets, no clock: bytes, completions and instants come in; the shell (ConnectionHandler) asks and acts.

import DequeModule
import KafkaProtocol
import Model

/// What one connection may ask for.
struct ConnectionLimits: Sendable {
    /// The rate that a request which takes longer than the timeout must keep.
    static let partialBytesPerSecondMin: Int64 = 16 << 10

    var requestsMax: Int
    var bytesMax: Int
    var idleMilliseconds: Int64
    var partialFrameMilliseconds: Int64
}

/// Why a connection's socket is not read and its requests are not begun.
struct PauseReasons: OptionSet, Sendable {
    let rawValue: UInt8
    /// Too many unanswered requests.
    static let requests = PauseReasons(rawValue: 1)
    /// Too many bytes of them.
    static let bytes = PauseReasons(rawValue: 2)
    /// Too many bytes of them on the whole broker.
    static let broker = PauseReasons(rawValue: 4)
    /// The client does not take its responses.
    static let responses = PauseReasons(rawValue: 8)
    /// The client is over its quota.
    static let throttle = PauseReasons(rawValue: 16)
    /// The server is stopping, or the connection is being closed.
    static let closing = PauseReasons(rawValue: 32)
}

/// Order and limits of one connection.
///
/// Invariants: responses leave in the order of requests; `inflightBytes` is the sum over the slots that are not complete;
/// with no slot in use neither `requests` nor `bytes` pauses the connection.
struct ConnectionInstance: Sendable {
    /// How a slot was answered.
    enum Outcome: Sendable {
        case response(ResponseBody)
        /// The request wants no answer.
        case nothing
        /// Nothing after this slot is answered.
        case close(String)
    }

    private struct Slot: Sendable {
        let byteCount: Int
        var outcome: Outcome?
    }

    private let limits: ConnectionLimits
    private var slots: Deque<Slot> = []
    private var firstSlot: UInt64 = 0
    private(set) var inflightBytes = 0
    private(set) var incomplete = 0
    private(set) var pauses: PauseReasons = []
    private var lastActivity: Instant
    private var partialSince: Instant?
    private var partialReceived: Int64 = 0

    init(limits: ConnectionLimits, now: Instant) {
        self.limits = limits
        self.lastActivity = now
    }

    /// Whether the next request may be begun, and the socket be read for more.
    var mayContinue: Bool { pauses.isEmpty }

    /// Whether every request was answered and every response handed out.
    var isQuiet: Bool { slots.isEmpty }

    // MARK: Requests and replies

    /// Gives a request its place in the order of responses.
    mutating func admit(byteCount: Int) -> UInt64 {
        slots.append(Slot(byteCount: byteCount))
        inflightBytes += byteCount
        incomplete += 1
        recomputeLimits()
        return firstSlot + UInt64(slots.count) - 1
    }

    /// Answers a slot; returns the bytes that are no longer in flight.
    mutating func complete(_ slot: UInt64, _ outcome: Outcome) -> Int {
        precondition(isWaiting(slot), "slot \(slot) was completed twice; the first is \(firstSlot)")
        let index = Int(slot - firstSlot)
        slots[index].outcome = outcome
        inflightBytes -= slots[index].byteCount
        incomplete -= 1
        recomputeLimits()
        return slots[index].byteCount
    }

    /// Whether `slot` has not been answered.
    func isWaiting(_ slot: UInt64) -> Bool {
        guard slot >= firstSlot, slot - firstSlot < UInt64(slots.count) else { return false }
        return slots[Int(slot - firstSlot)].outcome == nil
    }

    /// The outcome whose turn it is; nil while the first request is unanswered.
    mutating func nextOutcome() -> Outcome? {
        guard let outcome = slots.first?.outcome else { return nil }
        slots.removeFirst()
        firstSlot += 1
        recomputeLimits()
        return outcome
    }

    /// Forgets all slots, for the connection has gone; returns the bytes that are no longer in flight.
    mutating func abandon() -> Int {
        defer {
            firstSlot += UInt64(slots.count)
            slots.removeAll()
            inflightBytes = 0
            incomplete = 0
            pauses.insert(.closing)
        }
        return inflightBytes
    }

    // MARK: Pauses

    /// Stands still for `reason`; returns whether that is new.
    mutating func pause(_ reason: PauseReasons) -> Bool { pauses.insert(reason).inserted }

    /// The reason is gone.
    mutating func resume(_ reason: PauseReasons) { pauses.remove(reason) }

    private mutating func recomputeLimits() {
        if slots.count >= limits.requestsMax { pauses.insert(.requests) } else { pauses.remove(.requests) }
        // One request always fits, however large.
        if inflightBytes >= limits.bytesMax { pauses.insert(.bytes) } else { pauses.remove(.bytes) }
    }

    // MARK: Time

    /// Bytes came; `isPartial` says whether a request is incomplete after them.
    mutating func received(_ byteCount: Int, isPartial: Bool, at now: Instant) {
        lastActivity = now
        guard isPartial else {
            partialSince = nil
            return
        }
        if partialSince == nil {
            partialSince = now
            partialReceived = 0
        }
        partialReceived += Int64(byteCount)
    }

    /// The last response left.
    mutating func answered(at now: Instant) { lastActivity = now }

    /// A request became complete: whatever follows it starts anew.
    mutating func frameCompleted() { partialSince = nil }

    /// Why the connection is given up at `now`; nil when it is not.
    mutating func expired(at now: Instant) -> CloseReason? {
        if !mayContinue, partialSince != nil {
            // We do not read, so the client cannot deliver: its time begins again.
            partialSince = now
            partialReceived = 0
        }
        if let since = partialSince {
            let elapsed = now.milliseconds(since: since)
            let needed = elapsed * ConnectionLimits.partialBytesPerSecondMin / 1000
            return elapsed >= limits.partialFrameMilliseconds && partialReceived < needed ? .slowRequest : nil
        }
        guard isQuiet, now.milliseconds(since: lastActivity) >= limits.idleMilliseconds else { return nil }
        return .idle
    }
}

/// Why a connection ended.
enum CloseReason: String, CaseIterable, Sendable {
    /// The client closed it, or the network did.
    case peer
    /// Nothing happened for too long.
    case idle
    /// A request did not arrive in time.
    case slowRequest = "slow_request"
    /// A size that cannot be.
    case invalidFrame = "invalid_frame"
    /// The handler asked for it, or a header could not be read.
    case invalidRequest = "invalid_request"
    /// The server stops.
    case shutdown
}
