// SPDX-License-Identifier: Apache-2.0
//
// Inflights.swift
// The window of append messages that a peer has not confirmed yet.

internal import DequeModule
internal import Model

extension Raft {
    /// Append messages in flight to one peer, limited in number and in bytes.
    ///
    /// Invariants: `count <= messagesMax`; `bytes` is the sum over the messages held, so 0 when there are none; last
    /// indexes ascend.
    struct Inflights: Sendable {
        private var messages: Deque<Sent> = []
        private let messagesMax: Int
        private let bytesMax: Int
        /// Payload bytes in flight.
        private(set) var bytes = 0

        private struct Sent: Sendable {
            let last: LogIndex
            let bytes: Int
        }

        /// An empty window.
        init(messagesMax: Int, bytesMax: Int) {
            self.messagesMax = messagesMax
            self.bytesMax = bytesMax
        }

        /// Messages in flight.
        var count: Int { messages.count }

        /// Whether no further message may be sent.
        ///
        /// A single message passes whatever its size.
        var isFull: Bool { messages.count >= messagesMax || bytes >= bytesMax }

        /// Records a message whose last entry is `last`.
        mutating func add(last: LogIndex, bytes added: Int) {
            precondition(!isFull, "append beyond the window: \(count) messages, \(bytes) bytes")
            if let newest = messages.last { precondition(newest.last < last, "in flight \(newest.last), then \(last)") }
            messages.append(Sent(last: last, bytes: added))
            bytes += added
        }

        /// Forgets the messages whose entries are all confirmed.
        mutating func free(through index: LogIndex) {
            while let oldest = messages.first, oldest.last <= index {
                messages.removeFirst()
                bytes -= oldest.bytes
            }
            precondition(bytes >= 0 && (bytes == 0 || !messages.isEmpty), "leaked \(bytes) bytes in flight")
        }

        /// Forgets everything.
        mutating func reset() {
            messages.removeAll(keepingCapacity: true)
            bytes = 0
        }
    }
}
