// SPDX-License-Identifier: Apache-2.0
//
// DisplayRecord.swift
// A record as the printing code sees it, whoever read it.

public import Model

/// One record on its way to the terminal.
public struct DisplayRecord: Sendable {
    /// A header: its name and its value, which may be null.
    public typealias Header = (key: String, value: [UInt8]?)

    /// The topic.
    public var topic: String
    /// The partition.
    public var partition: PartitionIndex
    /// Its place in the partition.
    public var offset: Offset
    /// The record's time, or the broker's.
    public var timestamp: WallTime
    /// The epoch of the leader that took it, -1 when unknown.
    public var leaderEpoch: Int32
    /// The key; may be null.
    public var key: [UInt8]?
    /// Null for a tombstone.
    public var value: [UInt8]?
    /// The headers in their order.
    public var headers: [Header]

    /// Describes a record.
    public init(
        topic: String, partition: PartitionIndex, offset: Offset, timestamp: WallTime, leaderEpoch: Int32 = -1,
        key: [UInt8]?, value: [UInt8]?, headers: [Header] = []
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.leaderEpoch = leaderEpoch
        self.key = key
        self.value = value
        self.headers = headers
    }

    /// The record as one JSON object.
    ///
    /// Bytes that are not UTF-8 are printed in base64, and a member `keyEncoding`, `valueEncoding` or `encoding` says
    /// so.
    public var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("topic", .string(topic)), ("partition", .integer(partition.rawValue)),
            ("offset", .integer(offset.rawValue)),
            ("timestamp", .string(timestamp.rfc3339)),
            ("timestampMilliseconds", .integer(timestamp.milliseconds)),
        ]
        Self.append("key", "keyEncoding", key, to: &members)
        Self.append("value", "valueEncoding", value, to: &members)
        let headers = headers.map { header -> JSONValue in
            var entry: [(String, JSONValue)] = [("key", .string(header.key))]
            Self.append("value", "encoding", header.value, to: &entry)
            return .object(entry)
        }
        members.append(("headers", .array(headers)))
        return .object(members)
    }

    private static func append(
        _ name: String, _ encodingName: String, _ bytes: [UInt8]?, to members: inout [(String, JSONValue)]
    ) {
        guard let bytes else { return members.append((name, .null)) }
        if let text = String(validating: bytes, as: UTF8.self) {
            members.append((name, .string(text)))
        } else {
            members.append((name, .string(ByteText.base64(bytes))))
            members.append((encodingName, .string("base64")))
        }
    }
}
