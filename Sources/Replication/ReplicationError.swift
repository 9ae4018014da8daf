// SPDX-License-Identifier: Apache-2.0
//
// ReplicationError.swift
// Why an entry was not proposed.

public import LogStore
public import Raft

/// Why a proposal was refused; nothing was appended.
public enum ReplicationError: Error, Sendable {
    /// The core refused: this replica does not lead, or too much is uncommitted.
    case refused(Raft.Refusal)
    /// The log takes no data for now: the disk reserve is reached, or too much waits for the disk.
    case notNow(StoreError)
    /// No entry may be this large: trying again does not help.
    case tooLarge(byteCount: Int, limit: Int)
    /// The group's log failed earlier; the group is out of service on this broker.
    case logFailed(StoreError)
}

extension ReplicationError: CustomStringConvertible {
    /// A sentence for operators.
    public var description: String {
        switch self {
        case .refused(let refusal): "\(refusal)"
        case .tooLarge(let byteCount, let limit): "The change takes \(byteCount) bytes, more than \(limit)"
        case .notNow(let error), .logFailed(let error): "\(error)"
        }
    }
}
