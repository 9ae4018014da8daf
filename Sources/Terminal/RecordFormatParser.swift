// SPDX-License-Identifier: Apache-2.0
//
// RecordFormatParser.swift
// Turns the text of a percent format into pieces.

/// Reads one format from left to right.
struct RecordFormatParser {
    private let characters: [Character]
    private var position = 0

    init(_ text: String) { characters = Array(text) }

    /// Reads pieces up to the end of the text, or up to the closing brace of a header format.
    mutating func pieces(inHeaders: Bool) throws(RecordFormat.ParseError) -> [RecordFormat.Piece] {
        var pieces: [RecordFormat.Piece] = []
        var literal: [UInt8] = []
        while let character = next() {
            switch character {
            case "}" where inHeaders:
                if !literal.isEmpty { pieces.append(.literal(literal)) }
                return pieces
            case "\\": literal.append(contentsOf: try escape())
            case "%":
                if peek() == "%" {
                    position += 1
                    literal.append(UInt8(ascii: "%"))
                    continue
                }
                if !literal.isEmpty { pieces.append(.literal(literal)) }
                literal = []
                pieces.append(try field(inHeaders: inHeaders))
            default: literal += String(character).utf8
            }
        }
        if inHeaders { throw error("the header format %h{...} is not closed") }
        if !literal.isEmpty { pieces.append(.literal(literal)) }
        return pieces
    }

    private mutating func field(inHeaders: Bool) throws(RecordFormat.ParseError) -> RecordFormat.Piece {
        guard let letter = next() else { throw error("a format ends in a lone %") }
        switch letter {
        case "t": return .bytes(.topic, try byteStyle())
        case "k": return .bytes(.key, try byteStyle())
        case "v", "s": return .bytes(.value, try byteStyle())
        case "p": return .number(.partition, try numberStyle())
        case "o": return .number(.offset, try numberStyle())
        case "d", "T": return .number(.timestamp, try numberStyle())
        case "e": return .number(.leaderEpoch, try numberStyle())
        case "K": return .number(.keyLength, try numberStyle())
        case "V", "S": return .number(.valueLength, try numberStyle())
        case "H": return .number(.headerCount, try numberStyle())
        case "i": return .number(.ordinal, try numberStyle())
        case "l": return .number(.topicLength, try numberStyle())
        case "h" where !inHeaders:
            guard peek() == "{" else { return .headers(nil) }
            position += 1
            return .headers(try pieces(inHeaders: true))
        default: throw error("%\(letter) is not known here")
        }
    }

    private mutating func byteStyle() throws(RecordFormat.ParseError) -> RecordFormat.ByteStyle {
        switch try modifier() {
        case nil: return .raw
        case "hex": return .hex
        case "base64": return .base64
        case .some(let other): throw error("{\(other)} does not apply to bytes")
        }
    }

    private mutating func numberStyle() throws(RecordFormat.ParseError) -> RecordFormat.NumberStyle {
        guard let name = try modifier() else { return .decimal }
        switch name {
        case "hex": return .hex
        case "rfc3339": return .rfc3339
        default: break
        }
        for (prefix, bigEndian) in [("big", true), ("little", false)] where name.hasPrefix(prefix) {
            guard let bits = Int(name.dropFirst(prefix.count)), [8, 16, 32, 64].contains(bits) else { break }
            return .binary(byteCount: bits / 8, bigEndian: bigEndian)
        }
        throw error("{\(name)} does not apply to numbers")
    }

    /// The text between braces after a letter, if there is any.
    private mutating func modifier() throws(RecordFormat.ParseError) -> String? {
        guard peek() == "{" else { return nil }
        position += 1
        var name = ""
        while let character = next() {
            if character == "}" { return name }
            name.append(character)
        }
        throw error("{\(name) is not closed")
    }

    private mutating func escape() throws(RecordFormat.ParseError) -> [UInt8] {
        guard let character = next() else { throw error("a format ends in a lone backslash") }
        switch character {
        case "n": return [0x0A]
        case "r": return [0x0D]
        case "t": return [0x09]
        case "0": return [0]
        case "x":
            guard let high = next(), let low = next(), let byte = UInt8(String([high, low]), radix: 16) else {
                throw error("\\x needs two hexadecimal digits")
            }
            return [byte]
        case "\\", "%", "{", "}": return Array(String(character).utf8)
        default: throw error("\\\(character) is not an escape")
        }
    }

    private mutating func next() -> Character? {
        guard position < characters.count else { return nil }
        position += 1
        return characters[position - 1]
    }

    private func peek() -> Character? { position < characters.count ? characters[position] : nil }

    private func error(_ sentence: String) -> RecordFormat.ParseError { RecordFormat.ParseError(description: sentence) }
}
