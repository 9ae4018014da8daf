// SPDX-License-Identifier: Apache-2.0
//
// InspectedGroup.swift
// What the inspector knows of a group, and how it says that bytes are damaged or were left out.

public import Model

/// A group as its records in the index and in the journal describe it.
public struct InspectedGroup: Sendable {
    /// The group.
    public let id: GroupID
    /// Its facts.
    public let meta: GroupMeta
    /// Its term and vote; nil when it never had any.
    public let hardState: HardStateRecord?
    /// The last entry with a pointer.
    public let last: IndexedPointer?
    /// Where its terms begin, oldest first.
    public let termStarts: [TermStart]

    /// The topic and partition; nil for internal groups.
    public var label: TopicPartition? {
        meta.label.map { TopicPartition(topic: $0.topic, partition: $0.partition) }
    }

    /// Whether its entries lie in segments; those of the controller and the coordinators lie in the index.
    public var isPartition: Bool { meta.label != nil || id >= .firstPartition }

    /// What people call it.
    public var name: String {
        if let label { return label.description }
        switch id {
        case .controller: return "controller"
        case .coordinator: return "coordinator"
        default: return "\(id)"
        }
    }

    /// The memberships in its log, oldest first.
    public var configurations: [ConfigurationRecord] { [ConfigurationRecord](decoding: meta.configurations) ?? [] }
}

/// Bytes that were durable and are not what was written.
public struct Damage: Sendable, Hashable {
    /// The topic and partition; nil for internal groups and for files of the whole store.
    public var label: TopicPartition?
    /// The group; nil for files of the whole store.
    public var group: GroupID?
    /// The file, below the data directory.
    public var file: String
    /// Where the damaged frame or block begins.
    public var position: Int
    /// The first entry that is affected, when it is known.
    public var index: LogIndex?
    /// The first offset that is affected, when it is known.
    public var offset: Offset?
    /// What is wrong.
    public var reason: String
}

/// Bytes that hold nothing of the log, or that could not be looked at.
///
/// Not damage.
public struct Skipped: Sendable, Hashable {
    /// The topic and partition; nil for internal groups and for files of the whole store.
    public var label: TopicPartition?
    /// The group; nil for files of the whole store.
    public var group: GroupID?
    /// The file, below the data directory.
    public var file: String
    /// Where the bytes begin.
    public var position: Int
    /// How many they are.
    public var bytes: Int
    /// What they are.
    public var reason: String
}

extension InspectedGroup {
    /// Damage in a file of this group.
    func damage(
        _ file: String, at position: Int, index: LogIndex?, offset: Offset?, _ reason: String
    ) -> Damage {
        Damage(
            label: label, group: id, file: file, position: position, index: index, offset: offset, reason: reason)
    }

    /// Bytes of this group that were left out.
    func skipped(_ file: String, at position: Int, bytes: Int, _ reason: String) -> Skipped {
        Skipped(label: label, group: id, file: file, position: position, bytes: bytes, reason: reason)
    }
}
