// SPDX-License-Identifier: Apache-2.0
//
// Message.swift
// What replicas of one group say to each other.

public import Model

extension Raft {
    /// A message between two replicas of a group.
    ///
    /// Shells add the group, and may coalesce heartbeats of many groups.
    ///
    /// Messages may be lost, repeated, delayed and reordered. All of them go through ``Instance/step(_:into:)``.
    public struct Message<Payload: Sendable>: Sendable {
        /// The sender.
        public let from: NodeID
        /// The receiver.
        public let to: NodeID
        /// The sender's term.
        ///
        /// For a pre-vote request, and for an answer that grants one, the term it would campaign in.
        public let term: Term
        /// What it says.
        public let body: Body

        /// The kinds of message.
        public enum Body: Sendable {
            /// Asks for a vote, or with `isPreVote` whether a vote would be given.
            case voteRequest(VoteRequest)
            /// Answers a vote request.
            case voteResponse(VoteResponse)
            /// The leader's entries, or none to probe or to move the commit index.
            case append(Append<Payload>)
            /// Answers appends, also later, when entries reached stable storage.
            case appendResponse(AppendResponse)
            /// The leader is alive.
            case heartbeat(Heartbeat)
            /// Answers a heartbeat.
            case heartbeatResponse(HeartbeatResponse)
            /// Offers a snapshot to a replica whose next entries are compacted.
            case snapshot(SnapshotInfo)
            /// Tells a voter to campaign at once (transfer of leadership).
            case campaignNow
        }

        /// Makes a message, for instance one that was decoded.
        public init(from: NodeID, to: NodeID, term: Term, body: Body) {
            self.from = from
            self.to = to
            self.term = term
            self.body = body
        }
    }

    /// A request for a vote.
    public struct VoteRequest: Hashable, Sendable {
        /// Whether only the outlook is asked for; nobody's term or vote changes.
        public let isPreVote: Bool
        /// Where the candidate's log ends.
        public let last: Position
        /// Whether the leader asked for this campaign, so that receivers need not protect it.
        public let isTransfer: Bool

        /// Makes a request.
        public init(isPreVote: Bool, last: Position, isTransfer: Bool) {
            self.isPreVote = isPreVote
            self.last = last
            self.isTransfer = isTransfer
        }
    }

    /// An answer to a request for a vote.
    public struct VoteResponse: Hashable, Sendable {
        /// Whether the request was for a pre-vote.
        public let isPreVote: Bool
        /// Whether the vote is given.
        public let isGranted: Bool

        /// Makes an answer.
        public init(isPreVote: Bool, isGranted: Bool) {
            self.isPreVote = isPreVote
            self.isGranted = isGranted
        }
    }

    /// Entries that follow `previous`, and how far the log is committed.
    public struct Append<Payload: Sendable>: Sendable {
        /// The entry before the first one sent; the receiver must have it.
        public let previous: Position
        /// Consecutive entries from `previous.index + 1` on; may be empty.
        public let entries: [Entry<Payload>]
        /// The leader's commit index.
        public let committed: LogIndex
        /// The session of the peer, as the leader numbers them; answers carry it back.
        public let session: UInt64

        /// Makes an append.
        public init(previous: Position, entries: [Entry<Payload>], committed: LogIndex, session: UInt64) {
            self.previous = previous
            self.entries = entries
            self.committed = committed
            self.session = session
        }
    }

    /// How far a follower's log equals the leader's.
    public struct AppendResponse: Hashable, Sendable {
        /// The last entry it has in common with the leader.
        public let appended: LogIndex
        /// The last of those on stable storage; `flushed <= appended`.
        public let flushed: LogIndex
        /// Set when an append did not fit.
        public let rejection: Rejection?
        /// Whether the sender may count in quorums; false for an amnesiac.
        public let isTrusted: Bool
        /// The session in which the leader last spoke.
        public let session: UInt64

        /// Why an append did not fit, with a hint where to try next.
        public struct Rejection: Hashable, Sendable {
            /// The `previous.index` of the append.
            public let previous: LogIndex
            /// The latest place where the follower's log may equal the leader's.
            public let hint: Position

            /// Makes a rejection.
            public init(previous: LogIndex, hint: Position) {
                self.previous = previous
                self.hint = hint
            }
        }

        /// Makes an answer.
        public init(
            appended: LogIndex, flushed: LogIndex, rejection: Rejection? = nil, isTrusted: Bool, session: UInt64
        ) {
            self.appended = appended
            self.flushed = flushed
            self.rejection = rejection
            self.isTrusted = isTrusted
            self.session = session
        }
    }

    /// A sign of life from the leader.
    public struct Heartbeat: Hashable, Sendable {
        /// A commit index the receiver may use: never above what it has confirmed.
        public let committed: LogIndex
        /// Counts up with every leadership check; answered as it is.
        public let round: UInt64
        /// The session of the peer, as the leader numbers them; answers carry it back.
        public let session: UInt64

        /// Makes a heartbeat.
        public init(committed: LogIndex, round: UInt64, session: UInt64) {
            self.committed = committed
            self.round = round
            self.session = session
        }
    }

    /// An answer to a heartbeat.
    public struct HeartbeatResponse: Hashable, Sendable {
        /// The round of the heartbeat.
        public let round: UInt64
        /// Whether the sender may count in quorums.
        public let isTrusted: Bool
        /// The session in which the leader last spoke.
        public let session: UInt64

        /// Makes an answer.
        public init(round: UInt64, isTrusted: Bool, session: UInt64) {
            self.round = round
            self.isTrusted = isTrusted
            self.session = session
        }
    }

    /// What a snapshot stands for.
    ///
    /// Its content is the shell's: a manifest of files, pulled by range.
    public struct SnapshotInfo: Hashable, Sendable {
        /// The last entry it replaces.
        public let position: Position
        /// The configuration in effect there.
        public let configuration: Configuration

        /// Describes a snapshot.
        public init(position: Position, configuration: Configuration) {
            self.position = position
            self.configuration = configuration
        }
    }
}
