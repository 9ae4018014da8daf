// SPDX-License-Identifier: Apache-2.0
//
// HardState.swift
// What a replica must never forget, and everything a restart gives back to the core.

public import Model

extension Raft {
    /// The term and the vote in it: durable before any message reveals them.
    public struct HardState: Hashable, Sendable, CustomStringConvertible {
        /// The latest term this replica has seen.
        ///
        /// Never goes back.
        public var term: Term
        /// Whom it voted for in that term, or followed as its leader without having voted.
        ///
        /// Never changes within a term once set. Following counts, because the leader of a term is the only one that a
        /// late vote could harmlessly go to: a replica that lost its disk and started anew cannot vote against it.
        public var votedFor: NodeID?

        /// Makes a hard state; the default is that of a replica that has seen nothing.
        public init(term: Term = .zero, votedFor: NodeID? = nil) {
            self.term = term
            self.votedFor = votedFor
        }

        /// `term 3, vote 1`.
        public var description: String { "term \(term), vote \(votedFor.map(\.description) ?? "-")" }
    }

    /// How far a replica's storage can be trusted.
    ///
    /// The shell keeps it durable and passes it to `init`.
    public enum Standing: Hashable, Sendable, CustomStringConvertible {
        /// Nothing is wrong.
        case sound
        /// Entries at or above this index are damaged.
        ///
        /// The replica may vote, because its hard state and the shape of its log are known, but it never leads and
        /// acknowledges nothing from here on until the shell repaired them, or cut them because the core said so, and
        /// called ``Instance/setStanding(_:into:)``.
        case corrupt(from: LogIndex)
        /// The hard state is lost: earlier votes and acknowledgements are forgotten.
        ///
        /// The replica neither votes nor leads nor counts in any quorum. It heals by leaving: once a configuration in
        /// which it does not vote is committed (``Directive/configurationCommitted(_:at:)`` on the leader), it may
        /// start anew, empty and sound, at that floor (``DurableState/floor``), and be added again.
        case amnesiac

        /// A word for transcripts and logs.
        public var description: String {
            switch self {
            case .sound: "sound"
            case .corrupt(let from): "corrupt from \(from)"
            case .amnesiac: "amnesiac"
            }
        }
    }

    /// The first index of a run of entries with one term.
    public struct TermStart: Hashable, Sendable {
        /// The term of the run.
        public let term: Term
        /// The run's first entry.
        public let start: LogIndex

        /// Names a run; it ends before the next run's start or at the end of the log.
        public init(term: Term, start: LogIndex) {
            self.term = term
            self.start = start
        }
    }

    /// What storage holds of one replica when it starts.
    public struct DurableState: Sendable {
        /// Term and vote.
        public var hardState: HardState
        /// The place before the first entry kept; entries up to it are compacted.
        public var base: Position
        /// The last entry recovered, `base.index` when there is none.
        public var lastIndex: LogIndex
        /// The runs of terms in `(base.index, lastIndex]`, ascending in both fields.
        public var termStarts: [TermStart]
        /// An index known to be committed (applied, or a stored high watermark's); `base.index` when nothing is known.
        public var committed: LogIndex
        /// The configuration in effect at `base.index`, then those of the entries above it.
        public var configurations: ConfigurationHistory
        /// Whether storage may be trusted.
        public var standing: Standing
        /// Where a replica begins that may have been a member before and forgot it: the newest change of members known to
        /// be complete when it was made, by the index of its entry and the term of the leader that committed it.
        ///
        /// Durable before the replica is started for the first time, the same ever after, and at or behind the change
        /// that ended the earlier membership. Nil for founders, who have nothing to forget.
        public var floor: Position?

        /// Collects what was recovered.
        public init(
            hardState: HardState, base: Position, lastIndex: LogIndex, termStarts: [TermStart], committed: LogIndex,
            configurations: ConfigurationHistory, standing: Standing = .sound, floor: Position? = nil
        ) {
            self.hardState = hardState
            self.base = base
            self.lastIndex = lastIndex
            self.termStarts = termStarts
            self.committed = committed
            self.configurations = configurations
            self.standing = standing
            self.floor = floor
        }

        /// The state of a replica that starts for the first time in a group with these members.
        ///
        /// All founding members must be given the same configuration. A replica that joins later starts with the empty
        /// one, and at a ``floor``.
        public static func empty(_ configuration: Configuration, floor: Position? = nil) -> DurableState {
            DurableState(
                hardState: HardState(), base: .zero, lastIndex: .zero, termStarts: [], committed: .zero,
                configurations: ConfigurationHistory(initial: configuration), floor: floor)
        }
    }
}
