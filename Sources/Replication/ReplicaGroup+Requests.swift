// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroup+Requests.swift
// What an owner asks of a leader: hand over, change the members, confirm a read.

public import Model
public import Raft

/// Requests that wait for the core.
struct PendingRequests {
    typealias Transfer = (Result<Raft.TransferOutcome, ReplicationError>) -> Void
    typealias Indexed = (Result<LogIndex, ReplicationError>) -> Void

    var transfer: Transfer?
    var membership: (target: Raft.Configuration, then: Indexed)?
    private var reads: [Raft.ReadID: Indexed] = [:]
    private var nextRead: UInt64 = 0

    var isEmpty: Bool { transfer == nil && membership == nil && reads.isEmpty }

    mutating func addRead(_ then: @escaping Indexed) -> Raft.ReadID {
        nextRead += 1
        let read = Raft.ReadID(rawValue: nextRead)
        reads[read] = then
        return read
    }

    mutating func ready(_ ids: [Raft.ReadID], at index: LogIndex) {
        for id in ids { reads.removeValue(forKey: id)?(.success(index)) }
    }

    mutating func failed(_ ids: [Raft.ReadID], _ error: ReplicationError) {
        for id in ids { reads.removeValue(forKey: id)?(.failure(error)) }
    }

    mutating func transferred(_ outcome: Raft.TransferOutcome) {
        let waiting = transfer.take()
        waiting?(.success(outcome))
    }

    /// A change is complete when its target is committed; another one, when it was taken back.
    mutating func configured(_ configuration: Raft.Configuration, at index: LogIndex) {
        guard let waiting = membership else { return }
        membership = nil
        if waiting.target == configuration {
            waiting.then(.success(index))
        } else {
            waiting.then(.failure(.refused(.nothingToCancel)))
        }
    }

    /// Leadership is lost, or the log: nobody knows what became of what was asked.
    mutating func failAll(_ error: ReplicationError) {
        let waiting = (transfer.take(), membership.take(), reads)
        reads.removeAll()
        waiting.0?(.success(.abandoned))
        waiting.1?.then(.failure(error))
        for then in waiting.2.values { then(.failure(error)) }
    }
}

extension ReplicaGroup {
    /// Asks for leadership now, for instance when a group is new and this replica is preferred.
    public func campaign() {
        whenIdle { [self] in enter { [self] in core.campaign(into: &directives) } }
    }

    /// Gives up leadership, asking the most advanced voter to take over.
    public func resign() {
        whenIdle { [self] in enter { [self] in core.resign(into: &directives) } }
    }

    /// Hands leadership to a voter; `then` is told how it ended, or why it was not begun.
    public func transferLeadership(
        to target: NodeID, then: @escaping (Result<Raft.TransferOutcome, ReplicationError>) -> Void
    ) {
        ask(orElse: { then(.failure($0)) }) { [self] () throws(Raft.Refusal) in
            try core.transferLeadership(to: target, into: &directives)
            requests.transfer = then
        }
    }

    /// Changes the members to the voters and learners of `target`; `then` gets the index of the entry that completed it.
    ///
    /// New voters must be learners that have nearly caught up. A change that loses its leader may still be completed by
    /// the next one.
    public func changeMembership(
        to target: Raft.Configuration, then: @escaping (Result<LogIndex, ReplicationError>) -> Void
    ) {
        ask(orElse: { then(.failure($0)) }) { [self] () throws(Raft.Refusal) in
            precondition(!target.isJoint, "\(id): the way to \(target) is the core's")
            let index = try core.changeMembership(
                voters: target.voters, learners: target.learners, into: &directives)
            if let former = requests.membership.take() { former.then(.failure(.refused(.changeInProgress))) }
            // A change without a change of voters may be complete before this returns.
            guard core.committedIndex < index else { return then(.success(index)) }
            requests.membership = (target, then)
        }
    }

    /// Takes back the change under way, as long as its joint configuration is not committed.
    public func cancelMembershipChange(then: @escaping (Result<LogIndex, ReplicationError>) -> Void) {
        ask(orElse: { then(.failure($0)) }) { [self] () throws(Raft.Refusal) in
            then(.success(try core.cancelMembershipChange(into: &directives)))
        }
    }

    /// Asks for an index to read at: a state that has applied it reflects everything that was committed before the call.
    public func readIndex(then: @escaping (Result<LogIndex, ReplicationError>) -> Void) {
        ask(orElse: { then(.failure($0)) }) { [self] () throws(Raft.Refusal) in
            let read = requests.addRead(then)
            do throws(Raft.Refusal) {
                try core.requestRead(read, into: &directives)
            } catch {
                requests.failed([read], .refused(error))
            }
        }
    }

    /// Enters the core with a request that it may refuse.
    private func ask(
        orElse refused: @escaping (ReplicationError) -> Void,
        _ request: @escaping () throws(Raft.Refusal) -> Void
    ) {
        whenIdle { [self] in
            if let failure { return refused(.logFailed(failure)) }
            guard observer != nil else { return refused(.refused(.notLeader(leader: nil))) }
            enter {
                do throws(Raft.Refusal) { try request() } catch { refused(.refused(error)) }
            }
        }
    }
}
