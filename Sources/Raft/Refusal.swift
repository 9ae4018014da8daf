// SPDX-License-Identifier: Apache-2.0
//
// Refusal.swift
// Why a request to the core was not accepted; nothing has changed when one is thrown.

public import Model

extension Raft {
    /// Why a proposal, a read, a transfer or a membership change was refused.
    ///
    /// The instance is unchanged.
    public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        /// This replica does not lead; the leader it knows of, if any.
        case notLeader(leader: NodeID?)
        /// Too many proposed bytes wait for commit; try again when some have committed.
        case uncommittedBytes(waiting: Int, limit: Int)
        /// Leadership is being handed over.
        case transferInProgress(to: NodeID)
        /// The leader has not yet committed an entry of its own term.
        case termNotConfirmed
        /// Too many reads wait for a leadership check.
        case tooManyReads(limit: Int)
        /// A membership change has not finished.
        case changeInProgress
        /// No membership change is under way that could be taken back.
        case nothingToCancel
        /// The requested membership is impossible; the text says why.
        case invalidMembership(String)
        /// New voters that are no learners yet or are too far behind.
        case laggingVoters([NodeID])
        /// The target of a transfer cannot lead: no voter, not trusted, or this replica itself.
        case unfitTarget(NodeID)

        /// A sentence for operators.
        public var description: String {
            switch self {
            case .notLeader(let leader): "not the leader; known leader: \(leader.map(\.description) ?? "none")"
            case .uncommittedBytes(let waiting, let limit): "\(waiting) bytes wait for commit, the limit is \(limit)"
            case .transferInProgress(let target): "leadership is being transferred to \(target)"
            case .termNotConfirmed: "the leader has not committed an entry of its term yet"
            case .tooManyReads(let limit): "\(limit) reads wait for a leadership check"
            case .changeInProgress: "a membership change is in progress"
            case .nothingToCancel: "no membership change can be cancelled"
            case .invalidMembership(let reason): "invalid membership: \(reason)"
            case .laggingVoters(let nodes): "not caught up learners: \(nodes.map(\.description).joined(separator: " "))"
            case .unfitTarget(let node): "node \(node) cannot take over leadership"
            }
        }
    }
}
