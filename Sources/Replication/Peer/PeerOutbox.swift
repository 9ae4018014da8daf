// SPDX-License-Identifier: Apache-2.0
//
// PeerOutbox.swift
// What waits to be sent on one lane to one peer, and how much of it there may be: a pure value.

internal import Model
internal import NIOCore

/// What was handed in and not yet written to the network.
///
/// Invariant: `byteCount` is what waits here and what was taken and is not yet reported as sent.
struct PeerOutbox: Sendable {
    /// One thing to send.
    enum Item: Sendable {
        /// Messages, none of them a heartbeat.
        case messages([PeerMessage])
        /// The heartbeats of one host.
        case heartbeats(HeartbeatVector.Kind, [HeartbeatRow])
        /// Those of its groups that rest.
        case roster(HeartbeatRoster)
        case leaders([GroupLeader])
        case call(PeerCall)
    }

    /// Why something was not taken.
    enum Refusal: Sendable, CaseIterable {
        /// There is no connection.
        case disconnected
        /// Too much waits already.
        case full
        /// No frame is that large.
        case tooLarge
    }

    /// What an offer came to.
    struct Verdict: Sendable, Equatable {
        /// Whether the lane must be woken.
        var wakes = false
        /// How many messages were dropped, and why.
        var dropped = 0
        var refusal: Refusal?
    }

    private let bytesMax: Int
    private let messageBytesMax: Int
    /// Whether there is a connection to send on.
    private(set) var isOpen = false
    private(set) var byteCount = 0
    private var items: [Item] = []

    /// Takes up to `bytesMax`, and one message of up to `messageBytesMax` in any case.
    init(bytesMax: Int, messageBytesMax: Int = .max) {
        self.bytesMax = bytesMax
        self.messageBytesMax = messageBytesMax
    }

    /// There is a connection.
    mutating func open() { isOpen = true }

    /// There is none any more: returns the calls that nobody will carry out.
    mutating func close() -> [PeerCall] {
        isOpen = false
        byteCount = 0
        let waiting = take()
        return waiting.compactMap { if case .call(let call) = $0 { call } else { nil } }
    }

    /// Takes what fits of `messages`; the order is kept, and what does not fit is dropped.
    mutating func offer(_ messages: [PeerMessage]) -> Verdict {
        guard isOpen else { return Verdict(dropped: messages.count, refusal: .disconnected) }
        var taken = 0
        var refusal: Refusal?
        while taken < messages.count, refusal == nil {
            let bytes = messages[taken].wireBytes
            refusal = bytes > messageBytesMax ? .tooLarge : reserve(bytes) ? nil : .full
            if refusal == nil { taken += 1 }
        }
        let dropped = messages.count - taken
        guard taken > 0 else { return Verdict(dropped: dropped, refusal: refusal) }
        let wakes = add(.messages(dropped == 0 ? messages : Array(messages[..<taken])))
        return Verdict(wakes: wakes, dropped: dropped, refusal: refusal)
    }

    /// Takes the heartbeats of one host, all or none.
    mutating func offer(_ kind: HeartbeatVector.Kind, _ rows: [HeartbeatRow]) -> Verdict {
        offer(.heartbeats(kind, rows), messages: rows.count)
    }

    /// Takes the heartbeats of groups that rest, all or none.
    mutating func offer(_ roster: HeartbeatRoster) -> Verdict { offer(.roster(roster), messages: roster.rows.count) }

    /// Takes word of who leads.
    mutating func offer(_ leaders: [GroupLeader]) -> Verdict {
        offer(.leaders(leaders), messages: 1)
    }

    /// Takes a request.
    mutating func offer(_ call: PeerCall) -> Verdict { offer(.call(call), messages: 1) }

    /// Takes everything that waits; its bytes count until they are ``sent(_:)``.
    mutating func take() -> [Item] {
        defer { items = [] }
        return items
    }

    /// So many bytes of what was taken have left, or will not.
    mutating func sent(_ bytes: Int) { byteCount = max(0, byteCount - bytes) }

    private mutating func offer(_ item: Item, messages: Int) -> Verdict {
        guard isOpen else { return Verdict(dropped: messages, refusal: .disconnected) }
        guard reserve(item.byteCount) else { return Verdict(dropped: messages, refusal: .full) }
        return Verdict(wakes: add(item))
    }

    /// One item of any size is always taken.
    private mutating func reserve(_ bytes: Int) -> Bool {
        guard byteCount == 0 || bytes <= bytesMax - byteCount else { return false }
        byteCount += bytes
        return true
    }

    /// Returns whether this is the first item.
    private mutating func add(_ item: Item) -> Bool {
        items.append(item)
        return items.count == 1
    }
}

extension PeerOutbox.Item {
    /// The bytes it counts with: about what it takes on the wire.
    var byteCount: Int {
        switch self {
        case .messages(let messages): messages.reduce(0) { $0 + $1.wireBytes }
        case .heartbeats(_, let rows): rows.count * 16
        case .roster(let roster): roster.rows.count * 16
        case .leaders(let leaders): leaders.count * 20
        case .call(let call): call.body.readableBytes + PeerSession.frameOverhead
        }
    }
}

/// A request on its way, with where its answer goes.
struct PeerCall: Sendable {
    var type: PeerRequestType
    var body: ByteBuffer
    var timeout: Duration
    var then: @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
}
