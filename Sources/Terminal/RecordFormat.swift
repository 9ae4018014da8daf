// SPDX-License-Identifier: Apache-2.0
//
// RecordFormat.swift
// Percent formats for records: parsed once, then applied to each record without looking at the text again.

import Model

/// A compiled percent format, such as `%t/%p %o %k=%v\n`.
public struct RecordFormat: Sendable {
    /// Why a format was refused.
    public struct ParseError: Error, Equatable, CustomStringConvertible, Sendable {
        /// A sentence for the user.
        public let description: String
    }

    enum NumberStyle: Equatable, Sendable {
        case decimal
        case hex
        case binary(byteCount: Int, bigEndian: Bool)
        case rfc3339
    }

    enum ByteStyle: Equatable, Sendable {
        case raw
        case hex
        case base64
    }

    enum NumberField: Equatable, Sendable {
        case partition, offset, timestamp, leaderEpoch, keyLength, valueLength, headerCount, topicLength, ordinal
    }

    enum ByteField: Equatable, Sendable {
        case topic, key, value
    }

    indirect enum Piece: Sendable {
        case literal([UInt8])
        case number(NumberField, NumberStyle)
        case bytes(ByteField, ByteStyle)
        case headers([Piece]?)
    }

    /// What `consume` prints when no format is given: the value and a newline.
    public static let value = RecordFormat(pieces: [.bytes(.value, .raw), .literal([0x0A])])

    let pieces: [Piece]

    init(pieces: [Piece]) { self.pieces = pieces }

    /// Compiles `text`.
    public init(parsing text: String) throws(ParseError) {
        var parser = RecordFormatParser(text)
        pieces = try parser.pieces(inHeaders: false)
    }

    /// Appends one record to `output`.
    ///
    /// `ordinal` counts the records of this run from 1.
    public func write(_ record: DisplayRecord, ordinal: Int, to output: inout [UInt8]) {
        for piece in pieces { Self.write(piece, record, ordinal: ordinal, to: &output) }
    }

    private static func write(_ piece: Piece, _ record: DisplayRecord, ordinal: Int, to output: inout [UInt8]) {
        switch piece {
        case .literal(let bytes): output += bytes
        case .number(let field, let style): write(number(field, record, ordinal), style, to: &output)
        case .bytes(.topic, let style): write(Array(record.topic.utf8), style, to: &output)
        case .bytes(.key, let style): write(record.key, style, to: &output)
        case .bytes(.value, let style): write(record.value, style, to: &output)
        case .headers(let inner): writeHeaders(inner, record, to: &output)
        }
    }

    private static func number(_ field: NumberField, _ record: DisplayRecord, _ ordinal: Int) -> Int64 {
        switch field {
        case .partition: Int64(record.partition.rawValue)
        case .offset: record.offset.rawValue
        case .timestamp: record.timestamp.milliseconds
        case .leaderEpoch: Int64(record.leaderEpoch)
        case .keyLength: record.key.map { Int64($0.count) } ?? -1
        case .valueLength: record.value.map { Int64($0.count) } ?? -1
        case .headerCount: Int64(record.headers.count)
        case .topicLength: Int64(record.topic.utf8.count)
        case .ordinal: Int64(ordinal)
        }
    }

    private static func write(_ number: Int64, _ style: NumberStyle, to output: inout [UInt8]) {
        switch style {
        case .decimal: output += String(number).utf8
        case .hex: output += String(UInt64(bitPattern: number), radix: 16).utf8
        case .rfc3339: output += WallTime(milliseconds: number).rfc3339.utf8
        case .binary(let byteCount, let bigEndian):
            for place in 0..<byteCount {
                let shift = UInt64(8 * (bigEndian ? byteCount - 1 - place : place))
                output.append(UInt8(truncatingIfNeeded: UInt64(bitPattern: number) >> shift))
            }
        }
    }

    private static func write(_ bytes: [UInt8]?, _ style: ByteStyle, to output: inout [UInt8]) {
        guard let bytes else { return }
        switch style {
        case .raw: output += bytes
        case .hex: output += ByteText.hex(bytes).utf8
        case .base64: output += ByteText.base64(bytes).utf8
        }
    }

    /// Headers print as `key=value,key=value`, or through the inner format with `%k` and `%v` of each header.
    private static func writeHeaders(_ inner: [Piece]?, _ record: DisplayRecord, to output: inout [UInt8]) {
        for (position, header) in record.headers.enumerated() {
            if let inner {
                var view = record
                view.key = Array(header.key.utf8)
                view.value = header.value
                for piece in inner { write(piece, view, ordinal: position + 1, to: &output) }
                continue
            }
            if position > 0 { output.append(UInt8(ascii: ",")) }
            output += header.key.utf8
            output.append(UInt8(ascii: "="))
            output += header.value ?? Array("NULL".utf8)
        }
    }

    /// What `--format help` prints.
    public static let help = """
        %t  topic            %T  timestamp in milliseconds (as %d)
        %p  partition        %d  timestamp in milliseconds; %d{rfc3339} as a date
        %o  offset           %e  leader epoch
        %k  key              %K  length of the key, -1 when null
        %v  value (also %s)  %V  length of the value, -1 when null (also %S)
        %h  headers as key=value,key=value; %h{%k:%v } formats each
        %H  number of headers
        %i  number of this record in the output, from 1
        %l  length of the topic's name
        %%  a percent sign

        Bytes take {hex} and {base64}; numbers take {hex}, {big8} to {big64} and {little8} to {little64}.
        Backslash escapes: \\n \\r \\t \\0 \\\\ \\xHH.

        """
}
