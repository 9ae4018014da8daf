// SPDX-License-Identifier: Apache-2.0
//
// Fact.swift
// What a store was asked for and what it promised, one line each, so that a process that is about to be killed can say it.

public import LogStore
public import Model

/// What tells one entry from every other one that could stand in its place.
public struct EntryIdentity: Hashable, Sendable {
    /// Its term.
    public var term: UInt64
    /// The checksum of its payload.
    public var crc: UInt32
}

/// A request before it is made, or an answer after it came.
public enum Fact: Hashable, Sendable {
    /// The group exists.
    case created(GroupID)
    /// An entry is about to be appended.
    case asked(GroupID, index: UInt64, EntryIdentity)
    /// The entries up to an index were reported durable.
    case flushed(GroupID, index: UInt64)
    /// Entries are about to be cut.
    case cut(GroupID, from: UInt64)
    /// A term and a vote are about to be given.
    case voting(GroupID, HardStateRecord)
    /// They were reported durable.
    case voted(GroupID, HardStateRecord)
    /// Entries before an index are about to go.
    case trimming(GroupID, first: UInt64, logStart: Int64)
    /// The beginning of the log is durable.
    case trimmed(GroupID, first: UInt64, logStart: Int64)
    /// Producers' state is about to be kept.
    case saving(GroupID, offset: Int64, index: UInt64)
    /// It is durable.
    case saved(GroupID, offset: Int64)
    /// The group is about to be deleted.
    case deleting(GroupID)
    /// It is gone for good.
    case deleted(GroupID)
}

extension Fact {
    /// The fact as a line, without its end.
    public var line: String {
        switch self {
        case .created(let group): "created \(group.rawValue)"
        case .asked(let group, let index, let entry): "asked \(group.rawValue) \(index) \(entry.term) \(entry.crc)"
        case .flushed(let group, let index): "flushed \(group.rawValue) \(index)"
        case .cut(let group, let from): "cut \(group.rawValue) \(from)"
        case .voting(let group, let state): "voting \(group.rawValue) \(state.term.rawValue) \(Self.vote(state))"
        case .voted(let group, let state): "voted \(group.rawValue) \(state.term.rawValue) \(Self.vote(state))"
        case .trimming(let group, let first, let start): "trimming \(group.rawValue) \(first) \(start)"
        case .trimmed(let group, let first, let start): "trimmed \(group.rawValue) \(first) \(start)"
        case .saving(let group, let offset, let index): "saving \(group.rawValue) \(offset) \(index)"
        case .saved(let group, let offset): "saved \(group.rawValue) \(offset)"
        case .deleting(let group): "deleting \(group.rawValue)"
        case .deleted(let group): "deleted \(group.rawValue)"
        }
    }

    private static func vote(_ state: HardStateRecord) -> Int32 { state.votedFor?.rawValue ?? -1 }

    /// Reads a line; nil when it is not whole.
    public init?(line: some StringProtocol) {
        let words = line.split(separator: " ")
        let numbers = words.dropFirst().compactMap { Int64($0) }
        guard let name = words.first, let first = numbers.first, numbers.count == words.count - 1 else { return nil }
        let group = GroupID(rawValue: UInt64(first))
        func number(_ position: Int) -> UInt64 { UInt64(numbers[position]) }
        func state() -> HardStateRecord {
            let node = numbers[2] < 0 ? nil : NodeID(rawValue: Int32(numbers[2]))
            return HardStateRecord(term: Term(number(1)), votedFor: node)
        }
        switch (name, numbers.count) {
        case ("created", 1): self = .created(group)
        case ("asked", 4):
            let entry = EntryIdentity(term: number(2), crc: UInt32(numbers[3]))
            self = .asked(group, index: number(1), entry)
        case ("flushed", 2): self = .flushed(group, index: number(1))
        case ("cut", 2): self = .cut(group, from: number(1))
        case ("voting", 3): self = .voting(group, state())
        case ("voted", 3): self = .voted(group, state())
        case ("trimming", 3): self = .trimming(group, first: number(1), logStart: numbers[2])
        case ("trimmed", 3): self = .trimmed(group, first: number(1), logStart: numbers[2])
        case ("saving", 3): self = .saving(group, offset: numbers[1], index: number(2))
        case ("saved", 2): self = .saved(group, offset: numbers[1])
        case ("deleting", 1): self = .deleting(group)
        case ("deleted", 1): self = .deleted(group)
        default: return nil
        }
    }
}
