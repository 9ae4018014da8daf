// SPDX-License-Identifier: Apache-2.0
//
// StoreError.swift
// Why the store refused or failed, in terms an operator can act on.

public import Model

/// Why an operation of the store did not succeed.
public enum StoreError: Error, Sendable, Equatable {
    /// The disk reserve is reached; appends of data are refused while reads, Raft and retention go on.
    case diskFull(free: ByteCount, reserve: ByteCount)
    /// A write or flush failed; the store is out of service until the process starts anew (storage rule R8).
    case diskFailed(String)
    /// Bytes that were durable cannot be read back; nothing was cut.
    case corrupt(Corruption)
    /// Another process has the data directory open.
    case locked(path: String)
    /// The directory has a format this version cannot read, or is not a data directory.
    case formatVersion(found: String, supported: UInt32)
    /// More is queued for the disk than its limit; try again.
    case busy
    /// The log or the store was closed.
    case closed
    /// What was asked for lies outside the log.
    case outOfRange(first: LogIndex, last: LogIndex)
    /// The group was never created, or was deleted.
    case unknownGroup(GroupID)
    /// RocksDB reported an error.
    case index(String)
    /// RocksDB had no space on the disk, and takes no more writes.
    case indexFull(String)
    /// The operating system refused an operation on a file.
    case file(operation: String, path: String, errno: Int32)
}

/// Where damage was found.
public struct Corruption: Error, Sendable, Hashable {
    /// The group whose log is damaged; nil for files that belong to the store.
    public var group: GroupID?
    /// The damaged file.
    public var file: String
    /// The byte at which the damaged frame or block begins.
    public var position: Int
    /// The first index that cannot be read, when it is known.
    public var index: LogIndex?
    /// The first offset that cannot be read, when it is known.
    public var offset: Offset?
    /// What is wrong with the bytes.
    public var reason: String

    /// Describes damage at `position` of `file`.
    public init(
        group: GroupID?, file: String, position: Int, index: LogIndex? = nil, offset: Offset? = nil, reason: String
    ) {
        self.group = group
        self.file = file
        self.position = position
        self.index = index
        self.offset = offset
        self.reason = reason
    }
}

extension Corruption: CustomStringConvertible {
    /// The value as people read it.
    public var description: String {
        let owner = group.map { "\($0)" } ?? "the store"
        let entry = index.map { ", index \($0)" } ?? ""
        let record = offset.map { ", offset \($0)" } ?? ""
        return "\(file) of \(owner) is damaged at byte \(position)\(entry)\(record): \(reason)"
    }
}

extension StoreError {
    /// Whether the operating system had no space to give, or no room for one more name.
    package var isNoSpace: Bool {
        switch self {
        // ENOSPC, which has the same number everywhere.
        case .file(_, _, 28), .indexFull: true
        default: false
        }
    }
}

extension StoreError: CustomStringConvertible {
    /// The value as people read it.
    public var description: String {
        switch self {
        case .diskFull(let free, let reserve):
            "The disk has \(free) left and keeps \(reserve) in reserve; delete data or add space"
        case .diskFailed(let reason): "The disk failed and the store stopped: \(reason)"
        case .corrupt(let corruption): "\(corruption)"
        case .locked(let path): "\(path) is in use by another process"
        case .formatVersion(let found, let supported):
            "The data directory has format \(found); this version reads format \(supported)"
        case .busy: "The disk cannot keep up; try again"
        case .closed: "The log is closed"
        case .outOfRange(let first, let last): "The log holds entries \(first) to \(last)"
        case .unknownGroup(let group): "There is no \(group)"
        case .index(let reason): "The index database failed: \(reason)"
        case .indexFull(let reason): "The disk of the index database is full: \(reason)"
        case .file(let operation, let path, let code): "Cannot \(operation) \(path): errno \(code)"
        }
    }
}
