// SPDX-License-Identifier: Apache-2.0
//
// PeerMessage.swift
// What the replicas of a group on two brokers say to each other; who speaks to whom, the connection says.

public import LogStore
public import Model
public import Raft

/// A message between the replicas of one group on two brokers.
///
/// May be lost, repeated, delayed and reordered; Raft lives with all of it.
public struct PeerMessage: Sendable {
    /// The group both replicas belong to.
    public let group: GroupID
    /// The sender's term, as `Raft.Message` means it.
    public let term: Term
    /// What it says.
    public let body: Body

    /// The kinds of message.
    public enum Body: Sendable {
        /// Asks for a vote, or for the outlook of one.
        case voteRequest(Raft.VoteRequest)
        /// Answers a vote request.
        case voteResponse(Raft.VoteResponse)
        /// The leader's entries as they are stored.
        case append(PeerAppend)
        /// Answers appends.
        case appendResponse(Raft.AppendResponse)
        /// The leader is alive. Travels in a vector with those of other groups.
        case heartbeat(Raft.Heartbeat)
        /// Answers a heartbeat, in a vector too.
        case heartbeatResponse(Raft.HeartbeatResponse)
        /// Offers a snapshot.
        case snapshot(Raft.SnapshotInfo)
        /// Tells a voter to campaign at once.
        case campaignNow
    }

    /// Makes a message.
    public init(group: GroupID, term: Term, body: Body) {
        self.group = group
        self.term = term
        self.body = body
    }
}

/// Entries on their way to a follower: the leader's stored bytes, never compressed anew.
public struct PeerAppend: Sendable {
    /// The entry before the first one sent.
    public let previous: Raft.Position
    /// The leader's commit index.
    public let committed: LogIndex
    /// The session of the peer, as the leader numbers them.
    public let session: UInt64
    /// Consecutive entries from `previous.index + 1` on; may be empty.
    public let entries: [StoredEntry]

    /// Makes an append.
    public init(previous: Raft.Position, committed: LogIndex, session: UInt64, entries: [StoredEntry]) {
        self.previous = previous
        self.committed = committed
        self.session = session
        self.entries = entries
    }
}

/// Who leads a group, as the sender knows it.
public struct GroupLeader: Sendable, Hashable {
    /// The group.
    public let group: GroupID
    /// The term; what is known of a higher one wins.
    public let term: Term
    /// The leader of that term; nil when there is none any more.
    public let leader: NodeID?

    /// States who leads.
    public init(group: GroupID, term: Term, leader: NodeID?) {
        self.group = group
        self.term = term
        self.leader = leader
    }
}
