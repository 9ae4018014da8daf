// SPDX-License-Identifier: Apache-2.0
//
// InspectedGroup.swift
// What the inspector knows of a group before it looks into its log.

public import Model

/// A group as its records in the index and in the journal describe it.
public struct InspectedGroup: Sendable {
    /// The group.
    public let id: GroupID
    /// Its facts.
    public let meta: GroupMeta
    /// Its term and vote; nil when it never had any.
    public let hardState: HardStateRecord?
    /// Whether term and vote are in the journal only so far.
    public let hardStateIsInJournal: Bool
    /// The last entry with a pointer.
    public let last: IndexedPointer?
    /// Where its terms begin, oldest first.
    public let termStarts: [TermStart]

    /// The topic and partition; nil for internal groups, and for partitions whose facts do not name one.
    public var label: TopicPartition? {
        meta.label.map { TopicPartition(topic: $0.topic, partition: $0.partition) }
    }

    /// Whether its entries lie in segments; those of the controller and the coordinators lie in the index.
    public var isPartition: Bool { meta.label != nil || id >= .firstPartition }

    /// What people call it.
    public var name: String { Self.name(of: id, label) }

    /// What people call a group.
    public static func name(of id: GroupID, _ label: TopicPartition?) -> String {
        if let label { return label.description }
        switch id {
        case .controller: return "controller"
        case .coordinator: return "coordinator"
        default: return "\(id)"
        }
    }

    /// The memberships in its log, oldest first; nil when they cannot be read.
    public var configurations: [ConfigurationRecord]? { [ConfigurationRecord](decoding: meta.configurations) }

    /// The term of the entry `index` as the index knows it; nil before the first term.
    func term(at index: LogIndex) -> Term? {
        let after = termStarts.partitioningIndex { $0.firstIndex > index }
        return after == 0 ? nil : termStarts[after - 1].term
    }
}

extension InspectedGroup {
    /// Damage in a file of this group.
    func damage(
        _ kind: Damage.Kind, _ file: String, at position: Int? = nil, index: LogIndex?, offset: Offset? = nil,
        _ reason: String
    ) -> Damage {
        Damage(
            kind: kind, label: label, group: id, file: file, position: position, index: index, offset: offset,
            reason: reason)
    }

    /// Bytes of this group that were left out.
    func skipped(
        _ kind: Skipped.Kind, _ file: String, at position: Int, bytes: Int, _ reason: String
    ) -> Skipped {
        Skipped(kind: kind, label: label, group: id, file: file, position: position, bytes: bytes, reason: reason)
    }

    /// A record of this group's applied state that contradicts itself or the others.
    public func stateDamage(_ reason: String) -> Damage { damage(.state, "rocksdb", index: nil, reason) }

    /// Something unusual about this group.
    public func warning(_ kind: StoreWarning.Kind, file: String? = nil, _ text: String) -> StoreWarning {
        StoreWarning(kind: kind, label: label, group: id, file: file, text: text)
    }
}
