// SPDX-License-Identifier: Apache-2.0
//
// Entry.swift
// What the log consists of, and the position of one place in it.

public import Model

extension Raft {
    /// What an entry is for.
    ///
    /// Raw values are stable: shells write them to disk.
    public enum EntryKind: UInt8, Sendable {
        /// A payload of the application.
        case data = 0
        /// The empty entry a leader begins its term with.
        case noop = 1
        /// A membership.
        case configuration = 2
    }

    /// One entry of the log.
    ///
    /// The core reads everything except the payload.
    public struct Entry<Payload: Sendable>: Sendable {
        /// The entry's place in the log.
        public let index: LogIndex
        /// The term of the leader that created it.
        public let term: Term
        /// The size that limits and windows count; what it measures is up to the shell.
        ///
        /// 0 for no-ops and configurations.
        public let byteCount: Int
        /// What it says.
        public let body: Body

        /// The content of an entry.
        public enum Body: Sendable {
            /// The application's payload.
            case data(Payload)
            /// Nothing.
            case noop
            /// The membership in effect from this entry on.
            case configuration(Configuration)
        }

        /// Makes an entry, for instance one that was read back from storage.
        public init(index: LogIndex, term: Term, byteCount: Int, body: Body) {
            precondition(index > .zero && byteCount >= 0, "entry \(index) of \(byteCount) bytes")
            self.index = index
            self.term = term
            self.byteCount = byteCount
            self.body = body
        }

        /// What the entry is for.
        public var kind: EntryKind {
            switch body {
            case .data: .data
            case .noop: .noop
            case .configuration: .configuration
            }
        }

        /// The payload of a data entry, nil for the other kinds.
        public var payload: Payload? {
            guard case .data(let payload) = body else { return nil }
            return payload
        }
    }

    /// An index together with the term of the entry there.
    public struct Position: Hashable, Sendable, CustomStringConvertible {
        /// The index; 0 stands before the first entry.
        public let index: LogIndex
        /// The term of that entry; 0 at index 0.
        public let term: Term

        /// Names a place in the log.
        public init(index: LogIndex, term: Term) {
            self.index = index
            self.term = term
        }

        /// Before the first entry of any log.
        public static let zero = Position(index: .zero, term: .zero)

        /// Whether a log ending here contains everything committed that a log ending at `other` may contain (paper
        /// 3.6.1).
        public func isAtLeastAsUpToDate(as other: Position) -> Bool {
            term != other.term ? term > other.term : index >= other.index
        }

        /// `index/term`.
        public var description: String { "\(index)/\(term)" }
    }
}
