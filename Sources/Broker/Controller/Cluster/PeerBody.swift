// SPDX-License-Identifier: Apache-2.0
//
// PeerBody.swift
// The contents of requests between controllers and brokers as bytes: a version, then fields.

import Model
import NIOCore
import Replication

/// The content of a request between brokers, or of its answer.
protocol PeerBody: Sendable {
    func encode(to writer: inout BinaryWriter)
    init(from reader: inout BinaryReader) throws(BinaryCodingError)
}

extension PeerBody {
    /// The version that is written, and the only one that is read.
    private static var version: UInt8 { 2 }

    /// The content as bytes.
    var buffer: ByteBuffer {
        var writer = BinaryWriter()
        writer.write(Self.version)
        encode(to: &writer)
        return ByteBuffer(bytes: writer.bytes)
    }

    /// Reads what ``buffer`` wrote; anything else is refused.
    init(decoding buffer: ByteBuffer) throws(BinaryCodingError) {
        var reader = BinaryReader(Array(buffer.readableBytesView))
        let version = try reader.readInteger(UInt8.self)
        guard version == Self.version else { throw .unknownVersion(version) }
        try self.init(from: &reader)
        try reader.finish()
    }

    /// Reads an answer, of which an unreadable one is a failed call.
    static func decoded(_ buffer: ByteBuffer) -> Result<Self, PeerCallError> {
        do throws(BinaryCodingError) {
            return .success(try Self(decoding: buffer))
        } catch {
            return .failure(.failed("an answer cannot be read: \(error)"))
        }
    }
}

extension BinaryWriter {
    /// Appends a broker that may be absent.
    mutating func write(_ node: NodeID?) { write(node?.rawValue ?? -1) }
}

extension BinaryReader {
    /// Takes a broker that may be absent.
    mutating func readOptionalNode() throws(BinaryCodingError) -> NodeID? {
        let number = try readInteger(Int32.self)
        return number < 0 ? nil : NodeID(rawValue: number)
    }
}
