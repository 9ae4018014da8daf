// SPDX-License-Identifier: Apache-2.0
//
// Identifiers.swift
// Distinct types for everything that is numbered, so that no two of them can be mixed by accident.

/// A Raft group: one partition, the controller, or one shard of the group coordinator.
///
/// Never reused: a topic that is deleted and created again gets new groups (storage rule R10).
public struct GroupID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt64
    /// Makes a value of its parts.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The controller's group; it exists on every broker.
    public static let controller = GroupID(rawValue: 1)
    /// The consumer-group coordinator's group.
    public static let coordinator = GroupID(rawValue: 2)
    /// The first id that is handed to a partition.
    public static let firstPartition = GroupID(rawValue: 1024)
    /// Orders by the number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The value as people read it.
    public var description: String { "group \(rawValue)" }
}

/// A broker, as `node.id` names it.
///
/// Kafka clients see it as `node_id` (int32, not negative).
public struct NodeID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int32
    /// Makes a value of its parts.
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
    /// Orders by the number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The value as people read it.
    public var description: String { "\(rawValue)" }
}

/// One partition of a topic, counted from 0.
public struct PartitionIndex: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int32
    /// Makes a value of its parts.
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
    /// Orders by the number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The value as people read it.
    public var description: String { "\(rawValue)" }
}

/// A topic's identity for as long as it exists: 128 random bits (KIP-516).
public struct TopicID: Hashable, Sendable, CustomStringConvertible {
    /// The first 64 bits.
    public let high: UInt64
    /// The last 64 bits.
    public let low: UInt64
    /// Makes a value of its parts.
    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// The all-zero id, which means "none" on the wire.
    public static let zero = TopicID(high: 0, low: 0)

    /// URL-safe base64 without padding, as Kafka's tools print topic ids.
    public var description: String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        for group in 0..<22 {
            var value = 0
            for bit in 0..<6 { value = value << 1 | self.bit(group * 6 + bit) }
            text.append(alphabet[value])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bit at `position`, counted from the most significant; 0 past the end (base64 padding).
    private func bit(_ position: Int) -> Int {
        guard position < 128 else { return 0 }
        let word = position < 64 ? high : low
        return Int(truncatingIfNeeded: (word >> UInt64(63 - position % 64)) & 1)
    }
}

/// A UUID of something that Kafka's protocol names by one and that is no topic: a client's instance, a data directory.
public struct UniqueID: Hashable, Sendable, CustomStringConvertible {
    /// The first 64 bits.
    public let high: UInt64
    /// The last 64 bits.
    public let low: UInt64
    /// Makes a value of its parts.
    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// The all-zero id, which means "none" on the wire.
    public static let zero = UniqueID(high: 0, low: 0)

    /// A random id (RFC 9562, version 4).
    public static func random(using generator: inout some RandomNumberGenerator) -> UniqueID {
        let high = UInt64.random(in: 0 ... .max, using: &generator) & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = UInt64.random(in: 0 ... .max, using: &generator) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return UniqueID(high: high, low: low)
    }

    /// URL-safe base64 without padding, as Kafka's tools print UUIDs.
    public var description: String { TopicID(high: high, low: low).description }
}

/// A topic and one of its partitions.
public struct TopicPartition: Hashable, Sendable, CustomStringConvertible {
    /// The topic's name.
    public let topic: String
    /// The partition of the topic.
    public let partition: PartitionIndex
    /// Makes a value of its parts.
    @inlinable public init(topic: String, partition: PartitionIndex) {
        self.topic = topic
        self.partition = partition
    }
    /// The value as people read it.
    public var description: String { "\(topic)/\(partition)" }
}

/// An idempotent or transactional producer, unique in the cluster for ever.
public struct ProducerID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int64
    /// Makes a value of its parts.
    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
    /// What a batch carries when its producer is not idempotent.
    public static let none = ProducerID(rawValue: -1)
    /// The value as people read it.
    public var description: String { "\(rawValue)" }
}
